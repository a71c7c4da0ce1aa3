//! As much of HTTP/1.1 (RFC 9112) as a container daemon's socket needs: one request on one connection, answers with
//! a length, in chunks or up to the end, and connections that become a plain stream.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most bytes of an answer: the longest, a list of containers, has some hundred kilobytes.
const MOST_BYTES: u64 = 32 << 20;
/// How long the daemon may take for one answer. Making a container can take seconds on a busy disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon's socket.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub socket: PathBuf,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub method: &'static str,
    /// Path and query, escaped.
    pub path: &'a str,
    pub content_type: &'static str,
    pub body: &'a [u8],
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.into() }
    }

    /// Asks and waits for the whole answer.
    pub fn ask(&self, request: &Request<'_>) -> io::Result<Answer> {
        let (head, mut stream) = self.send(request, "close")?;
        let body = body(&head, &mut stream)?;
        Ok(Answer { status: head.status, body })
    }

    /// Asks for a connection that carries a stream from then on; else the answer.
    pub fn upgrade(&self, path: &str) -> io::Result<Result<BufReader<UnixStream>, Answer>> {
        let request = Request { method: "POST", path, content_type: "text/plain", body: &[] };
        let (head, mut stream) = self.send(&request, "Upgrade\r\nUpgrade: tcp")?;
        // Old daemons switch without saying 101.
        let switched = head.status == 101 || (head.status == 200 && head.length.is_none() && !head.chunked);
        if switched {
            return Ok(Ok(stream));
        }
        let body = body(&head, &mut stream)?;
        Ok(Err(Answer { status: head.status, body }))
    }

    fn send(&self, request: &Request<'_>, connection: &str) -> io::Result<(Head, BufReader<UnixStream>)> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            request.method,
            request.path,
            request.content_type,
            request.body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(request.body)?;
        let mut stream = BufReader::new(stream);
        let head = read_head(&mut stream)?;
        Ok((head, stream))
    }
}

/// What matters of an answer's head.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn read_head(stream: &mut impl BufRead) -> io::Result<Head> {
    let mut head = Head { status: 0, length: None, chunked: false };
    let mut bounded = stream.take(64 << 10);
    let mut line = String::new();
    loop {
        line.clear();
        if bounded.read_line(&mut line)? == 0 {
            return Err(invalid("the answer ends within its head"));
        }
        let text = line.trim_end();
        if head.status == 0 {
            let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
            head.status =
                status.and_then(|text| text.parse().ok()).ok_or(invalid("the answer is not HTTP/1"))?;
        } else if text.is_empty() {
            return Ok(head);
        } else if let Some((name, value)) = text.split_once(':') {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                head.length = Some(value.parse().map_err(|_| invalid("the answer's length is no number"))?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.chunked = value.to_ascii_lowercase().ends_with("chunked");
            }
        }
    }
}

fn body(head: &Head, stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if matches!(head.status, 204 | 304) {
        return Ok(body);
    }
    if head.chunked {
        return chunks(stream);
    }
    let length = head.length.unwrap_or(MOST_BYTES);
    if length > MOST_BYTES {
        return Err(invalid("the answer is longer than any that is known"));
    }
    stream.take(length).read_to_end(&mut body)?;
    if head.length.is_some_and(|length| length != body.len() as u64) {
        return Err(invalid("the answer is cut short"));
    }
    Ok(body)
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.take(1024).read_line(&mut line)?;
        let size = line.trim().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(|_| invalid("a chunk's size is no number"))?;
        if size == 0 {
            return Ok(body);
        }
        if body.len() as u64 + size > MOST_BYTES {
            return Err(invalid("the answer is longer than any that is known"));
        }
        let before = body.len() as u64;
        stream.take(size).read_to_end(&mut body)?;
        let mut end = [0; 2];
        stream.read_exact(&mut end)?;
        if body.len() as u64 - before != size || end != *b"\r\n" {
            return Err(invalid("a chunk is cut short"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let mut stream = text;
        let head = read_head(&mut stream)?;
        Ok((head.status, body(&head, &mut stream)?))
    }

    #[test]
    fn answers_end_in_three_ways() {
        let (status, body) = answer(b"HTTP/1.1 201 Created\r\ncontent-LENGTH: 2\r\n\r\n{}rest").unwrap();
        assert_eq!((status, body.as_slice()), (201, &b"{}"[..]));
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n";
        assert_eq!(answer(chunked).unwrap().1, b"abcd");
        assert_eq!(answer(b"HTTP/1.0 200 OK\r\n\r\nto the end").unwrap().1, b"to the end");
        assert_eq!(answer(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), (204, Vec::new()));
    }

    #[test]
    fn broken_answers_are_errors() {
        for text in [
            &b""[..],
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nab",
        ] {
            assert!(answer(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }
}
