//! The processes of a group: which, since when, and how close to their limit of descriptors.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::OnceLock;

use super::text::{lines, number, words};
use crate::ABSENT;

/// What matters of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its threads.
    pub threads: u64,
    /// When it started, in clock ticks (10 ms) since the machine did.
    pub start_ticks: u64,
    /// Whether it is a thread of the kernel.
    pub kernel: bool,
}

/// Appends the processes that a group's `cgroup.procs` lists. A threaded group has none of its own to tell.
///
/// # Errors
/// `NotFound`, or `ENODEV`, if the group is gone.
pub fn pids_of(list: &Path, pids: &mut Vec<u32>) -> io::Result<()> {
    let mut file = File::open(list)?;
    let (mut buffer, mut kept) = ([0u8; 4096], 0);
    loop {
        let read = match file.read(&mut buffer[kept..]) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(()),
            other => other?,
        };
        let filled = kept + read;
        // A number cut by the end of the buffer waits for its rest.
        let whole = if read == 0 { filled } else { after_last_line(&buffer[..filled]) };
        pids.extend(
            lines(&buffer[..whole]).filter_map(|line| u32::try_from(number(line)).ok()).filter(|&p| p > 0),
        );
        if read == 0 {
            return Ok(());
        }
        buffer.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
}

fn after_last_line(text: &[u8]) -> usize {
    text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
}

/// A path of `/proc/PID/`, written without allocating: these are read for every process, again and again.
struct ProcPath {
    text: [u8; 32],
    length: usize,
}

impl ProcPath {
    fn new(pid: u32, file: &str) -> Self {
        let mut text = [0; 32];
        let mut rest = &mut text[..];
        // Ten digits and the longest name leave room.
        let _ = write!(rest, "/proc/{pid}/{file}");
        let length = 32 - rest.len();
        Self { text, length }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
}

/// What the kernel says of a process; nothing once it is gone or a zombie.
#[must_use]
pub fn process(pid: u32) -> Option<Process> {
    let mut buffer = [0; 1024];
    let length = File::open(ProcPath::new(pid, "stat").as_str()).ok()?.read_at(&mut buffer, 0).ok()?;
    parse_stat(&buffer[..length])
}

/// Fields of `/proc/PID/stat` (`proc_pid_stat(5)`), counted from the state, since the name before it may hold
/// anything, parentheses and blanks included.
fn parse_stat(text: &[u8]) -> Option<Process> {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    let after_name = text.iter().rposition(|&byte| byte == b')')? + 1;
    let mut fields = words(&text[after_name..]);
    let state = fields.next()?;
    let flags = number(fields.nth(5)?);
    let threads = number(fields.nth(10)?);
    let start_ticks = number(fields.nth(1)?);
    if matches!(state, b"Z" | b"X") || start_ticks == ABSENT {
        return None;
    }
    Some(Process { threads, start_ticks, kernel: flags & KERNEL_THREAD != 0 })
}

/// Whether the number of a process's open descriptors costs one `stat` (Linux 6.2 and later) instead of a listing.
#[must_use]
pub fn descriptors_are_cheap() -> bool {
    static CHEAP: OnceLock<bool> = OnceLock::new();
    *CHEAP.get_or_init(|| fs::metadata("/proc/self/fd").is_ok_and(|metadata| metadata.size() > 0))
}

/// How many descriptors a process has open; nothing once it is gone, or where this process may not know.
#[must_use]
pub fn descriptors(pid: u32) -> Option<u64> {
    let dir = ProcPath::new(pid, "fd");
    if descriptors_are_cheap() {
        return fs::metadata(dir.as_str()).ok().map(|metadata| metadata.size());
    }
    fs::read_dir(dir.as_str()).ok().map(|entries| entries.count() as u64)
}

/// The soft limit of a process's open descriptors; [`ABSENT`] if it has none, nothing once it is gone.
#[must_use]
pub fn descriptor_limit(pid: u32) -> Option<u64> {
    let mut buffer = [0; 2048];
    let length = File::open(ProcPath::new(pid, "limits").as_str()).ok()?.read_at(&mut buffer, 0).ok()?;
    let line = lines(&buffer[..length]).find_map(|line| line.strip_prefix(b"Max open files"))?;
    words(line).next().map(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = b"42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 13 0 98765 1000 10 18446744073709551615";
        let process = parse_stat(text).unwrap();
        assert_eq!(process, Process { threads: 13, start_ticks: 98765, kernel: false });
        assert!(parse_stat(b"42 (gone) Z 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 0 0").is_none());
        assert!(parse_stat(b"42 (cut) S 1").is_none());
    }

    #[test]
    fn this_process_is_seen() {
        let pid = std::process::id();
        assert!(process(pid).unwrap().threads >= 1);
        let before = descriptors(pid).unwrap();
        let _held: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
        let after = descriptors(pid).unwrap();
        // Other tests of this binary open and close files meanwhile.
        assert!(after >= before + 30, "{before} to {after}");
        assert!(descriptor_limit(pid).unwrap() > 3);
        assert!(process(u32::MAX - 1).is_none() && descriptors(u32::MAX - 1).is_none());
    }

    #[test]
    fn lists_longer_than_a_buffer_are_whole() {
        let dir = std::env::temp_dir().join(format!("foretwin-pids-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let text: String = (1..=5000).map(|pid| format!("{pid}\n")).collect();
        fs::write(dir.join("cgroup.procs"), text).unwrap();
        let mut pids = Vec::new();
        let list = dir.join("cgroup.procs");
        pids_of(&list, &mut pids).unwrap();
        assert!(pids.iter().copied().eq(1..=5000));
        fs::remove_dir_all(&dir).unwrap();
        assert!(pids_of(&list, &mut pids).is_err());
    }
}
