//! One watched group.

use std::fs;

use foretwin_core::{Instance, InstanceId, Timestamp};
use foretwin_host::ABSENT;
use foretwin_host::cgroup::{Budget, Hierarchy, Limits, Reader, Stats, Vitality};

use super::census::{Census, Tally};
use super::forest::{Forest, Known};
use super::metrics::Reading;
use super::succession::{Succession, command_digest, digest};
use crate::every::Every;
use crate::identity::{Container, Place, command};

/// What is kept of a group between ticks.
#[derive(Debug)]
pub(super) struct Entry {
    pub path: String,
    pub id: InstanceId,
    pub place: Place,
    pub container: Container,
    pub mask: u64,
    pub life: u64,
    /// Index of the nearest watched ancestor.
    pub parent: Option<usize>,
    pub census: Census,
    /// Own processes and those of the groups below.
    pub total: Tally,
    pub reading: Reading,
    /// What it was last announced as.
    pub announced: Option<Instance>,
    /// Since when there is no process in it or below.
    pub empty_since: Option<Timestamp>,
    succession: Succession,
    /// Whether its files are to be opened again: some answered no longer, or new ones may be there.
    pub stale: bool,
    identified: u32,
    command: Option<String>,
    reader: Reader,
    limits: Limits,
    limits_due: Every,
}

/// How often each part of an entry is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub limits_ms: u64,
    pub census_ms: u64,
}

impl Entry {
    pub fn new(id: InstanceId, path: &str, known: &Known, rates: Rates) -> Self {
        let reading = Reading {
            stats: Stats::ABSENT,
            limits: Limits::NONE,
            tally: Tally::UNKNOWN,
            uptime_s: ABSENT,
            restarts: ABSENT,
        };
        Self {
            path: path.into(),
            id,
            place: known.place.clone(),
            container: Container::default(),
            mask: 0,
            life: 0,
            parent: None,
            census: Census::new(Vec::new(), rates.census_ms),
            total: Tally::UNKNOWN,
            reading,
            announced: None,
            empty_since: None,
            succession: Succession::default(),
            stale: false,
            identified: 0,
            command: None,
            reader: Reader::open(path, &[], &Budget::new(0)),
            limits: Limits::NONE,
            limits_due: Every::ms(rates.limits_ms),
        }
    }

    /// Opens its files where it is now.
    pub fn open(&mut self, known: &Known, hierarchies: &[&Hierarchy], budget: &Budget) {
        (self.mask, self.life, self.stale) = (known.mask, known.life, false);
        self.reader = Reader::open(&self.path, hierarchies, budget);
        self.limits_due.hasten();
    }

    /// Reads everything but the processes.
    pub fn read(&mut self, at: Timestamp, forest: &Forest, buffer: &mut [u8]) -> Vitality {
        let vitality = self.reader.read(&mut self.reading.stats, buffer);
        if self.limits_due.is_due(at) {
            self.limits = Limits::effective(&self.path, &forest.hierarchies(self.mask));
        }
        self.reading.limits = fresh(self.limits, &self.reading.stats);
        vitality
    }

    /// Counts its processes; the clock says when it is done.
    pub fn count(&mut self, uptime_ticks: u64) {
        self.census.count();
        self.succession.witness(self.census.pids(), uptime_ticks);
    }

    /// Takes over the sums of all processes, and notices a restart.
    pub fn settle(&mut self, uptime_ticks: u64) {
        let is_container = matches!(self.place, Place::Container { .. });
        // Of a group that only contains others, the oldest process changes whenever one of them goes.
        let first = if is_container { &self.total } else { self.census.tally() };
        self.reading.restarts = ABSENT;
        if first.oldest_ticks != ABSENT {
            let steady = is_container || self.place.is_service();
            self.succession.settle((first.oldest_pid, first.oldest_ticks), steady, command_digest);
        }
        if is_container || self.succession.first_ticks() != ABSENT {
            self.reading.restarts = self.succession.restarts();
        }
        let oldest = self.total.oldest_ticks;
        self.reading.tally = self.total;
        let runs = oldest != ABSENT && self.total.processes > 0 && uptime_ticks != ABSENT;
        self.reading.uptime_s =
            if runs { uptime_ticks.saturating_sub(oldest) / TICKS_PER_SECOND } else { ABSENT };
    }

    /// The instance as it is known now. Reads the first process's command when that process is another one.
    pub fn instance(&mut self, host: &str, parent: &InstanceId) -> Instance {
        let oldest = self.census.tally().oldest_pid;
        let first = if self.census.pids().contains(&oldest) {
            Some(oldest)
        } else {
            self.census.pids().first().copied()
        };
        if let Some(pid) = first.filter(|pid| *pid != self.identified) {
            self.identified = pid;
            let (command, arguments) = command_of(pid);
            self.command = command.or(self.command.take());
            self.succession.identify(pid, arguments);
        }
        let workload = self.place.workload(&self.path, &self.container, self.command.as_deref());
        let mut instance = Instance::new(self.id.as_str(), self.place.kind(), host, &workload);
        instance.parent = Some(parent.clone());
        instance.labels = self.place.labels(&self.container);
        if let Some(command) = &self.command {
            instance.labels.insert("process.command".into(), command.clone());
        }
        instance
    }

    /// Asks again for the first process's command: a process may have been seen before it became what it is.
    pub fn doubt(&mut self) {
        self.identified = 0;
    }
}

/// Linux fixes USER_HZ at 100 for every architecture in use.
const TICKS_PER_SECOND: u64 = 100;

/// Limits as last looked up, with what this tick's statistics already say of them.
fn fresh(mut limits: Limits, stats: &Stats) -> Limits {
    if stats.memory_limit != ABSENT {
        limits.memory = stats.memory_limit;
        if stats.memory_swap_limit != ABSENT {
            limits.swap = stats.memory_swap_limit.saturating_sub(stats.memory_limit);
        }
    }
    // A group that may not swap has no swap to run out of.
    if limits.swap == 0 {
        limits.swap = ABSENT;
    }
    limits
}

/// What a process runs, and a digest of its command line.
fn command_of(pid: u32) -> (Option<String>, Option<u64>) {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else { return (None, None) };
    (command(exe.as_deref().and_then(|exe| exe.to_str()), &arguments), digest(&arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let known = Known { mask: 0, life: 0, place: Place::Group, lists: Vec::new() };
        Entry::new(InstanceId::new("h/g"), "g", &known, Rates { limits_ms: 1, census_ms: 1 })
    }

    #[test]
    fn a_later_oldest_process_is_a_restart() {
        let mut entry = entry();
        entry.place = Place::Container { id: "c".into(), runtime: None, pod: None };
        let with = |processes, oldest_ticks| Tally { processes, oldest_ticks, ..Tally::UNKNOWN };
        let steps = [
            (with(1, 500), 0, 5),
            (with(2, 500), 0, 5),
            // An older process moved in.
            (with(3, 300), 0, 7),
            (with(0, ABSENT), 0, ABSENT),
            (with(1, 700), 1, 3),
        ];
        for (total, restarts, uptime) in steps {
            entry.total = total;
            entry.settle(1000);
            assert_eq!((entry.reading.restarts, entry.reading.uptime_s), (restarts, uptime), "{total:?}");
        }
    }

    #[test]
    fn what_only_contains_others_does_not_restart() {
        let mut entry = entry();
        for oldest_ticks in [500, 700] {
            entry.total = Tally { processes: 1, oldest_ticks, ..Tally::UNKNOWN };
            entry.settle(1000);
            assert_eq!(entry.reading.restarts, ABSENT);
        }
    }

    #[test]
    fn this_ticks_statistics_go_before_limits_looked_up_earlier() {
        let limits = Limits { memory: 100, swap: 7, ..Limits::NONE };
        let stats = Stats { memory_limit: 50, memory_swap_limit: 50, ..Stats::ABSENT };
        assert_eq!(fresh(limits, &stats), Limits { memory: 50, swap: ABSENT, ..Limits::NONE });
        assert_eq!(fresh(limits, &Stats::ABSENT), limits);
    }

    #[test]
    fn the_command_is_that_of_the_first_process() {
        let (command, arguments) = command_of(std::process::id());
        assert!(command.is_some_and(|command| command.starts_with('/')) && arguments.is_some());
        assert_eq!(command_of(u32::MAX - 1), (None, None));
    }
}
