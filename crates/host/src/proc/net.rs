//! `/proc/net/dev` and `/proc/net/sockstat`: interfaces and sockets of the network namespace.

use crate::Error;
use crate::parse::{Fields, lines, number};

/// One interface of `/proc/net/dev`, its numbers not yet read.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Name of the interface.
    pub name: &'a [u8],
    fields: Fields<'a>,
}

/// One direction of an interface, since it appeared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that were damaged or could not be sent.
    pub errors: u64,
    /// Packets for which there was no room.
    pub drops: u64,
}

/// The interfaces of a text, in its order. Lines that name none, as the two of the head, are left out.
pub fn rows(text: &[u8]) -> impl Iterator<Item = Row<'_>> + Clone {
    lines(text).filter_map(|line| {
        // Aliases (`eth0:1`) have a colon of their own, but old kernels write no blank after the last one.
        let colon = line.iter().rposition(|&byte| byte == b':')?;
        let name = Fields::new(&line[..colon]).next()?;
        Some(Row { name, fields: Fields::new(&line[colon + 1..]) })
    })
}

impl Row<'_> {
    /// What was received and what was sent.
    ///
    /// # Errors
    /// [`Error::Parse`] if there are fewer than sixteen numbers.
    pub fn flows(&self) -> Result<(Flow, Flow), Error> {
        let mut numbers = [0; 16];
        let mut fields = self.fields;
        for slot in &mut numbers {
            let wrong = Error::Parse { format: "/proc/net/dev", expected: "sixteen numbers" };
            *slot = fields.number().ok_or(wrong)?;
        }
        let flow = |at: usize| {
            let [bytes, packets, errors, drops] = [at, at + 1, at + 2, at + 3].map(|index| numbers[index]);
            Flow { bytes, packets, errors, drops }
        };
        Ok((flow(0), flow(8)))
    }
}

/// The number called `name` on the line `protocol` of `/proc/net/sockstat`, for instance `TCP:` and `orphan`.
#[must_use]
pub fn sockets(text: &[u8], protocol: &[u8], name: &[u8]) -> Option<u64> {
    let line = lines(text).find_map(|line| line.strip_prefix(protocol))?;
    let mut fields = Fields::new(line);
    fields.find(|&field| field == name)?;
    fields.next().and_then(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &[u8] = b"\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
  eth0: 301537413    7917    1    2    0     0          0         0   494782    5083    3    4    0     0       0          0
eth0:1:12345 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
";

    #[test]
    fn interfaces_of_new_and_old_kernels() {
        let all: Vec<_> = rows(DEV).map(|row| (row.name, row.flows().unwrap())).collect();
        assert_eq!(all.iter().map(|row| row.0).collect::<Vec<_>>(), [&b"lo"[..], b"eth0", b"eth0:1"]);
        let (received, sent) = all[1].1;
        assert_eq!(received, Flow { bytes: 301_537_413, packets: 7_917, errors: 1, drops: 2 });
        assert_eq!(sent, Flow { bytes: 494_782, packets: 5_083, errors: 3, drops: 4 });
        assert_eq!((all[2].1.0.bytes, all[2].1.1.bytes), (12_345, 8));
    }

    #[test]
    fn short_lines_are_errors() {
        assert!(rows(b"eth0: 1 2 3\n").all(|row| row.flows().is_err()));
        assert_eq!(rows(b"no colon\n:\n").count(), 0);
    }

    #[test]
    fn sockets_by_name() {
        let text = b"sockets: used 16\nTCP: inuse 1 orphan 2 tw 3 alloc 4 mem 5\nUDPLITE: inuse 9\nUDP: inuse 7 mem x\n";
        assert_eq!(sockets(text, b"TCP:", b"orphan"), Some(2));
        assert_eq!(sockets(text, b"UDP:", b"inuse"), Some(7));
        assert_eq!((sockets(text, b"UDP:", b"mem"), sockets(text, b"RAW:", b"inuse")), (None, None));
    }
}
