//! A small HTTP server that answers as it is told, and remembers what it took.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// One request that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub authorization: Option<String>,
    pub content_type: String,
    pub document: Value,
}

#[derive(Default)]
struct Inner {
    status: u16,
    tries: usize,
    taken: Vec<Taken>,
}

/// The server; it ends with the process.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Receiver {
    /// Listens, and answers with `status`.
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inner = Arc::new(Mutex::new(Inner { status, ..Inner::default() }));
        let receiver = Self { address: listener.local_addr().unwrap(), inner };
        let shared = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        receiver
    }

    /// From now on.
    pub fn answer(&self, status: u16) {
        self.inner.lock().unwrap().status = status;
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn tries(&self) -> usize {
        self.inner.lock().unwrap().tries
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.inner.lock().unwrap().taken.clone()
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        while let Some(taken) = read(&mut reader) {
            let mut inner = self.inner.lock().unwrap();
            inner.tries += 1;
            let status = inner.status;
            if status < 300 {
                inner.taken.push(taken);
            }
            drop(inner);
            let answer = format!("HTTP/1.1 {status} Told\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\nno");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Taken> {
    let (mut authorization, mut content_type, mut length) = (None, String::new(), 0);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.to_owned()),
            "content-type" => content_type = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Taken { authorization, content_type, document: serde_json::from_slice(&body).unwrap() })
}

/// Waits until something holds; the message says what did not.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within 120 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
