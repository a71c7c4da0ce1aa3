//! A container daemon for tests: the one that is named or runs, else one started for this test and ended after it.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::support::skip;

pub struct Dockerd {
    pub socket: PathBuf,
    own: Option<Own>,
}

/// A daemon of our own.
struct Own {
    daemon: Child,
    directory: tempfile::TempDir,
}

impl Dockerd {
    /// FORETWIN_CONTAINER_SOCKET, the usual socket, or a daemon of our own.
    pub fn get() -> Option<Self> {
        let named = std::env::var_os("FORETWIN_CONTAINER_SOCKET").map(PathBuf::from);
        let usual = PathBuf::from("/var/run/docker.sock");
        if let Some(socket) = named.into_iter().chain([usual]).find(|path| UnixStream::connect(path).is_ok())
        {
            return Some(Self { socket, own: None });
        }
        Self::start()
    }

    /// A daemon that may be killed.
    pub fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let Some(daemon) = launch(directory.path()) else {
            skip("no container daemon: neither a socket nor a dockerd that comes up is there");
            return None;
        };
        Some(Self { socket, own: Some(Own { daemon, directory }) })
    }

    /// Kills our daemon.
    pub fn crash(&mut self) {
        let own = self.own.as_mut().unwrap();
        own.daemon.kill().unwrap();
        own.daemon.wait().unwrap();
    }

    /// Starts it again where it was.
    pub fn come_back(&mut self) {
        let own = self.own.as_mut().unwrap();
        // A killed daemon leaves its pid file, which may name a process that exists by now.
        std::fs::remove_file(own.directory.path().join("pid")).unwrap();
        own.daemon = launch(own.directory.path()).unwrap();
    }
}

/// Starts a daemon and waits until it answers; none if it cannot be had.
fn launch(directory: &Path) -> Option<Child> {
    let at = |name: &str| directory.join(name);
    let mut daemon = Command::new("dockerd")
        .arg("--data-root")
        .arg(at("data"))
        .arg("--exec-root")
        .arg(at("exec"))
        .arg("--pidfile")
        .arg(at("pid"))
        .arg("-H")
        .arg(format!("unix://{}", at("docker.sock").display()))
        .args(["--iptables=false", "--bridge=none", "--storage-driver=vfs"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while UnixStream::connect(at("docker.sock")).is_err() {
        if Instant::now() > deadline || daemon.try_wait().unwrap().is_some() {
            let _ = daemon.kill();
            let _ = daemon.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(100));
    }
    Some(daemon)
}

impl Drop for Own {
    fn drop(&mut self) {
        // Asked to end, it takes its containerd along.
        let _ = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let _ = self.daemon.wait();
        for _ in 0..50 {
            if std::fs::remove_dir_all(self.directory.path()).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}
