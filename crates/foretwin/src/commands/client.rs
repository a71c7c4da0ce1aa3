//! Questions to a running node over HTTP.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use foretwin_engine::Credentials;
use serde_json::Value;

/// What secures the questions of this process: set once, before the first.
static CREDENTIALS: OnceLock<Credentials> = OnceLock::new();
/// The token itself, for where there is no file of it.
const TOKEN: &str = "FORETWIN_TOKEN";

/// Says what secures every question of this process, and whether the files for it are of use.
pub fn secure(credentials: Credentials) -> Result<()> {
    credentials.authorization().context("--token-file")?;
    credentials.tls().context("--ca-file")?;
    // Whoever was first has said it.
    let _ = CREDENTIALS.set(credentials);
    Ok(())
}

/// The header that shows the token, if there is one; the file stands over the environment.
fn authorization() -> Result<Option<String>> {
    let credentials = CREDENTIALS.get().cloned().unwrap_or_default();
    let own = std::env::var(TOKEN).ok().filter(|token| !token.trim().is_empty());
    Ok(credentials.authorization()?.or_else(|| own.map(|token| format!("Bearer {}", token.trim()))))
}

/// Shows the token with a request.
fn shown(
    mut request: ureq::http::Request<ureq::SendBody<'_>>,
    next: ureq::middleware::MiddlewareNext<'_>,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let wrong = |error: &dyn std::fmt::Display| ureq::Error::Io(std::io::Error::other(error.to_string()));
    if let Some(token) = authorization().map_err(|error| wrong(&error))? {
        let value = token.parse().map_err(|_| wrong(&format!("{TOKEN} holds no token")))?;
        request.headers_mut().insert(ureq::http::header::AUTHORIZATION, value);
    }
    next.handle(request)
}

/// A node.
pub struct Client {
    base: String,
    http: ureq::Agent,
}

impl Client {
    /// The node at a URL.
    pub fn new(server: &str) -> Self {
        let mut config = ureq::Agent::config_builder().http_status_as_error(false).middleware(shown);
        match CREDENTIALS.get().cloned().unwrap_or_default().tls() {
            Ok(tls) => config = config.tls_config(tls),
            Err(error) => tracing::warn!("{error}; the certificates of the public web are trusted"),
        }
        let http = config.timeout_global(Some(Duration::from_secs(60))).build().into();
        Self { base: server.trim_end_matches('/').to_owned(), http }
    }

    /// The JSON at a path.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.json(self.http.get(&self.url(path)).call())
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Result<Vec<u8>> {
        let mut response = self.reached(self.http.get(&self.url(path)).call())?;
        if response.status().is_success() {
            let body = response.body_mut().with_config().limit(u64::MAX);
            return Ok(body.read_to_vec()?);
        }
        self.json(Ok(response))?;
        bail!("{path}: the answer is no file")
    }

    /// A body without end, such as a stream of events.
    pub fn stream(&self, path: &str) -> Result<impl std::io::Read + use<>> {
        let request = self.http.get(&self.url(path)).config().timeout_global(None).build();
        let response = self.reached(request.call())?;
        if !response.status().is_success() {
            bail!("{path}: the answer is {}", response.status());
        }
        Ok(response.into_body().into_reader())
    }

    /// The answer to asking that something ends.
    pub fn delete(&self, path: &str) -> Result<Value> {
        self.json(self.http.delete(&self.url(path)).call())
    }

    /// The answer to a document.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(&self.url(path)).header("content-type", "application/json");
        self.json(request.send(&body.to_string()))
    }

    /// The answer to a file.
    pub fn send(&self, path: &str, file: &[u8]) -> Result<Value> {
        let request = self.http.post(&self.url(path)).header("content-type", "application/octet-stream");
        self.json(request.send(file))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn reached(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<ureq::http::Response<ureq::Body>> {
        response.with_context(|| {
            format!("{}: no answer; is `foretwin run` running there? (--server sets another URL)", self.base)
        })
    }

    fn json(&self, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value> {
        let mut response = self.reached(response)?;
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
        let answer: Value = serde_json::from_str(&body).context("the answer is not JSON")?;
        match answer["error"]["message"].as_str() {
            Some(message) => bail!("{message}"),
            None => Ok(answer),
        }
    }
}

/// Percent-encodes a name for a path (RFC 3986).
pub fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment() {
        assert_eq!(encoded("web-1/a b.service"), "web-1%2Fa%20b.service");
    }
}
