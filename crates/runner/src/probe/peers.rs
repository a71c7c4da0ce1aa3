//! Connections to peers: how long the network takes to someone real.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::Shared;
use crate::board::Cost;
use crate::sys;

/// Seconds in which each peer is connected to once.
const ROUND: Duration = Duration::from_secs(5);
/// An attempt that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(1);

/// Connects to one after the other until told to end.
pub fn run(shared: &Shared, peers: &[String]) {
    let pause = ROUND / peers.len().max(1) as u32;
    for peer in peers.iter().cycle() {
        if !shared.gate.wait(pause) || !shared.gate.pass() {
            return;
        }
        match connect_ns(peer) {
            Some(took_ns) => shared.board.push_ns(Cost::Peer, took_ns),
            None => shared.board.count(|counts| counts.peer_errors += 1),
        }
    }
}

/// Without the resolution of the name.
fn connect_ns(peer: &str) -> Option<u64> {
    let addresses = peer.to_socket_addrs().ok()?;
    addresses.into_iter().find_map(|address| {
        let began = sys::monotonic_ns();
        TcpStream::connect_timeout(&address, PATIENCE).ok().map(|_| sys::monotonic_ns() - began)
    })
}
