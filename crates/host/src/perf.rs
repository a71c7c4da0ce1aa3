//! Hardware counters of all processors (`perf_event_open(2)`).
#![allow(unsafe_code)] // The call has no safe counterpart in the standard library.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::FromRawFd;

use crate::{ABSENT, Error};

/// What hardware counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Cycles of the processor.
    Cycles,
    /// Instructions retired.
    Instructions,
    /// Misses of the last level of cache.
    CacheMisses,
    /// Branches predicted wrongly.
    BranchMisses,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cycles, Self::Instructions, Self::CacheMisses, Self::BranchMisses];

    /// `PERF_COUNT_HW_...`
    fn config(self) -> u64 {
        match self {
            Self::Cycles => 0,
            Self::Instructions => 1,
            Self::CacheMisses => 3,
            Self::BranchMisses => 5,
        }
    }
}

/// First version of `struct perf_event_attr`, which every kernel takes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    breakpoint_address: u64,
}

/// One event on all processors, the kernel's and guests' work included.
#[derive(Debug)]
pub struct Counter {
    processors: Vec<File>,
}

impl Counter {
    /// Begins to count on the processors 0 to `processors` - 1; offline ones are passed over.
    ///
    /// # Errors
    /// `ENOENT`, `ENODEV` or `EOPNOTSUPP` where the hardware, or the hypervisor, has no such counter; `EACCES` or
    /// `EPERM` where the kernel does not let this process count.
    pub fn open(event: Event, processors: usize) -> Result<Self, Error> {
        let mut open = Vec::with_capacity(processors);
        let mut offline = None;
        for processor in 0..processors {
            match open_on(event, processor) {
                Ok(file) => open.push(file),
                Err(error) if processor > 0 && error.raw_os_error() == Some(libc::ENODEV) => {
                    offline = Some(error);
                }
                Err(source) => return Err(failed(event, source)),
            }
        }
        match offline {
            Some(source) if open.is_empty() => Err(failed(event, source)),
            _ => Ok(Self { processors: open }),
        }
    }

    /// The count so far, of all processors together, scaled up where the hardware had to share its counters among
    /// events; [`ABSENT`] while a processor has not counted at all.
    pub fn read(&mut self) -> u64 {
        let mut sum = 0u64;
        for file in &mut self.processors {
            let mut bytes = [0; 24];
            if !matches!(file.read(&mut bytes), Ok(24)) {
                return ABSENT;
            }
            let [count, enabled, running] = words(&bytes);
            sum = sum.saturating_add(scaled(count, enabled, running));
        }
        sum
    }
}

/// Three numbers as the kernel writes them.
fn words(bytes: &[u8; 24]) -> [u64; 3] {
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
    }
    words
}

/// A count that ran for part of the time it was enabled.
fn scaled(count: u64, enabled_ns: u64, running_ns: u64) -> u64 {
    if running_ns == 0 || running_ns >= enabled_ns {
        return count;
    }
    (u128::from(count) * u128::from(enabled_ns) / u128::from(running_ns)) as u64
}

fn failed(event: Event, source: io::Error) -> Error {
    Error::Call { call: "perf_event_open", object: format!("{event:?}"), source }
}

fn open_on(event: Event, processor: usize) -> io::Result<File> {
    const TIMES: u64 = 1 | 2; // enabled and running
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        config: event.config(),
        read_format: TIMES,
        ..Attributes::default()
    };
    const CLOSE_ON_EXEC: libc::c_ulong = 8;
    let (all, no_group) = (-1, -1);
    // SAFETY: the pointer is to a live local whose size it states; the other arguments are plain numbers.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            all,
            processor as i32,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_scaled_by_their_share_of_time() {
        assert_eq!(scaled(100, 10, 10), 100);
        assert_eq!(scaled(100, 10, 5), 200);
        assert_eq!(scaled(0, 10, 0), 0);
        assert_eq!(scaled(u64::MAX / 2, 10, 5), u64::MAX - 1);
    }

    /// Machines have counters or say why not; both are right.
    #[test]
    fn counters_count_or_say_why_not() {
        match Counter::open(Event::Instructions, 1) {
            Ok(mut counter) => {
                let before = counter.read();
                let sum: u64 = (0..100_000u64).map(std::hint::black_box).sum();
                assert!(sum > 0 && counter.read() >= before);
            }
            Err(Error::Call { source, .. }) => {
                let refusals =
                    [libc::ENOENT, libc::ENODEV, libc::EOPNOTSUPP, libc::EACCES, libc::EPERM, libc::ENOSYS];
                assert!(refusals.contains(&source.raw_os_error().unwrap()), "{source}");
            }
            Err(other) => panic!("{other}"),
        }
    }
}
