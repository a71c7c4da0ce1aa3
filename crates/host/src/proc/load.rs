//! `/proc/loadavg`, and how many processes and threads there are.

use std::os::unix::fs::MetadataExt;

use crate::Error;
use crate::parse::{Fields, decimal, leading_number};

/// The numbers of `/proc/loadavg`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Threads running, ready or waiting for a disk, averaged over a minute.
    pub minute: f64,
    /// The same over five minutes.
    pub five_minutes: f64,
    /// The same over fifteen minutes.
    pub quarter: f64,
    /// Threads there are, the kernel's own among them.
    pub threads: u64,
}

impl Load {
    /// Reads the text of `/proc/loadavg`.
    ///
    /// # Errors
    /// [`Error::Parse`] if it is not three averages and a pair of counts.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let load = || {
            let mut fields = Fields::new(text);
            let [minute, five_minutes, quarter] = [fields.next(), fields.next(), fields.next()];
            let (_, threads) = leading_number(fields.next()?)?;
            let threads = crate::parse::number(threads.strip_prefix(b"/")?)?;
            let (minute, five_minutes) = (decimal(minute?)?, decimal(five_minutes?)?);
            Some(Self { minute, five_minutes, quarter: decimal(quarter?)?, threads })
        };
        load()
            .ok_or(Error::Parse { format: "/proc/loadavg", expected: "three averages and a pair of counts" })
    }
}

/// How many processes there are on the machine, without listing them: the links of `/proc` are its own
/// directories and one for each process (`proc_root_getattr` in fs/proc/root.c).
#[derive(Debug)]
pub struct ProcessCount {
    own: u64,
}

impl ProcessCount {
    /// Counts the directories of `/proc` that are no process.
    ///
    /// # Errors
    /// If `/proc` cannot be listed.
    pub fn new() -> Result<Self, Error> {
        let failed = |source| Error::Read { path: "/proc".into(), source };
        let is_own = |entry: &std::fs::DirEntry| {
            let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
            !is_process && entry.file_type().is_ok_and(|kind| kind.is_dir())
        };
        let own = std::fs::read_dir("/proc").map_err(failed)?.flatten().filter(is_own).count();
        // Two for the directory itself: its name and its dot.
        Ok(Self { own: own as u64 + 2 })
    }

    /// Processes now.
    ///
    /// # Errors
    /// If `/proc` is gone.
    pub fn read(&self) -> Result<u64, Error> {
        match std::fs::metadata("/proc") {
            Ok(proc) => Ok(proc.nlink().saturating_sub(self.own)),
            Err(source) => Err(Error::Read { path: "/proc".into(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_and_threads() {
        let load = Load::parse(b"0.93 0.52 12.35 3/104 11652\n").unwrap();
        assert_eq!(load, Load { minute: 0.93, five_minutes: 0.52, quarter: 12.35, threads: 104 });
        for text in ["", "0.93 0.52", "0.93 0.52 0.35 3 104", "0.93 x 0.35 3/104 1", "0.9 0.5 0.3 3/x 1"] {
            assert!(Load::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    /// Others come and go meanwhile, so it can only be nearly equal; a wrong offset would be off by nine or more.
    #[test]
    fn processes_are_about_those_listed() {
        let count = ProcessCount::new().unwrap();
        let listed = || {
            let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().parse::<u32>().is_ok();
            std::fs::read_dir("/proc").unwrap().flatten().map(name).filter(|&is| is).count()
        };
        let near = (0..20).any(|_| (count.read().unwrap() as i64 - listed() as i64).abs() <= 3);
        assert!(near, "{} against {}", count.read().unwrap(), listed());
    }
}
