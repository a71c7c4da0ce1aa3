//! The way back to a runner: further orders over the connection that its frames come from.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use foretwin_core::Order;

use crate::runner;

/// How long a runner may take to read an order. Whoever keeps twins must not wait for one that hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// The writing end of a connection that may be replaced at any time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input(Arc<Mutex<Option<UnixStream>>>);

impl Input {
    /// Takes a connection into use: reads of it time out, so that its reader notices when it shall end.
    pub fn connect(&self, stream: &UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.try_clone()?);
        Ok(())
    }

    /// Sends an order.
    pub fn tell(&self, order: &Order) -> io::Result<()> {
        let mut input = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = input.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        stream.write_all(&runner::encode(order))
    }
}

/// Sends an order through a pipe, which has no time-outs of its own.
pub(crate) fn tell_pipe(pipe: &mut (impl Write + AsFd), order: &Order) -> io::Result<()> {
    let flags = crate::process::set_nonblocking(pipe.as_fd());
    flags?;
    let (bytes, deadline) = (runner::encode(order), Instant::now() + PATIENCE);
    let mut left = &bytes[..];
    while !left.is_empty() {
        match pipe.write(left) {
            Ok(written) => left = &left[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn an_order_arrives_whole_and_a_deaf_runner_is_given_up() {
        let order = Order { label: "x".repeat(300_000), ..Order::default() };
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let input = Input::default();
        assert!(input.tell(&order).is_err(), "not connected");
        input.connect(&ours).unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes =
                vec![0; runner::encode(&Order { label: "x".repeat(300_000), ..Order::default() }).len()];
            theirs.read_exact(&mut bytes).map(|()| (bytes, theirs))
        });
        input.tell(&order).unwrap();
        let (bytes, _theirs) = reader.join().unwrap().unwrap();
        assert_eq!(bytes, runner::encode(&order));
        assert!(input.tell(&order).is_err(), "nobody reads");
        let mut child = std::process::Command::new("sleep")
            .arg("30")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let told = tell_pipe(child.stdin.as_mut().unwrap(), &order);
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
