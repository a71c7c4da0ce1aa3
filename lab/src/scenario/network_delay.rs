//! Requests go over a loopback of the run's own, whose packets are delayed from the onset on.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{Course, Setting, Tick};
use crate::sys;
use crate::work::{between, serve};

/// Requests over a network that gets slow.
#[derive(Debug)]
pub struct NetworkDelay {
    client: TcpStream,
    delay_ms: f64,
    delayed: bool,
}

impl NetworkDelay {
    /// 5 to 50 ms each way, with a fifth of jitter.
    ///
    /// # Errors
    /// If the user may not make networks, or `ip` is missing.
    pub fn new(mut setting: Setting) -> io::Result<Self> {
        sys::leave_network()?;
        command("ip", &["link", "set", "lo", "up"])?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::Builder::new().spawn(move || listener.accept().and_then(|(peer, _)| echo(peer)))?;
        let client = TcpStream::connect(address)?;
        client.set_nodelay(true)?;
        client.set_read_timeout(Some(Duration::from_secs(2)))?;
        Ok(Self { client, delay_ms: between(&mut setting.rng, 5.0, 50.0), delayed: false })
    }
}

fn echo(mut peer: TcpStream) -> io::Result<()> {
    peer.set_nodelay(true)?;
    let mut byte = [0];
    loop {
        peer.read_exact(&mut byte)?;
        peer.write_all(&byte)?;
    }
}

/// Runs a network tool; its words become the error.
fn command(program: &str, arguments: &[&str]) -> io::Result<()> {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(io::Error::other(format!("{program} {}: {}", arguments.join(" "), said.trim())))
}

fn delay(delay_ms: f64) -> io::Result<()> {
    let (delay, jitter) = (format!("{delay_ms:.1}ms"), format!("{:.1}ms", delay_ms / 5.0));
    command("tc", &["qdisc", "add", "dev", "lo", "root", "netem", "delay", &delay, &jitter])
}

impl Course for NetworkDelay {
    fn request(&mut self) -> io::Result<()> {
        serve();
        self.client.write_all(b".")?;
        self.client.read_exact(&mut [0])
    }

    fn step(&mut self, tick: &Tick) -> io::Result<()> {
        if tick.since_s >= 0.0 && !self.delayed {
            self.delayed = true;
            delay(self.delay_ms)?;
        }
        Ok(())
    }
}

/// Tries a delay in a network that ends at once; what went wrong, with the remedy.
pub fn missing() -> Option<String> {
    let remedy = "install iproute2, load the kernel module sch_netem, and run as root";
    // A thread of its own: only it leaves the network, and its end restores everything.
    let tried = thread::spawn(|| sys::leave_network().and_then(|()| delay(1.0))).join();
    match tried {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("network emulation is missing ({error}): {remedy}")),
        Err(_) => Some(format!("network emulation could not be tried: {remedy}")),
    }
}
