//! A container daemon for tests: the one that is named or runs, else one started for this test and ended after it.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::support::skip;

pub struct Dockerd {
    pub socket: PathBuf,
    _own: Option<Own>,
}

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
            return Some(Self { socket, _own: None });
        }
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let socket = at("docker.sock");
        let started = Command::new("dockerd")
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("-H")
            .arg(format!("unix://{}", socket.display()))
            .args(["--iptables=false", "--bridge=none", "--storage-driver=vfs"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(daemon) = started else {
            skip("no container daemon: neither a socket nor dockerd is there");
            return None;
        };
        let own = Own { daemon, directory };
        let deadline = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(&socket).is_err() {
            if Instant::now() > deadline {
                skip("dockerd does not come up");
                return None;
            }
            thread::sleep(Duration::from_millis(100));
        }
        Some(Self { socket, _own: Some(own) })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Ordinarily it takes its containerd along.
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
