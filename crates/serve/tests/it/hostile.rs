//! Requests that are broken, huge, cut off or slow, against every endpoint of the document: each gets a clear refusal or
//! none, nothing gets worse, and what was there before is there after.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::server::{Server, server};

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
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(request).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = socket.take(1 << 20).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends bytes and reads what comes back, at most for a while.
fn exchange(server: &Server, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server that refuses early closes before all of it is sent.
    let _ = socket.write_all(request);
    let mut answer = Vec::new();
    let _ = socket.take(1 << 20).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
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

fn alive(server: &Server) {
    assert_eq!(server.get("/-/healthy").status, 200);
}

#[test]
fn broken_bodies_are_refused_by_every_endpoint_that_takes_one() {
    let server = server();
    let host = server.host();
    let before = server.get(&format!("/api/v1/instances/{host}")).json()["first_seen_us"].clone();
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let bodies = [
        "",
        "{",
        "null",
        "[]",
        "\"\"",
        "{\"a\":",
        "\u{0}",
        "{\"instance\":{}}",
        "{\"unknown_field\":1e999}",
        deep.as_str(),
    ];
    for (method, path, takes_json) in endpoints(server, "1") {
        for body in bodies.iter().filter(|_| takes_json) {
            let more = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
            let answer = exchange(server, format!("{}{body}", head(&method, &path, &more)).as_bytes());
            refused(&answer, &format!("{method} {path} {:.20?}", body));
        }
        if method != "GET" && method != "DELETE" {
            let wrong = exchange(
                server,
                format!("{}{{}}", head(&method, &path, "content-type: text/plain\r\ncontent-length: 2\r\n"))
                    .as_bytes(),
            );
            refused(&wrong, &format!("{method} {path} as text"));
            let cut = cut_off(
                server,
                format!(
                    "{}{{\"a\"",
                    head(&method, &path, "content-type: application/json\r\ncontent-length: 900\r\n")
                )
                .as_bytes(),
            );
            assert!(
                status(&cut).is_none_or(|code| (400..500).contains(&code)),
                "{method} {path} cut off: {cut}"
            );
        }
    }
    alive(server);
    assert_eq!(server.get(&format!("/api/v1/instances/{host}")).json()["first_seen_us"], before);
}

#[test]
fn strange_paths_and_queries_are_answered_and_never_with_a_failure_of_ours() {
    let server = server();
    let long = "x".repeat(20_000);
    for filling in [
        "%ff",
        "%00",
        "..",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "-1",
        "18446744073709551616",
        "'%22%3Cscript%3E",
        long.as_str(),
    ] {
        for (method, path, _) in endpoints(server, filling) {
            let more = "content-type: application/json\r\ncontent-length: 2\r\n";
            let answer = exchange(server, format!("{}{{}}", head(&method, &path, more)).as_bytes());
            let code = status(&answer).unwrap_or_else(|| panic!("{method} {path:.60}: {answer:.100}"));
            assert!(code < 500 || path == "/-/ready", "{method} {path:.60}: {answer:.300}");
        }
    }
    for query in [
        "%",
        "=&=&",
        "limit=-1",
        "limit=99999999999999999999",
        "cursor=%00",
        "from=NaN&to=inf",
        "points=1e9",
        "metric=%ff",
    ] {
        for (method, path, _) in endpoints(server, "1").iter().filter(|(_, path, _)| path != "/api/v1/stream")
        {
            let answer = exchange(
                server,
                head(&method, &format!("{path}?{query}"), "content-length: 0\r\n").as_bytes(),
            );
            let code = status(&answer).unwrap_or_else(|| panic!("{method} {path}?{query}: {answer:.100}"));
            assert!(code < 500 || path == "/-/ready", "{method} {path}?{query}: {answer:.300}");
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
        let more = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        let answer = exchange(server, format!("{}{body}", head(&method, &path, &more)).as_bytes());
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
    let began = Instant::now();
    for _ in 0..20 {
        alive(server);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "20 answers took {:?}", began.elapsed());
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
