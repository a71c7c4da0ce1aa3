//! Requests that are broken, huge, cut off or slow, against every endpoint of the document: each gets a clear refusal or
//! none, nothing gets worse, and what was there before is there after.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::Value as Json;

use super::server::{PATIENCE, Server, server};

/// Method, path with every place filled, and whether it takes a body of JSON.
fn endpoints(server: &Server, filling: &str) -> Vec<(String, String, bool)> {
    let document = server.get("/api/v1/openapi.json").json();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { filling } else { part }).collect();
        for (method, operation) in methods.as_object().unwrap() {
            let json = operation["requestBody"]["content"]["application/json"].is_object();
            found.push((method.to_uppercase(), path.join("/"), json));
        }
    }
    assert!(found.len() > 40, "the document has {} endpoints", found.len());
    found
}

/// Sends a part of a request, says that no more comes, and reads what comes back.
fn cut_off(server: &Server, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = socket.take(1 << 20).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends bytes and reads what comes back, at most for a while.
fn exchange(server: &Server, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    // A server that refuses early closes before all of it is sent.
    let _ = socket.write_all(request);
    let (mut answer, mut chunk) = (String::new(), [0; 1 << 16]);
    while let Ok(read) = socket.read(&mut chunk) {
        answer.push_str(&String::from_utf8_lossy(&chunk[..read]));
        // A stream of events has no end: that it begins is the answer.
        if read == 0 || answer.len() > 1 << 20 || answer.contains("text/event-stream") {
            break;
        }
    }
    answer
}

fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// A refusal in the one shape. Where the request was no HTTP, the library below answers without a body.
fn refused(answer: &str, what: &str) {
    let code = status(answer).unwrap_or_else(|| panic!("{what}: {answer:?}"));
    assert!((400..500).contains(&code), "{what}: {answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let error: Json =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error} in {answer}"));
    assert!(error["error"]["code"].is_string() && error["error"]["message"].is_string(), "{what}: {answer}");
}

fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n")
}

/// A request with a body that claims a length.
fn sent(method: &str, path: &str, (kind, length): (&str, usize), body: &str) -> Vec<u8> {
    let more = format!("content-type: {kind}\r\ncontent-length: {length}\r\n");
    format!("{}{body}", head(method, path, &more)).into_bytes()
}

const JSON: &str = "application/json";

fn alive(server: &Server) {
    assert_eq!(server.get("/-/healthy").status, 200);
}

const BODIES: &[&str] =
    &["", "{", "null", "[]", "\"\"", "{\"a\":", "\u{0}", "{\"instance\":{}}", "{\"unknown_field\":1e999}"];
const NAMES: &[&str] =
    &["%ff", "%00", "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "-1", "18446744073709551616", "'%22%3Cscript%3E"];
const QUERIES: &[&str] = &[
    "%",
    "=&=&",
    "limit=-1",
    "limit=99999999999999999999",
    "cursor=%00",
    "from=NaN&to=inf",
    "points=1e9",
    "metric=%ff",
];

#[test]
fn broken_bodies_are_refused_by_every_endpoint_that_takes_one() {
    let server = server();
    let host = server.host();
    let first_seen = || server.get(&format!("/api/v1/instances/{host}")).json()["first_seen_us"].clone();
    let before = first_seen();
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for (method, path, takes_json) in endpoints(server, "1") {
        for body in BODIES.iter().copied().chain([deep.as_str()]).filter(|_| takes_json) {
            let answer = exchange(server, &sent(&method, &path, (JSON, body.len()), body));
            refused(&answer, &format!("{method} {path} {}", &body[..body.len().min(20)]));
        }
        // Protocols of others have errors of their own.
        if takes_json || path.ends_with("/ingest") || path.ends_with("/import") {
            let wrong = exchange(server, &sent(&method, &path, ("text/plain", 2), "{}"));
            refused(&wrong, &format!("{method} {path} as text"));
            let cut = cut_off(server, &sent(&method, &path, (JSON, 900), "{\"a\""));
            assert!(status(&cut).is_none_or(|code| (400..500).contains(&code)), "{method} {path}: {cut}");
        }
    }
    alive(server);
    assert_eq!(first_seen(), before);
}

#[test]
fn strange_names_and_queries_are_no_failure_of_ours() {
    let server = server();
    let long = "x".repeat(20_000);
    let fine = |request: &[u8], what: &str| {
        let answer = exchange(server, request);
        let code = status(&answer).unwrap_or_else(|| panic!("{what}: {answer}"));
        assert!(code < 500 || what.contains("/-/ready"), "{what}: {answer}");
    };
    for name in NAMES.iter().copied().chain([long.as_str()]) {
        for (method, path, _) in endpoints(server, name) {
            fine(&sent(&method, &path, (JSON, 2), "[]"), &format!("{method} {path}"));
        }
    }
    for query in QUERIES {
        for (method, path, _) in endpoints(server, "1") {
            let path = format!("{path}?{query}");
            fine(&sent(&method, &path, (JSON, 0), ""), &format!("{method} {path}"));
        }
    }
    alive(server);
}

#[test]
fn what_is_no_http_is_refused_or_dropped() {
    let server = server();
    let headers = (0..200).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let large = format!("x: {}\r\n", "y".repeat(200 << 10));
    let requests: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"get http://[::1 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"POST /api/v1/failures HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
        b"POST /api/v1/failures HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST /api/v1/failures HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        &head("GET", "/", &headers).into_bytes(),
        &head("GET", "/", &large).into_bytes(),
    ];
    for request in requests {
        let answer = exchange(server, request);
        assert!(
            status(&answer).is_none_or(|code| (400..500).contains(&code)),
            "{request:.60?}: {answer:.200}"
        );
    }
    alive(server);
}

#[test]
fn bodies_over_the_limit_are_refused_before_they_are_held() {
    let server = server();
    for (method, path, takes_json) in endpoints(server, "1") {
        if !takes_json || path == "/api/v1/reports" {
            continue;
        }
        let body = format!("{{\"instance\": \"{}\"}}", "a".repeat(200 << 10));
        let answer = exchange(server, &sent(&method, &path, (JSON, body.len()), &body));
        // Where the answer was lost to the reset of a connection that still sends, the body was refused all the same.
        if let Some(code) = status(&answer) {
            assert_eq!(code, 413, "{method} {path}: {answer:.300}");
        }
    }
    alive(server);
}

#[test]
fn many_slow_connections_do_not_keep_others_out_and_cost_little() {
    let server = server();
    let before = resident_bytes();
    let slow: Vec<TcpStream> = (0..200)
        .map(|n| {
            let mut socket = TcpStream::connect(server.address()).unwrap();
            let part = if n % 2 == 0 { "GET /api/v1/inst" } else { "POST /api/v1/ingest HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: 60000000\r\n\r\nxx" };
            socket.write_all(part.as_bytes()).unwrap();
            socket
        })
        .collect();
    for _ in 0..20 {
        alive(server);
    }
    // Those that send a body have minutes for it: the answers came while they held on.
    let held = |socket: &&TcpStream| {
        socket.set_nonblocking(true).unwrap();
        socket.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    assert!(slow.iter().skip(1).step_by(2).filter(held).count() > 50, "the slow ones were let go");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 200 << 20, "200 slow connections cost {grown} bytes");
    drop(slow);
    alive(server);
}

/// Of this process, which holds server and clients.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
