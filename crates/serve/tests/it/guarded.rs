//! A node that asks for tokens, with and without TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use foretwin_engine::{Agent, Config, Credentials, Node, Roles};
use foretwin_serve::{Scope, Surface, Tokens};
use serde_json::{Value as Json, json};

use super::server::PATIENCE;

/// A node that does not collect, behind a face that the test chooses.
struct Guarded {
    dir: tempfile::TempDir,
    address: SocketAddr,
    scheme: &'static str,
    trusted: &'static str,
}

impl Guarded {
    fn start(prepare: impl FnOnce(&Path, &mut foretwin_serve::Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut face = foretwin_serve::Config::default();
        prepare(dir.path(), &mut face);
        let config = Config { data_dir: dir.path().to_path_buf(), ..Config::default() };
        let surface = Surface::open(&face, dir.path()).unwrap();
        let scheme = surface.scheme();
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let node = Node::start(&config, Roles { collect: false }).unwrap();
                send.send(listener.local_addr().unwrap()).unwrap();
                surface.serve(listener, node.handle(), std::future::pending()).await.unwrap();
            });
        });
        let address = receive.recv_timeout(PATIENCE).unwrap();
        Self { dir, address, scheme, trusted: "chain.pem" }
    }

    fn token(&self, name: &str, scopes: &[Scope]) -> String {
        Tokens::of(self.dir.path()).create(name, scopes, 0).unwrap().1
    }

    fn client(&self) -> ureq::Agent {
        let tls = Credentials { ca_file: tls_file(self.trusted), ..Credentials::default() }.tls().unwrap();
        ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls).build().into()
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Status and JSON of an answer; null if it is none.
    fn get(&self, path: &str, token: &str) -> (u16, Json) {
        let request = self.client().get(self.url(path)).header("authorization", format!("Bearer {token}"));
        let mut response = request.call().unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&body).unwrap_or_default())
    }

    fn post(&self, path: &str, token: &str, body: &Json) -> (u16, Json) {
        let request = self.client().post(self.url(path)).content_type("application/json");
        let request = request.header("authorization", format!("Bearer {token}"));
        let mut response = request.send(&body.to_string()).unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&body).unwrap_or_default())
    }
}

/// Tokens and certificates are looked at once a second.
fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(250));
    }
}

fn tls_file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls").join(name)
}

fn one_admin(dir: &Path, _: &mut foretwin_serve::Config) {
    Tokens::of(dir).create("first", &[Scope::Admin], 0).unwrap();
}

#[test]
fn tokens_open_what_their_scopes_say_and_changes_are_audited() {
    let node = Guarded::start(one_admin);
    for open in ["/", "/-/healthy", "/-/ready", "/api/v1/openapi.json"] {
        assert_eq!(node.get(open, "wrong").0, 200, "{open}");
    }
    let mut refused = node.client().get(node.url("/api/v1/instances")).call().unwrap();
    assert_eq!(refused.status().as_u16(), 401);
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    assert!(refused.body_mut().read_to_string().unwrap().contains("\"unauthorized\""));

    let (reader, writer) = (node.token("reader", &[Scope::Read]), node.token("writer", &[Scope::Write]));
    let admin = node.token("admin", &[Scope::Admin]);
    // A running node looks at the file once a second; the newest token was written last.
    wait_until(|| node.get("/api/v1/instances", &admin).0 == 200);
    let failure = json!({"instance": "nobody", "mode": "crash", "note": "n"});
    assert_eq!(node.get("/api/v1/instances", &reader).0, 200);
    assert_eq!(node.get("/api/v1/instances", &writer).0, 403);
    assert_eq!(node.post("/api/v1/failures", &reader, &failure).0, 403);
    assert_eq!(node.post("/api/v1/failures", &writer, &failure).0, 404);
    assert_eq!(node.post("/api/v1/models/nobody/rollback", &writer, &json!({})).0, 403);
    assert_eq!(node.post("/api/v1/models/nobody/rollback", &admin, &json!({"reason": "r"})).0, 404);
    assert_eq!(node.get("/api/v1/audit", &reader).0, 403);

    let (status, audit) = node.get("/api/v1/audit?limit=1", &admin);
    assert_eq!((status, &audit["intact"]), (200, &Json::Bool(true)), "{audit}");
    let newest = &audit["changes"][0]["change"];
    assert_eq!(
        (&newest["name"], &newest["status"], &newest["body"]["reason"]),
        (&json!("admin"), &json!(404), &json!("r"))
    );
    let next = audit["next_cursor"].as_str().unwrap();
    let (_, audit) = node.get(&format!("/api/v1/audit?cursor={next}"), &admin);
    let before = &audit["changes"][0]["change"];
    assert_eq!((&before["name"], &before["path"]), (&json!("writer"), &json!("/api/v1/failures")));
    assert!(audit["next_cursor"].is_null() && !audit.to_string().contains(&writer), "{audit}");

    Tokens::of(node.dir.path()).revoke("reader").unwrap();
    wait_until(|| node.get("/api/v1/instances", &reader).0 == 401);
}

#[test]
fn an_agent_sends_with_its_token_over_tls_and_a_renewed_certificate_needs_no_restart() {
    let mut node = Guarded::start(|dir, face| {
        one_admin(dir, face);
        for (name, from) in [("chain.pem", "chain.pem"), ("key.pem", "key.pem")] {
            std::fs::copy(tls_file(from), dir.join(name)).unwrap();
        }
        (face.tls.certificate, face.tls.key) = (dir.join("chain.pem"), dir.join("key.pem"));
    });
    let reader = node.token("reader", &[Scope::Read]);
    let files = tempfile::tempdir().unwrap();
    let token_file = files.path().join("token");
    std::fs::write(&token_file, node.token("agent", &[Scope::Write])).unwrap();
    let mut config = Config { data_dir: files.path().join("data"), ..Config::default() };
    config.collect.host = "afar".into();
    config.collect.groups.enabled = false;
    config.collect.machine.interval_ms = 100;
    config.twin.enabled = false;
    config.forward.server = format!("https://localhost:{}", node.address.port());
    (config.forward.token_file, config.forward.ca_file) = (token_file, tls_file("chain.pem"));
    let agent = Agent::start(&config).unwrap();
    let arrived = |node: &Guarded| node.get("/api/v1/instances/afar", &reader).0 == 200;
    wait_until(|| arrived(&node));
    agent.stop().unwrap();
    let headers = node.client().get(node.url("/")).call().unwrap();
    assert!(headers.headers().contains_key("strict-transport-security"));

    for (from, to) in [("renewed-key.pem", "key.pem"), ("renewed-chain.pem", "chain.pem")] {
        std::fs::copy(tls_file(from), node.dir.path().join(to)).unwrap();
    }
    // The old one is shown no longer.
    wait_until(|| node.client().get(node.url("/-/healthy")).call().is_err());
    node.trusted = "renewed-chain.pem";
    assert_eq!(node.client().get(node.url("/-/healthy")).call().unwrap().status().as_u16(), 200);
}
