//! One request to a receiver, with its secrets read anew each time, so that they may be rotated.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::Error;
use crate::config::{Kind, Sink};

/// Characters of an answer that are told.
const ANSWER: usize = 200;
/// Bytes of an answer that are read.
const MOST_BYTES: u64 = 64 << 10;

/// The way to one receiver.
pub(crate) struct Post {
    sink: Sink,
    http: ureq::Agent,
}

impl Post {
    /// # Errors
    /// If the file of authorities cannot be read.
    pub(crate) fn new(sink: &Sink) -> Result<Self, Error> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would carry the secret elsewhere, and turn the POST into a GET.
            .max_redirects(0)
            .user_agent("foretwin")
            .timeout_global(Some(Duration::from_secs_f64(sink.timeout_s)));
        if let Some(path) = &sink.ca_file {
            let roots = RootCerts::new_with_certs(&authorities(path)?);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self { sink: sink.clone(), http: config.build().into() })
    }

    /// Sends one document; the status of the answer.
    ///
    /// # Errors
    /// [`Error::Away`] where another try may help, [`Error::Refused`] where it will not, [`Error::File`] for a secret.
    pub(crate) fn send(&self, document: &Value, content_type: &str) -> Result<u16, Error> {
        let mut request = self.http.post(&self.url()?).header("content-type", content_type);
        if let Some(authorization) = self.authorization()? {
            request = request.header("authorization", &authorization);
        }
        let away = |reason: String, retry_after_s| Error::Away {
            name: self.sink.name.clone(),
            reason,
            retry_after_s,
        };
        // The error's text may hold the URL, which may be a secret.
        let failed = |error: ureq::Error| match error {
            ureq::Error::BadUri(_) => away("its URL is none".into(), None),
            other => away(other.to_string(), None),
        };
        let mut response = request.send(document.to_string()).map_err(failed)?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(status);
        }
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.body_mut().with_config().limit(MOST_BYTES).read_to_string().unwrap_or_default();
        let answer: String = body.trim().chars().take(ANSWER).collect();
        match status {
            // Timeouts, conflicts of locks, too early, too many, and everything that is the receiver's own trouble.
            408 | 423 | 425 | 429 | 500.. => Err(away(format!("status {status}: {answer}"), after)),
            _ => Err(Error::Refused { name: self.sink.name.clone(), status, answer }),
        }
    }

    fn url(&self) -> Result<String, Error> {
        let url = match &self.sink.url_file {
            Some(path) => secret("url_file", path)?,
            None => self.sink.url.clone(),
        };
        Ok(match self.sink.kind {
            Kind::Alertmanager => format!("{}/api/v2/alerts", url.trim_end_matches('/')),
            Kind::Webhook | Kind::Cloudevents => url,
        })
    }

    fn authorization(&self) -> Result<Option<String>, Error> {
        if let Some(path) = &self.sink.token_file {
            return Ok(Some(format!("Bearer {}", secret("token_file", path)?)));
        }
        let Some(path) = &self.sink.password_file else { return Ok(None) };
        let pair = format!("{}:{}", self.sink.user, secret("password_file", path)?);
        Ok(Some(format!("Basic {}", base64(pair.as_bytes()))))
    }
}

/// The first line of a file.
fn secret(field: &'static str, path: &Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::File {
        field,
        path: path.to_path_buf(),
        source,
    })?;
    Ok(text.lines().next().unwrap_or("").trim().to_owned())
}

fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let pem = std::fs::read(path).map_err(|source| Error::File {
        field: "ca_file",
        path: path.to_path_buf(),
        source,
    })?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let found: Vec<_> = parse_pem(&pem).filter_map(certificate).collect();
    if found.is_empty() { Err(Error::Certificates { path: path.to_path_buf() }) } else { Ok(found) }
}

/// Base64 with padding (RFC 4648), as basic authentication (RFC 7617) wants it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let chunk = |three: &[u8]| {
        let bits =
            three.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        let digit = |at: usize| {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]);
            if at <= three.len() { digit } else { '=' }
        };
        [0, 1, 2, 3].map(digit)
    };
    bytes.chunks(3).flat_map(chunk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let told = ["", "f", "fo", "foo", "foobar", "a:ÿ"].map(|text| base64(text.as_bytes()));
        assert_eq!(told, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYmFy", "YTrDvw=="]);
    }

    #[test]
    fn a_missing_secret_is_named_and_an_empty_list_of_authorities_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let sink =
            Sink { token_file: Some(path.clone()), url: "http://127.0.0.1:1".into(), ..Sink::default() };
        let error = Post::new(&sink).unwrap().send(&Value::Null, "application/json").unwrap_err().to_string();
        assert!(error.contains("token_file") && error.contains("token"), "{error}");
        std::fs::write(&path, "nothing\n").unwrap();
        let sink = Sink { ca_file: Some(path), ..Sink::default() };
        assert!(matches!(Post::new(&sink), Err(Error::Certificates { .. })));
    }
}
