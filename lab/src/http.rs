//! A small HTTP/1.1 client for JSON: one request a connection.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server by its address.
#[derive(Debug, Clone)]
pub struct Server {
    address: String,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body; null where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Errors
    /// With status and body otherwise.
    pub fn success(self) -> Result<Value> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        bail!("the server answered {}: {}", self.status, self.body)
    }
}

impl Server {
    /// Reads `http://HOST:PORT`.
    ///
    /// # Errors
    /// If it is something else.
    pub fn parse(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("http://").context("give the server as http://HOST:PORT")?;
        let address = rest.trim_end_matches('/');
        if address.is_empty() || address.contains('/') {
            bail!("{url}: give the server as http://HOST:PORT, without a path");
        }
        let address = if address.contains(':') { address.into() } else { format!("{address}:80") };
        Ok(Self { address })
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// If the server cannot be reached or does not speak HTTP.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, None)
    }

    /// Posts JSON to a path.
    ///
    /// # Errors
    /// If the server cannot be reached or does not speak HTTP.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.ask("POST", path, Some(body))
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let place = self.address.to_socket_addrs().ok().and_then(|mut found| found.next());
        let place = place.with_context(|| format!("no such host: {}", self.address))?;
        let mut stream = TcpStream::connect_timeout(&place, PATIENCE)
            .with_context(|| format!("connecting to {}: is `foretwin run` running there?", self.address))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let body = body.map_or(String::new(), ToString::to_string);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).with_context(|| format!("sending {method} {path}"))?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).with_context(|| format!("reading the answer to {method} {path}"))?;
        parse(&answer).with_context(|| format!("the answer to {method} {path} is no HTTP"))
    }
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let chunked =
        head.lines().any(|line| line.to_ascii_lowercase().starts_with("transfer-encoding: chunked"));
    let raw = &answer[end + 4..];
    let body = if chunked { dechunk(raw)? } else { raw.to_vec() };
    Some(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
}

/// Joins chunks (RFC 9112, 7.1).
fn dechunk(mut raw: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = raw.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&raw[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let start = end + 2;
        body.extend_from_slice(raw.get(start..start.checked_add(size)?)?);
        raw = raw.get(start + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_of_both_framings() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
        assert_eq!(parse(plain), Some(Answer { status: 200, body: json!({"a": 1}) }));
        let chunked = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n\
                        3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\n\r\n";
        let answer = parse(chunked).unwrap();
        assert_eq!(answer, Answer { status: 404, body: json!([1, 2]) });
        assert!(answer.success().unwrap_err().to_string().contains("404"));
        assert_eq!(parse(b"SSH-2.0-nonsense"), None);
        assert_eq!(dechunk(b"ffffffffffffffff\r\nx"), None);
    }

    #[test]
    fn addresses() {
        assert_eq!(Server::parse("http://a:7878/").unwrap().address, "a:7878");
        assert_eq!(Server::parse("http://a").unwrap().address, "a:80");
        assert!(Server::parse("https://a").is_err() && Server::parse("http://a/b").is_err());
    }
}
