//! `foretwin run`, `agent` and `server`: a node until SIGTERM or SIGINT.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use foretwin_core::InstanceId;
use foretwin_engine::{Agent, Credentials, Node, Roles};
use foretwin_serve::Surface;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{AgentArgs, RunArgs};
use crate::commands::client::encoded;
use crate::settings::Settings;

/// Which stages a serving node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Everything,
    Server,
}

pub fn run(args: &RunArgs, kind: Kind) -> Result<ExitCode> {
    let mut settings = Settings::load(args.config.as_deref())?;
    if let Some(dir) = &args.data_dir {
        settings.data_dir.clone_from(dir);
    }
    if let Some(listen) = args.listen {
        settings.serve.listen = listen;
    }
    let tls = &mut settings.serve.tls;
    tls.certificate = args.tls_certificate.clone().unwrap_or_else(|| tls.certificate.clone());
    tls.key = args.tls_key.clone().unwrap_or_else(|| tls.key.clone());
    let config = settings.engine()?;
    // The address is taken before anything is started, so that a second node fails at once and in words.
    let shown = Shown::at(&settings)?;
    let roles = Roles { collect: kind == Kind::Everything };
    let node = Node::start(&config, roles)?;
    tracing::info!("data in {}", config.data_dir.display());
    tracing::info!("listening on {}://{}", shown.surface.scheme(), settings.serve.listen);
    if let Some(warning) = shown.surface.warning() {
        tracing::warn!("{warning}");
    }
    shown.until_stopped(node)?;
    Ok(ExitCode::SUCCESS)
}

/// An address at which a node is to be shown.
pub struct Shown {
    surface: Surface,
    runtime: Runtime,
    listener: TcpListener,
}

impl Shown {
    /// Takes the address that the settings name.
    pub fn at(settings: &Settings) -> Result<Self> {
        let surface = Surface::open(&settings.serve, &settings.data_dir)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listen = settings.serve.listen;
        let listener = runtime.block_on(TcpListener::bind(listen)).with_context(|| {
            format!(
                "serve.listen: {listen} cannot be bound; stop what listens there or choose another --listen"
            )
        })?;
        Ok(Self { surface, runtime, listener })
    }

    /// Where the page has one instance.
    pub fn address(&self, id: &InstanceId) -> String {
        let at = self.listener.local_addr().map_or_else(|_| "?".into(), |address| address.to_string());
        format!("{}://{at}/#/i/{}", self.surface.scheme(), encoded(id.as_str()))
    }

    /// Answers until SIGTERM or SIGINT, and stops the node.
    pub fn until_stopped(self, node: Node) -> Result<()> {
        self.runtime.block_on(self.surface.serve(self.listener, node.handle(), stopped()))?;
        tracing::info!("stopping");
        Ok(node.stop()?)
    }
}

pub fn agent(args: &AgentArgs, credentials: Credentials) -> Result<ExitCode> {
    let mut settings = Settings::load(args.config.as_deref())?;
    if let Some(dir) = &args.data_dir {
        settings.data_dir.clone_from(dir);
    }
    if let Some(server) = &args.server {
        settings.forward.server.clone_from(server);
    }
    let Credentials { token_file, ca_file } = credentials;
    if token_file != Path::new("") {
        settings.forward.token_file = token_file;
    }
    if ca_file != Path::new("") {
        settings.forward.ca_file = ca_file;
    }
    let config = settings.engine()?;
    if config.forward.server.is_empty() {
        bail!("forward.server is empty; give --server http://HOST:7878, or set it in the configuration");
    }
    // Its one worker listens to signals while this thread stops the agent.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let agent = Agent::start(&config)?;
    tracing::info!("sending to {}, spooling in {}", config.forward.server, config.data_dir.display());
    runtime.block_on(stopped());
    tracing::info!("stopping");
    agent.stop()?;
    Ok(ExitCode::SUCCESS)
}

/// Until SIGTERM or SIGINT; another one later ends the process at once, with status 1. If handlers cannot be set, until
/// killed.
async fn stopped() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    either(&mut terminate, &mut interrupt).await;
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::warn!("ended at once; the log recovers at the next start");
        std::process::exit(1);
    });
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
