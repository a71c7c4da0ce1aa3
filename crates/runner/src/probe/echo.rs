//! One TCP connection over loopback whose far end sends back what it gets: two wake-ups and the network stack.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use crate::sys;

/// Bytes of a round trip's message.
const MESSAGE: usize = 64;
/// A round trip that takes longer is given up, and the connection with it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The near end.
#[derive(Debug)]
pub struct Near(TcpStream);

/// Both ends of a new connection: the one that answers, and the one that measures.
///
/// # Errors
/// If loopback is not there.
pub fn pair() -> io::Result<(TcpStream, Near)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    for end in [&near, &far] {
        end.set_nodelay(true)?;
    }
    near.set_read_timeout(Some(PATIENCE))?;
    Ok((far, Near(near)))
}

/// Sends back what comes until the near end is gone.
pub fn answer(mut far: TcpStream) {
    let mut message = [0; MESSAGE];
    while far.read_exact(&mut message).is_ok() && far.write_all(&message).is_ok() {}
}

impl Near {
    /// Nanoseconds of one round trip.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn round_trip_ns(&mut self) -> io::Result<u64> {
        let mut message = [7; MESSAGE];
        let began = sys::monotonic_ns();
        self.0.write_all(&message)?;
        self.0.read_exact(&mut message)?;
        Ok(sys::monotonic_ns() - began)
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        // The far end reads its end and ends its thread.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_and_the_end_is_noticed() {
        let (far, mut near) = pair().unwrap();
        let thread = std::thread::spawn(move || answer(far));
        assert!(near.round_trip_ns().unwrap() > 0);
        drop(near);
        thread.join().unwrap();
    }
}
