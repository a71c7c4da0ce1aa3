//! `/proc/diskstats`: what block devices did (Documentation/admin-guide/iostats.rst).

use crate::parse::{Fields, lines};
use crate::{ABSENT, Error};

/// Bytes in the sector that the kernel counts in, whatever the device's own.
pub const SECTOR_BYTES: u64 = 512;

/// One device of `/proc/diskstats`, its numbers not yet read.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Name of the device, for instance `nvme0n1`.
    pub name: &'a [u8],
    fields: Fields<'a>,
}

/// Counts of one device since it appeared. Times are summed over requests, except `io_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskStats {
    /// Reads completed.
    pub reads: u64,
    /// Sectors read.
    pub sectors_read: u64,
    /// Milliseconds spent reading.
    pub read_ms: u64,
    /// Writes completed.
    pub writes: u64,
    /// Sectors written.
    pub sectors_written: u64,
    /// Milliseconds spent writing.
    pub write_ms: u64,
    /// Requests now in flight.
    pub in_flight: u64,
    /// Milliseconds in which any request was in flight.
    pub io_ms: u64,
    /// Milliseconds of `io_ms` weighted by requests in flight.
    pub weighted_ms: u64,
    /// Flushes completed; [`ABSENT`] before Linux 5.5.
    pub flushes: u64,
    /// Milliseconds spent flushing; [`ABSENT`] before Linux 5.5.
    pub flush_ms: u64,
}

/// The devices of a text, in its order. Lines too short to name one are left out.
pub fn rows(text: &[u8]) -> impl Iterator<Item = Row<'_>> + Clone {
    lines(text).filter_map(|line| {
        let mut fields = Fields::new(line).past(2);
        Some(Row { name: fields.next()?, fields })
    })
}

impl Row<'_> {
    /// The numbers of the device.
    ///
    /// # Errors
    /// [`Error::Parse`] if there are fewer than the eleven that every kernel since 2.6 tells.
    pub fn stats(&self) -> Result<DiskStats, Error> {
        let mut numbers = [ABSENT; 17];
        let mut fields = self.fields;
        for (index, slot) in numbers.iter_mut().enumerate() {
            match fields.number() {
                Some(number) => *slot = number,
                None if index >= 11 && fields.rest().is_empty() => break,
                None => {
                    return Err(Error::Parse {
                        format: "/proc/diskstats",
                        expected: "eleven numbers or more",
                    });
                }
            }
        }
        // Merged requests (1, 5) and discards (11 to 14) are of no use in judging a device.
        let [reads, _, sectors_read, read_ms, writes, _, sectors_written, write_ms, ..] = numbers;
        let [.., in_flight, io_ms, weighted_ms, _, _, _, _, flushes, flush_ms] = numbers;
        Ok(DiskStats {
            reads,
            sectors_read,
            read_ms,
            writes,
            sectors_written,
            write_ms,
            in_flight,
            io_ms,
            weighted_ms,
            flushes,
            flush_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_of_three_ages() {
        let text = b" 254       0 vda 75745 26811 5848530 61962 9019 39168 4138344 28252 3 22476 91307 4344 68 459480 1008 765 83\n\
                     \x20  8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n\
                     \x20  8      16 sdb 1 2 3 4 5 6 7 8 9 10 11\n";
        let stats: Vec<_> = rows(text).map(|row| (row.name.to_vec(), row.stats().unwrap())).collect();
        assert_eq!(stats[0].0, b"vda");
        let vda = stats[0].1;
        assert_eq!((vda.reads, vda.sectors_read, vda.read_ms), (75_745, 5_848_530, 61_962));
        assert_eq!((vda.writes, vda.sectors_written, vda.write_ms), (9_019, 4_138_344, 28_252));
        assert_eq!((vda.in_flight, vda.io_ms, vda.weighted_ms), (3, 22_476, 91_307));
        assert_eq!((vda.flushes, vda.flush_ms), (765, 83));
        for old in [stats[1].1, stats[2].1] {
            assert_eq!((old.in_flight, old.weighted_ms, old.flushes), (9, 11, ABSENT));
        }
    }

    #[test]
    fn short_and_garbled_lines_are_errors() {
        let last = |text: &'static [u8]| rows(text).last().map(|row| row.stats().is_err());
        assert_eq!(last(b"   8       0 sda 1 2 3 4 5 6 7 8 9 10\n"), Some(true));
        assert_eq!(last(b"   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12x\n"), Some(true));
        assert_eq!(last(b"   8       0\n"), None);
    }
}
