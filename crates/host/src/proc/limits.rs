//! Small files of `/proc/sys`: single numbers and the descriptors in use.

use crate::parse::{Fields, number};
use crate::{ABSENT, Error};

/// A file that holds one number, for instance `/proc/sys/kernel/pid_max`.
///
/// # Errors
/// [`Error::Parse`] if it holds anything else.
pub fn single(text: &[u8]) -> Result<u64, Error> {
    number(text).ok_or(Error::Parse { format: "a single value", expected: "one number" })
}

/// Descriptors open on the machine, and how many may be, from `/proc/sys/fs/file-nr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// Open files of all processes.
    pub open: u64,
    /// The limit; [`ABSENT`] where it is beyond what memory could hold, which recent kernels set at boot.
    pub limit: u64,
}

impl Descriptors {
    /// Reads the text of `/proc/sys/fs/file-nr`.
    ///
    /// # Errors
    /// [`Error::Parse`] if it is not three numbers.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::new(text);
        let (Some(open), Some(free), Some(limit)) = (fields.number(), fields.number(), fields.number())
        else {
            return Err(Error::Parse { format: "/proc/sys/fs/file-nr", expected: "three numbers" });
        };
        let limit = if limit >= i64::MAX as u64 { ABSENT } else { limit };
        Ok(Self { open: open.saturating_sub(free), limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_with_and_without_limit() {
        let parsed = |text: &[u8]| Descriptors::parse(text).map(|d| (d.open, d.limit)).ok();
        assert_eq!(parsed(b"729\t0\t2466170\n"), Some((729, 2_466_170)));
        assert_eq!(parsed(b"1056\t0\t9223372036854775807\n"), Some((1056, ABSENT)));
        assert_eq!(parsed(b"729\t0\n"), None);
        assert_eq!(parsed(b"729\tx\t1\n"), None);
    }

    #[test]
    fn single_numbers() {
        assert_eq!(single(b"32768\n").unwrap(), 32_768);
        assert!(single(b"").is_err() && single(b"1 2").is_err());
    }
}
