//! Certificate and key of the listener, read again when they change: renewals need no restart.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;
use crate::fault::Error;
use crate::stamp::Watch;

/// What connections are accepted with.
pub(crate) struct Keys {
    files: Tls,
    current: Mutex<(TlsAcceptor, Watch)>,
}

impl Keys {
    /// Reads both files.
    pub(crate) fn open(files: &Tls) -> Result<Self, Error> {
        let watch = Watch::of(&paths(files));
        Ok(Self { files: files.clone(), current: Mutex::new((read(files)?, watch)) })
    }

    /// With the files as they are now; as they were, if they cannot be used any more.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1.changed(&paths(&self.files)) {
            match read(&self.files) {
                Ok(acceptor) => {
                    tracing::info!("{}: read again", self.files.certificate.display());
                    current.0 = acceptor;
                }
                // Two files cannot change in one step; the next look, a second later, finds both.
                Err(error) => tracing::warn!("{error}; the certificate read before stays"),
            }
        }
        current.0.clone()
    }
}

fn paths(files: &Tls) -> [&Path; 2] {
    [&files.certificate, &files.key]
}

fn read(files: &Tls) -> Result<TlsAcceptor, Error> {
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| Error::Tls {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let config = || -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
        let chain = CertificateDer::pem_file_iter(&files.certificate)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&files.key)?;
        let provider = Arc::new(ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = versions.with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    };
    Ok(TlsAcceptor::from(Arc::new(config().map_err(wrong)?)))
}
