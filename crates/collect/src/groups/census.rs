//! The processes of a group: counted every second, looked at one by one less often and a few at a time, because
//! each costs some ten microseconds.

use std::path::PathBuf;

use foretwin_core::Timestamp;
use foretwin_host::ABSENT;
use foretwin_host::cgroup::{descriptor_limit, descriptors, pids_of, process};

use crate::every::Every;

/// The process closest to its limit of descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fullest {
    pub pid: u32,
    pub open: u64,
    pub limit: u64,
}

impl Fullest {
    const UNKNOWN: Self = Self { pid: 0, open: ABSENT, limit: ABSENT };

    /// How full; a process without limit is never full, an unknown one less than that.
    fn share(&self) -> f64 {
        match (self.open, self.limit) {
            (ABSENT, _) => -1.0,
            (_, ABSENT | 0) => 0.0,
            (open, limit) => open as f64 / limit as f64,
        }
    }

    fn or(self, other: Self) -> Self {
        if other.share() > self.share() { other } else { self }
    }
}

/// What a group's processes add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub processes: u64,
    pub threads: u64,
    pub fullest: Fullest,
    /// When the oldest started, in clock ticks since the machine did.
    pub oldest_ticks: u64,
    pub oldest_pid: u32,
}

impl Tally {
    /// Before the first look.
    pub const UNKNOWN: Self = Self {
        processes: ABSENT,
        threads: ABSENT,
        fullest: Fullest::UNKNOWN,
        oldest_ticks: ABSENT,
        oldest_pid: 0,
    };

    /// Takes in the processes of a group below, or one more process.
    pub fn merge(&mut self, other: &Self) {
        let add = |a: u64, b: u64| match (a, b) {
            (ABSENT, known) | (known, ABSENT) => known,
            (a, b) => a + b,
        };
        self.processes = add(self.processes, other.processes);
        self.threads = add(self.threads, other.threads);
        self.fullest = self.fullest.or(other.fullest);
        if other.oldest_ticks < self.oldest_ticks {
            (self.oldest_ticks, self.oldest_pid) = (other.oldest_ticks, other.oldest_pid);
        }
    }
}

/// The ongoing count of one group's own processes.
#[derive(Debug)]
pub(super) struct Census {
    /// The lists of the group's processes in all hierarchies, the one that last had any first.
    lists: Vec<PathBuf>,
    pids: Vec<u32>,
    queue: Vec<u32>,
    partial: Tally,
    tally: Tally,
    due: Every,
}

impl Census {
    /// `lists` are the files `cgroup.procs` of the group.
    pub fn new(lists: Vec<PathBuf>, interval_ms: u64) -> Self {
        let (pids, queue, due) = (Vec::new(), Vec::new(), Every::ms(interval_ms));
        Self { lists, pids, queue, partial: Tally::UNKNOWN, tally: Tally::UNKNOWN, due }
    }

    /// The group is elsewhere now; what was counted stays until the next look.
    pub fn move_to(&mut self, lists: Vec<PathBuf>) {
        self.lists = lists;
        self.due.hasten();
    }

    /// What is known of the group's own processes.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The processes of the last count.
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Lists the processes. Those of a group are mostly the same in all hierarchies, so the first that has any is
    /// enough.
    pub fn count(&mut self) {
        self.pids.clear();
        for at in 0..self.lists.len() {
            // A group that is gone has no processes; that it is gone is for others to notice.
            let _ = pids_of(&self.lists[at], &mut self.pids);
            if !self.pids.is_empty() {
                self.lists.swap(0, at);
                break;
            }
        }
        self.pids.sort_unstable();
        self.tally.processes = self.pids.len() as u64;
        if self.pids.is_empty() {
            self.tally.threads = 0;
            self.tally.fullest = Fullest::UNKNOWN;
        } else if self.pids.binary_search(&self.tally.oldest_pid).is_err() {
            self.due.hasten();
        }
    }

    /// Looks at processes one by one while `budget` lasts; a look at all of them begins every interval.
    pub fn inspect(&mut self, at: Timestamp, budget: &mut usize) {
        if self.queue.is_empty() {
            if self.pids.is_empty() || *budget == 0 || !self.due.is_due(at) {
                self.refresh();
                return;
            }
            self.queue.extend_from_slice(&self.pids);
            self.partial = Tally { processes: self.tally.processes, threads: 0, ..Tally::UNKNOWN };
        }
        while *budget > 0
            && let Some(pid) = self.queue.pop()
        {
            self.partial.merge(&look_at(pid));
            *budget -= 1;
        }
        if self.queue.is_empty() {
            self.tally = Tally { processes: self.tally.processes, ..self.partial };
        }
    }

    /// Between two looks the fullest process alone is followed, so that a leak of descriptors shows at every tick.
    fn refresh(&mut self) {
        if self.tally.fullest.pid != 0
            && let Some(open) = descriptors(self.tally.fullest.pid)
        {
            self.tally.fullest.open = open;
        }
    }
}

/// One process as a tally; its count is known from the list.
fn look_at(pid: u32) -> Tally {
    let Some(process) = process(pid) else { return Tally::UNKNOWN };
    let (open, limit) = (descriptors(pid).unwrap_or(ABSENT), descriptor_limit(pid).unwrap_or(ABSENT));
    let fullest = Fullest { pid, open, limit };
    Tally {
        processes: ABSENT,
        threads: process.threads,
        fullest,
        oldest_ticks: process.start_ticks,
        oldest_pid: pid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn the_fullest_is_by_share_of_its_own_limit() {
        let [a, b] = [(900, 1_000_000), (60, 64)].map(|(open, limit)| Fullest { pid: 1, open, limit });
        let none = Fullest { pid: 3, open: 5000, limit: ABSENT };
        assert_eq!(Fullest::UNKNOWN.or(none).or(a).or(b).or(Fullest::UNKNOWN), b);
    }

    #[test]
    fn a_tally_adds_up() {
        let mut sum = Tally::UNKNOWN;
        let fullest = Fullest { pid: 7, open: 1, limit: 2 };
        let one = Tally { processes: 1, threads: 4, fullest, oldest_ticks: 50, oldest_pid: 7 };
        sum.merge(&one);
        sum.merge(&Tally { oldest_ticks: 20, oldest_pid: 9, ..one });
        sum.merge(&Tally::UNKNOWN);
        assert_eq!((sum.processes, sum.threads, sum.oldest_pid, sum.fullest.open), (2, 8, 9, 1));
    }

    #[test]
    fn this_process_is_counted_within_the_budget() {
        let dir = tempfile::tempdir().unwrap();
        let me = std::process::id();
        fs::write(dir.path().join("cgroup.procs"), format!("{me}\n1\n")).unwrap();
        let lists = ["gone/cgroup.procs", "cgroup.procs"].map(|list| dir.path().join(list));
        let mut census = Census::new(lists.into(), 5000);
        census.count();
        assert_eq!(census.tally().processes, 2);
        let at = Timestamp(1);
        census.inspect(at, &mut 1);
        assert_eq!(census.tally().threads, ABSENT, "a partial look is not told");
        census.inspect(at, &mut 9);
        assert!(census.tally().threads >= 2 && census.tally().fullest.open > 0);
        assert_eq!(census.tally().oldest_pid, 1);
    }

    #[test]
    fn a_leak_of_descriptors_shows_between_looks() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.procs"), format!("{}\n", std::process::id())).unwrap();
        let mut census = Census::new(vec![dir.path().join("cgroup.procs")], 5000);
        census.count();
        census.inspect(Timestamp(1), &mut 9);
        let before = census.tally().fullest.open;
        let _held: Vec<_> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
        census.inspect(Timestamp(2), &mut 9);
        assert!(census.tally().fullest.open >= before + 60);
    }
}
