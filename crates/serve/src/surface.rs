//! The face of a node as the configuration wants it: opened before anything starts, so that mistakes end it in words.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use foretwin_engine::Handle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::access::{Access, Anonymous};
use crate::audit::Chain;
use crate::config::{Config, Limits};
use crate::fault::Error;
use crate::listen::{Front, Keys, listen};
use crate::{State, router};

/// How long requests under way may hold the stop.
const GRACE: Duration = Duration::from_secs(10);

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) access: Access,
    /// Changes are told here; none where nothing durable is kept.
    pub(crate) audit: Option<Arc<Chain>>,
    pub(crate) limits: Limits,
    /// One for each request that is worked on.
    pub(crate) slots: Semaphore,
    /// Only this machine can reach the listener.
    pub(crate) loopback: bool,
    pub(crate) tls: bool,
}

/// A face that is ready to be shown.
pub struct Surface {
    shared: Shared,
    keys: Option<Arc<Keys>>,
    data_dir: Option<PathBuf>,
}

impl Surface {
    /// Reads tokens and certificates of a node.
    ///
    /// # Errors
    /// If others could reach it and there is neither a token nor TLS, or a setting or file is of no use.
    pub fn open(config: &Config, data_dir: &Path) -> Result<Self, Error> {
        config.validate()?;
        Self::build(config, Some(data_dir))
    }

    /// Without tokens and audit: for tests, on loopback.
    fn bare(config: &Config) -> Result<Self, Error> {
        Self::build(config, None)
    }

    fn build(config: &Config, data_dir: Option<&Path>) -> Result<Self, Error> {
        let loopback = config.listen.ip().to_canonical().is_loopback();
        let keys = config.has_tls().then(|| Keys::open(&config.tls)).transpose()?.map(Arc::new);
        let anonymous = match (loopback, &keys) {
            (true, _) => Anonymous::Everything,
            (false, Some(_)) => Anonymous::Read,
            (false, None) => Anonymous::Nothing,
        };
        let access = Access::open(data_dir, anonymous, &config.limits)?;
        if anonymous == Anonymous::Nothing && !access.has_tokens() {
            return Err(Error::Open { listen: config.listen });
        }
        let (limits, tls) = (config.limits.clone(), keys.is_some());
        let slots = Semaphore::new(limits.requests);
        Ok(Self {
            shared: Shared { access, audit: None, limits, slots, loopback, tls },
            keys,
            data_dir: data_dir.map(Path::to_path_buf),
        })
    }

    /// What stands before an address in its URL.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.shared.tls { "https" } else { "http" }
    }

    /// What an operator should know of it, if anything.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        let open = !self.shared.loopback && self.shared.tls && !self.shared.access.has_tokens();
        open.then_some(
            "there is no token: whoever reaches this address may read everything and change nothing. foretwin token \
             create makes tokens; from the first on, one is needed",
        )
    }

    /// Serves a node until `stop` is done; requests under way are finished if that takes no more than ten seconds, live
    /// streams are ended.
    ///
    /// # Errors
    /// If the listener is not the one that was asked for, or the audit cannot be opened.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        handle: Handle,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        // What is bound decides, not what was asked for.
        let bound = listener.local_addr()?.ip().to_canonical();
        if !bound.is_loopback() && self.shared.loopback {
            return Err(std::io::Error::other("the listener is not the one that serve.listen names"));
        }
        // Only now: whoever has a handle holds the data directory.
        if let Some(dir) = &self.data_dir {
            self.shared.audit = Some(Arc::new(Chain::open(dir).map_err(std::io::Error::other)?));
        }
        let (ended, ending) = tokio::sync::watch::channel(false);
        let mut stopping = ending.clone();
        let stop = async move {
            stop.await;
            // Live streams would otherwise hold the connection, and so the stop, for as long as someone watches.
            let _ = ended.send(true);
        };
        let overdue = async move {
            // An error means that the server is gone, which ends the other branch.
            let _ = stopping.wait_for(|&ended| ended).await;
            tokio::time::sleep(GRACE).await;
        };
        let limits = self.shared.limits.clone();
        let state = State { handle, ending, shared: Arc::new(self.shared) };
        let front = Front { router: router(state), keys: self.keys, limits };
        tokio::select! {
            () = listen(listener, front, stop) => Ok(()),
            () = overdue => Ok(()),
        }
    }
}

/// Serves a node on loopback without tokens, TLS and audit, as tests and programs that hold a node themselves do.
///
/// # Errors
/// If the listener can be reached from elsewhere.
pub async fn serve(
    listener: TcpListener,
    handle: Handle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let config = Config { listen: listener.local_addr()?, ..Config::default() };
    let surface = Surface::bare(&config).map_err(std::io::Error::other)?;
    surface.serve(listener, handle, stop).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scope, Tokens};

    #[test]
    fn beyond_loopback_a_token_or_tls_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let open = |listen: &str| {
            let config = Config { listen: listen.parse().unwrap(), ..Config::default() };
            Surface::open(&config, dir.path()).map(|_| ()).map_err(|error| error.to_string())
        };
        for near in ["127.0.0.1:0", "[::1]:0", "127.8.8.8:0", "[::ffff:127.0.0.1]:0"] {
            open(near).unwrap();
        }
        for far in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let error = open(far).unwrap_err();
            assert!(error.contains("foretwin token create") && error.contains("serve.tls"), "{error}");
        }
        Tokens::of(dir.path()).create("me", &[Scope::Read], 0).unwrap();
        open("0.0.0.0:0").unwrap();
    }

    #[test]
    fn files_of_tls_that_are_none_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        (config.tls.certificate, config.tls.key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
        let error = Surface::open(&config, dir.path()).err().unwrap().to_string();
        assert!(error.contains("chain.pem") && error.contains("key.pem"), "{error}");
    }
}
