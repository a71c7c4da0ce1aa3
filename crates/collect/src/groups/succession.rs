//! Whether the first process of a group began anew: what ended, and what follows it in its place.
//!
//! A restart is the like of what ran before, begun soon after that had ended. Whoever ran beside it all the time only goes
//! on; another command is another job; what begins again long after was stopped and started. Exit codes are known to
//! parents only, so a quick restart by hand looks like one by a supervisor.

use std::fs;

use foretwin_core::fnv64;
use foretwin_host::ABSENT;

/// What begins later than so many clock ticks after its predecessor was started by somebody: the longest pause of common
/// supervisors is a minute (Docker's, doubled with each failure).
const PAUSE_TICKS: u64 = 90 * 100;

/// A process.
#[derive(Debug, Clone, Copy)]
struct First {
    pid: u32,
    /// When it started, in clock ticks since the machine did.
    ticks: u64,
    /// When it was last seen to run.
    seen_ticks: Option<u64>,
    /// Digest of its command line, once read.
    command: Option<u64>,
    /// Whether that was read again after its start.
    told: bool,
}

/// The first process of a group, and how often its like began anew.
#[derive(Debug, Default)]
pub(super) struct Succession {
    first: Option<First>,
    /// The command that ran before, while it is not known whether the first is its like: a process seen between its fork
    /// and its exec has the command of its parent.
    before: Option<u64>,
    restarts: u64,
}

impl Succession {
    /// How often it began anew.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// When its first process started, also after it ended; [`ABSENT`] before there was one.
    pub fn first_ticks(&self) -> u64 {
        self.first.map_or(ABSENT, |first| first.ticks)
    }

    /// These processes ran at this moment.
    pub fn witness(&mut self, pids: &[u32], now_ticks: u64) {
        if let Some(first) = self.first.as_mut().filter(|_| now_ticks != ABSENT)
            && pids.contains(&first.pid)
        {
            first.seen_ticks = Some(now_ticks);
        }
    }

    /// Takes the oldest process there is, with its start. `steady`: the group is made for one job, whatever its command.
    pub fn settle(&mut self, (pid, ticks): (u32, u64), steady: bool, read: impl Fn(u32) -> Option<u64>) {
        let fresh = First { pid, ticks, seen_ticks: None, command: None, told: false };
        let Some(before) = self.first.filter(|before| ticks > before.ticks) else {
            // The first ever, the same as before, or an older one that moved in.
            if self.first.is_none_or(|before| ticks < before.ticks) {
                (self.first, self.before) = (Some(First { command: read(pid), ..fresh }), None);
            }
            return;
        };
        let command = read(pid);
        self.first = Some(First { command, ..fresh });
        let beside = before.seen_ticks.is_some_and(|seen| ticks <= seen);
        let late = before.seen_ticks.is_some_and(|seen| ticks > seen + PAUSE_TICKS);
        // Where one ended before its command was told, the one before that counts.
        self.before = if before.told { before.command } else { self.before.or(before.command) };
        if beside || late {
            self.before = None;
        } else if steady || (command.is_some() && command == self.before) {
            (self.restarts, self.before) = (self.restarts + 1, None);
        }
    }

    /// The command of this process is this.
    pub fn identify(&mut self, pid: u32, command: Option<u64>) {
        let Some(first) = self.first.as_mut().filter(|first| first.pid == pid && command.is_some()) else {
            return;
        };
        (first.command, first.told) = (command, true);
        if command == self.before {
            (self.restarts, self.before) = (self.restarts + 1, None);
        }
    }
}

/// A digest of a process's command line; a thread of the kernel has none.
pub(super) fn command_digest(pid: u32) -> Option<u64> {
    digest(&fs::read(format!("/proc/{pid}/cmdline")).ok()?)
}

/// A digest of a command line, arguments included.
pub(super) fn digest(arguments: &[u8]) -> Option<u64> {
    (!arguments.is_empty()).then(|| fnv64(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The processes that follow one another, each with its start and command; the one before was last seen to run at the
    /// third number.
    fn restarts(steady: bool, steps: &[(u32, u64, u64, &str)]) -> u64 {
        let mut group = Succession::default();
        for &(pid, ticks, seen, command) in steps {
            let last = group.first.map(|first| first.pid);
            group.witness(&last.into_iter().collect::<Vec<_>>(), seen);
            group.settle((pid, ticks), steady, |_| digest(command.as_bytes()));
        }
        group.restarts()
    }

    #[test]
    fn the_same_command_soon_after_is_a_restart() {
        assert_eq!(restarts(false, &[(1, 100, 0, "app"), (2, 900, 850, "app"), (3, 1200, 1100, "app")]), 2);
        assert_eq!(restarts(false, &[(1, 100, 0, "app"), (2, 900, ABSENT, "app")]), 1, "no clock");
        assert_eq!(restarts(true, &[(1, 100, 0, "app --run 1"), (2, 900, 850, "app --run 2")]), 1);
    }

    #[test]
    fn what_comes_and_goes_does_not_crash() {
        let monitors = [(1, 100, 0, "monitor a"), (2, 700, 600, "monitor b"), (3, 900, 800, "monitor c")];
        assert_eq!(restarts(false, &monitors), 0, "one after the other");
        let beside = [(1, 100, 0, "worker"), (2, 300, 600, "worker"), (3, 500, 700, "worker")];
        assert_eq!(restarts(false, &beside), 0, "the younger ran beside the older");
        assert_eq!(restarts(true, &beside), 0);
        let pause = [(1, 100, 0, "app"), (2, 20_000, 600, "app")];
        assert_eq!(restarts(true, &pause), 0, "stopped, and started later");
    }

    #[test]
    fn a_command_that_is_told_late_counts_then_and_once() {
        let mut group = Succession::default();
        group.settle((1, 100), false, |_| digest(b"app"));
        group.witness(&[1], 200);
        group.settle((2, 250), false, |_| digest(b"launcher"));
        assert_eq!(group.restarts(), 0);
        // The second ended before it was told; the third turns out to be the like of the first.
        group.witness(&[2], 260);
        group.settle((3, 270), false, |_| None);
        group.identify(2, digest(b"app"));
        assert_eq!(group.restarts(), 0, "not of the one there is");
        for _ in 0..2 {
            group.identify(3, digest(b"app"));
            assert_eq!(group.restarts(), 1);
        }
        assert_eq!(group.first_ticks(), 270);
        // Another job took its place, and begins anew itself.
        group.settle((4, 300), false, |_| digest(b"job"));
        group.identify(4, digest(b"job"));
        group.settle((5, 400), false, |_| digest(b"job"));
        assert_eq!(group.restarts(), 2);
    }

    #[test]
    fn commands_differ_by_their_arguments() {
        assert!(command_digest(std::process::id()).is_some() && command_digest(u32::MAX - 1).is_none());
        assert_ne!(digest(b"conmon\0-c\0web"), digest(b"conmon\0-c\0db"));
        assert_eq!(digest(b""), None);
    }
}
