//! Time since the machine started, on the clock by which the kernel states when a process did.

use std::fs::File;
use std::os::unix::fs::FileExt;

use foretwin_host::ABSENT;

/// `/proc/uptime`, kept open.
#[derive(Debug)]
pub(super) struct Uptime(Option<File>);

impl Uptime {
    pub fn open() -> Self {
        Self(File::open("/proc/uptime").ok())
    }

    /// In clock ticks, which Linux fixes at a hundredth of a second.
    pub fn ticks(&self) -> u64 {
        let mut text = [0; 64];
        let read = self.0.as_ref().and_then(|file| file.read_at(&mut text, 0).ok());
        read.and_then(|length| hundredths(&text[..length])).unwrap_or(ABSENT)
    }
}

/// The first number of `350735.47 234388.90`.
fn hundredths(text: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(text).ok()?.split(' ').next()?;
    let (seconds, part) = number.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 100 + part.get(..2)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundredths_are_read() {
        assert_eq!(hundredths(b"350735.47 234388.90\n"), Some(35_073_547));
        assert_eq!((hundredths(b"x"), hundredths(b"")), (None, None));
        assert!(Uptime::open().ticks() < 1 << 40);
    }
}
