//! A node that watches this machine ten times a second, served on a free port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use foretwin_core::{Batch, Instance, InstanceKind, Metric, Record, Role, Schema, Storage, Timestamp, Value};
use foretwin_engine::{Config, Node, Roles};
use serde_json::Value as Json;

/// How long something that must happen may take. Nothing that succeeds waits for it, and a busy machine is slow, not wrong.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// What a client got.
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

pub struct Server {
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

/// One server for all tests: it needs seconds to become ready.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Server::start();
        server.wait_until("ready", || server.get("/-/ready").status == 200);
        server
    })
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: dir.path().to_path_buf(), ..Config::default() };
        config.collect.machine.interval_ms = 100;
        config.collect.groups.interval_ms = 500;
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let node = Node::start(&config, Roles { collect: true }).unwrap();
                send.send(listener.local_addr().unwrap()).unwrap();
                foretwin_serve::serve(listener, node.handle(), std::future::pending()).await.unwrap();
            });
        });
        let address = receive.recv_timeout(PATIENCE).unwrap();
        Self { address, _dir: dir }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            assert!(
                Instant::now() < deadline,
                "not {what} after {PATIENCE:?}: {}",
                self.get("/-/ready").body
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
        let mut response = response.unwrap();
        let status = response.status().as_u16();
        Answer { status, body: response.body_mut().read_to_string().unwrap() }
    }

    fn http() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).build().into()
    }

    pub fn get(&self, path: &str) -> Answer {
        Self::answer(Self::http().get(&format!("http://{}{path}", self.address)).call())
    }

    /// A file.
    pub fn bytes(&self, path: &str) -> Vec<u8> {
        let mut response = Self::http().get(&format!("http://{}{path}", self.address)).call().unwrap();
        assert_eq!(response.status().as_u16(), 200);
        response.body_mut().read_to_vec().unwrap()
    }

    pub fn post(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let url = format!("http://{}{path}", self.address);
        Self::answer(Self::http().post(&url).header("content-type", kind).send(body))
    }

    pub fn delete(&self, path: &str) -> Answer {
        Self::answer(Self::http().delete(&format!("http://{}{path}", self.address)).call())
    }

    pub fn post_json(&self, path: &str, body: &str) -> Answer {
        self.post(path, "application/json", body.as_bytes())
    }

    /// Id of the machine itself.
    pub fn host(&self) -> String {
        let instances = self.get("/api/v1/instances").json();
        let own = |one: &&Json| one["kind"] == "host" && one["labels"]["foretwin.receive"].is_null();
        let host = instances["instances"].as_array().unwrap().iter().find(own);
        host.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Status line, headers and body that a request written by hand gets.
    pub fn raw(&self, request: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(request).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The next line of the live stream that begins so.
    pub fn stream_line(&self, path: &str, begins: &str) -> String {
        let mut socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n")
            .unwrap();
        let lines = BufReader::new(socket.take(1 << 20)).lines();
        lines.map(Result::unwrap).find(|line| line.starts_with(begins)).unwrap()
    }

    /// Lets an instance of its own appear, so that what a test does to it concerns no other.
    pub fn known(&self, id: &str) {
        assert_eq!(self.ingest(id, 2, |n| n as f64).status, 200);
        self.wait_until("known", || self.get(&format!("/api/v1/instances/{id}")).status == 200);
    }

    /// An instance made up by a client: `frames` frames of one gauge and its limit.
    pub fn ingest(&self, id: &str, frames: usize, value: impl Fn(usize) -> f64) -> Answer {
        self.ingest_more(id, 0..frames, value)
    }

    /// Some of its frames.
    pub fn ingest_more(
        &self,
        id: &str,
        frames: std::ops::Range<usize>,
        value: impl Fn(usize) -> f64,
    ) -> Answer {
        self.ingest_at(Timestamp::from_seconds(1_700_000_000.0), (id, frames), value)
    }

    /// The same, from a moment on.
    pub fn ingest_at(
        &self,
        start: Timestamp,
        (id, frames): (&str, std::ops::Range<usize>),
        value: impl Fn(usize) -> f64,
    ) -> Answer {
        let mode = foretwin_core::FailureMode::MemoryExhaustion;
        let gauge =
            Metric::gauge("used", "By", Role::Utilization).stored(Storage::F64).against("limit", mode);
        let limit = Metric::gauge("limit", "By", Role::Limit).stored(Storage::F64);
        let schema = Schema::new(vec![gauge, limit]);
        // Each on a host of its own: who is silent while others of a host speak counts as gone.
        let instance = Instance::new(id, InstanceKind::Application, id, id);
        let mut batch = Batch::new(schema.id(), 2);
        for n in frames {
            let at = start + n as i64 * 1_000_000;
            batch.push(&instance.id, at, &[Value::float(value(n)), Value::float(1000.0)]).unwrap();
        }
        let mut envelope = Vec::new();
        for record in [Record::Instance(instance), Record::Schema(schema), Record::Batch(batch)] {
            foretwin_wire::envelope::push(&record, &mut envelope);
        }
        self.post("/api/v1/ingest", "application/octet-stream", &envelope)
    }
}
