//! State of established TCP connections, asked of the kernel over netlink (`sock_diag(7)`).
#![allow(unsafe_code)] // Netlink sockets have no safe counterpart in the standard library.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::Error;

/// What the kernel knows of one established connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Own address.
    pub local: IpAddr,
    /// Own port.
    pub local_port: u16,
    /// The peer's address.
    pub remote: IpAddr,
    /// The peer's port.
    pub remote_port: u16,
    /// The socket's inode, by which its process can be found.
    pub inode: u32,
    /// Smoothed round-trip time in microseconds (RFC 6298).
    pub rtt_us: u32,
    /// Its mean deviation in microseconds.
    pub rtt_var_us: u32,
    /// Retransmissions of the segment now waiting for its acknowledgement.
    pub retransmits: u8,
    /// Segments retransmitted since the connection was made.
    pub total_retransmits: u32,
}

impl Connection {
    /// Whether both ends are on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.remote == self.local || self.remote.to_canonical().is_loopback()
    }
}

const HEADER: usize = 16;
const REQUEST: usize = 56;
/// Fixed part of each answer, before its attributes.
const MESSAGE: usize = 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_INFO: u16 = 2;
const ESTABLISHED: u32 = 1 << 1;

/// Calls `each` for established connections over IPv4 and IPv6 until all are told, or `most` are. Returns how many
/// were told.
///
/// # Errors
/// If the kernel does not offer it, or stops answering.
pub fn established(most: usize, mut each: impl FnMut(&Connection)) -> Result<usize, Error> {
    let mut told = 0;
    for family in [libc::AF_INET, libc::AF_INET6] {
        // A socket of its own, so that what is left of an unfinished answer is dropped with it.
        let socket = open().map_err(|source| failed("socket", source))?;
        send(&socket, &request(family as u8)).map_err(|source| failed("sendto", source))?;
        told += receive(&socket, most - told, &mut each).map_err(|source| failed("recv", source))?;
        if told >= most {
            break;
        }
    }
    Ok(told)
}

fn failed(call: &'static str, source: io::Error) -> Error {
    Error::Call { call, object: "netlink socket of sock_diag".into(), source }
}

fn open() -> io::Result<OwnedFd> {
    // SAFETY: a plain system call without pointers.
    let fd = unsafe {
        libc::socket(libc::AF_NETLINK, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, libc::NETLINK_SOCK_DIAG)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // The kernel answers at once; if it ever should not, collection goes on.
    let limit = libc::timeval { tv_sec: 1, tv_usec: 0 };
    // SAFETY: pointer and length are of a live local of the type the option takes.
    let set = unsafe {
        let (value, length) = ((&raw const limit).cast(), size_of::<libc::timeval>() as libc::socklen_t);
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, length)
    };
    if set == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: all established connections of a family, with `tcp_info`.
fn request(family: u8) -> [u8; HEADER + REQUEST] {
    let mut bytes = [0; HEADER + REQUEST];
    let length = bytes.len() as u32;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    bytes[0..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[16] = family;
    bytes[17] = libc::IPPROTO_TCP as u8;
    bytes[18] = 1 << (INET_DIAG_INFO - 1);
    bytes[20..24].copy_from_slice(&ESTABLISHED.to_ne_bytes());
    bytes
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are of a live slice.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn receive(socket: &OwnedFd, most: usize, each: &mut impl FnMut(&Connection)) -> io::Result<usize> {
    let mut buffer = vec![0u8; 64 << 10];
    let mut told = 0;
    loop {
        // SAFETY: pointer and length are of a live buffer.
        let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        if got <= 0 {
            return Err(io::Error::last_os_error());
        }
        for answer in messages(&buffer[..got as usize]) {
            match answer {
                Answer::Done => return Ok(told),
                Answer::Failed(code) => return Err(io::Error::from_raw_os_error(code)),
                Answer::Connection(connection) => {
                    each(&connection);
                    told += 1;
                    if told >= most {
                        return Ok(told);
                    }
                }
            }
        }
    }
}

/// One netlink message.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Connection(Connection),
    Failed(i32),
    Done,
}

/// The messages of one datagram; what cannot be read is passed over.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Answer> {
    std::iter::from_fn(move || {
        while bytes.len() >= HEADER {
            let length = u32_at(bytes, 0)? as usize;
            let kind = u16_at(bytes, 4)?;
            if length < HEADER || length > bytes.len() {
                return None;
            }
            let body = &bytes[HEADER..length];
            bytes = &bytes[align(length).min(bytes.len())..];
            match i32::from(kind) {
                libc::NLMSG_DONE => return Some(Answer::Done),
                libc::NLMSG_ERROR => return Some(Answer::Failed(-(u32_at(body, 0)?.cast_signed()))),
                _ if kind == SOCK_DIAG_BY_FAMILY => {
                    if let Some(connection) = connection(body) {
                        return Some(Answer::Connection(connection));
                    }
                }
                _ => {}
            }
        }
        None
    })
}

/// `struct inet_diag_msg` and its attribute `tcp_info`; nothing without the latter.
fn connection(body: &[u8]) -> Option<Connection> {
    let mut attributes = body.get(MESSAGE..)?;
    let info = loop {
        let (length, kind) = (usize::from(u16_at(attributes, 0)?), u16_at(attributes, 2)?);
        let value = attributes.get(4..length)?;
        if kind == INET_DIAG_INFO {
            break value;
        }
        attributes = attributes.get(align(length)..)?;
    };
    let port = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    Some(Connection {
        local: address(body, 8)?,
        local_port: port(4)?,
        remote: address(body, 24)?,
        remote_port: port(6)?,
        inode: u32_at(body, 68)?,
        rtt_us: u32_at(info, 68)?,
        rtt_var_us: u32_at(info, 72)?,
        retransmits: *info.get(2)?,
        total_retransmits: u32_at(info, 100)?,
    })
}

fn address(body: &[u8], at: usize) -> Option<IpAddr> {
    let bytes = body.get(at..at + 16)?;
    if i32::from(*body.first()?) == libc::AF_INET {
        let four: [u8; 4] = bytes[..4].try_into().ok()?;
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen: [u8; 16] = bytes.try_into().ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}

fn align(length: usize) -> usize {
    length.div_ceil(4) * 4
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn find(address: &str) -> Option<Connection> {
        let listener = TcpListener::bind(address).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"ping").unwrap();
        server.read_exact(&mut [0; 4]).unwrap();
        let (port, mut found) = (client.local_addr().unwrap().port(), None);
        established(100_000, |connection| {
            if connection.local_port == port {
                found = Some(*connection);
            }
        })
        .unwrap();
        found
    }

    #[test]
    fn connections_of_both_families_are_seen() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let connection = find(address).unwrap();
            assert!(connection.is_local() && connection.inode > 0);
            assert!((1..5_000_000).contains(&connection.rtt_us), "{connection:?}");
        }
    }

    #[test]
    fn the_bound_on_connections_holds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _clients: Vec<_> =
            (0..4).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
        let mut seen = 0;
        assert_eq!(established(3, |_| seen += 1).unwrap(), 3);
        assert_eq!(seen, 3);
    }

    #[test]
    fn broken_answers_are_passed_over() {
        assert_eq!(messages(&[]).count(), 0);
        assert_eq!(messages(&[0xff; 40]).count(), 0);
        let mut short = [0u8; 20];
        short[0..4].copy_from_slice(&20u32.to_ne_bytes());
        short[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        assert_eq!(messages(&short).count(), 0);
        short[4..6].copy_from_slice(&2u16.to_ne_bytes());
        short[16..20].copy_from_slice(&(-libc::ENOENT).to_ne_bytes());
        assert_eq!(messages(&short).collect::<Vec<_>>(), [Answer::Failed(libc::ENOENT)]);
    }
}
