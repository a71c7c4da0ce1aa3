//! How a node is asked over the network: whom to trust, and the token to show.

use std::fs;
use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::Error;

/// Files that stand between a client and a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The token to show; empty: none.
    pub token_file: PathBuf,
    /// Certificates (PEM) to trust; empty: those of the public web.
    pub ca_file: PathBuf,
}

impl Credentials {
    /// Whom to trust.
    ///
    /// # Errors
    /// If the file cannot be read or holds no certificate.
    pub fn tls(&self) -> Result<TlsConfig, Error> {
        let builder = TlsConfig::builder();
        if self.ca_file == Path::new("") {
            return Ok(builder.build());
        }
        let pem = read(&self.ca_file, "reading the certificates in")?;
        let items = parse_pem(pem.as_bytes()).filter_map(Result::ok);
        let trusted: Vec<Certificate<'static>> = items
            .filter_map(|item| if let PemItem::Certificate(one) = item { Some(one) } else { None })
            .collect();
        if trusted.is_empty() {
            let path = self.ca_file.display();
            return Err(Error::Refused(format!("{path} holds no certificate; it must be PEM")));
        }
        Ok(builder.root_certs(RootCerts::new_with_certs(&trusted)).build())
    }

    /// The header that shows the token, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read or holds no token.
    pub fn authorization(&self) -> Result<Option<String>, Error> {
        if self.token_file == Path::new("") {
            return Ok(None);
        }
        let token = read(&self.token_file, "reading the token in")?;
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let path = self.token_file.display();
            return Err(Error::Refused(format!(
                "{path} holds no token; write what foretwin token create said"
            )));
        }
        Ok(Some(format!("Bearer {token}")))
    }
}

fn read(path: &Path, operation: &'static str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File { operation, path: path.to_path_buf(), source })
}

/// Whether what is sent to a URL can be read on its way.
#[must_use]
pub fn is_in_the_open(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let near = ["localhost", "127.", "[::1]"].iter().any(|near| host.starts_with(near));
    !near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_and_what_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let credentials = Credentials { token_file: path.clone(), ca_file: path.clone() };
        assert_eq!(Credentials::default().authorization().unwrap(), None);
        assert!(credentials.authorization().is_err());
        fs::write(&path, "ftw_1\n").unwrap();
        assert_eq!(credentials.authorization().unwrap(), Some("Bearer ftw_1".into()));
        assert!(credentials.tls().unwrap_err().to_string().contains("PEM"));
        for wrong in ["", "\n", "two words", "a\r\nx-evil: 1"] {
            fs::write(&path, wrong).unwrap();
            assert!(credentials.authorization().unwrap_err().to_string().contains("token"), "{wrong:?}");
        }
    }

    #[test]
    fn only_what_leaves_the_machine_without_tls_is_in_the_open() {
        assert!(is_in_the_open("http://foretwin.example:7878"));
        for fine in
            ["https://foretwin.example", "http://127.0.0.1:7878", "http://localhost/", "http://[::1]:1"]
        {
            assert!(!is_in_the_open(fine), "{fine}");
        }
    }
}
