//! What this process itself uses.
#![allow(unsafe_code)] // getrusage and sysconf have no safe counterpart in the standard library.

use std::io;

use crate::parse::Fields;
use crate::{Error, file};

/// Time and memory of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnUse {
    /// Processor time of all its threads, microseconds.
    pub cpu_us: u64,
    /// Memory that is its own or shared and in use, bytes.
    pub resident_bytes: u64,
}

/// Reads both; `statm` is an open `/proc/self/statm`.
///
/// # Errors
/// If the file cannot be read or is not numbers, or `getrusage` fails.
pub fn own_use(statm: &file::ProcFile, buffer: &mut file::Buffer) -> Result<OwnUse, Error> {
    let pages = Fields::new(statm.read_record(buffer)?).past(1).number();
    let pages = pages.ok_or(Error::Parse { format: "/proc/self/statm", expected: "two numbers or more" })?;
    // SAFETY: the call takes no pointer.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the structure is large enough.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0 {
        let source = io::Error::last_os_error();
        return Err(Error::Call { call: "getrusage", object: "this process".into(), source });
    }
    // SAFETY: the call succeeded, so it filled the structure.
    let usage = unsafe { usage.assume_init() };
    let us = |time: libc::timeval| time.tv_sec.cast_unsigned() * 1_000_000 + time.tv_usec.cast_unsigned();
    let resident_bytes = pages * u64::try_from(page_bytes).unwrap_or(4096);
    Ok(OwnUse { cpu_us: us(usage.ru_utime) + us(usage.ru_stime), resident_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let statm = file::ProcFile::open("/proc/self/statm").unwrap();
        let own = own_use(&statm, &mut file::Buffer::default()).unwrap();
        assert!(own.resident_bytes > 100_000, "{own:?}");
    }
}
