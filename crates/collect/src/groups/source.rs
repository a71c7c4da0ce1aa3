//! The source of all groups: looks for them, reads them, and tells of their coming and going.

use std::path::Path;
use std::time::{Duration, Instant};

use foretwin_core::{InstanceId, SECOND_US, Timestamp, Value};
use foretwin_host::cgroup::{self, Budget, Limits, Vitality};

use super::census::Tally;
use super::config::Config;
use super::entry::{Entry, Rates};
use super::forest::{Forest, Known, ancestors};
use super::metrics;
use super::runtime::Runtimes;
use super::uptime::Uptime;
use crate::error::Error;
use crate::every::Every;
use crate::identity::Place;
use crate::sink::{Sink, Source};

/// Processes looked at in one tick, all groups together: some three milliseconds.
const PROCESSES_PER_TICK: usize = 256;
/// How long a group may be empty before it is given up.
const EMPTY_US: i64 = 600 * SECOND_US;
/// Every how many looks the limits of groups not watched are looked at, in case one was set.
const THOROUGH: u64 = 5;
/// Every how many looks all files are opened again, in case a controller was enabled.
const REOPEN: u64 = 60;
/// Longest file of the interface, `memory.stat` of a kernel with everything, is below 4 KiB.
const BUFFER: usize = 16 << 10;

/// All watched groups.
#[derive(Debug)]
pub struct Groups {
    host: String,
    host_id: InstanceId,
    config: Config,
    forest: Forest,
    /// In order of path, so that a group comes after the groups around it.
    entries: Vec<Entry>,
    budget: Budget,
    runtimes: Runtimes,
    uptime: Uptime,
    looks: u64,
    look_due: Every,
    slow_until: Option<Instant>,
    turn: usize,
    pids: Vec<u32>,
    buffer: Vec<u8>,
    values: Vec<Value>,
}

impl Groups {
    /// Watches the groups below the instance `host`.
    ///
    /// # Errors
    /// If the mount table, or the configured root, cannot be read.
    pub fn new(host: &str, config: &Config) -> Result<Self, Error> {
        let hierarchies = match &config.root {
            Some(root) => cgroup::below(root),
            None => cgroup::mounted(),
        };
        let hierarchies =
            hierarchies.map_err(|source| Error::Read { object: "mounted control groups", source })?;
        // Room for the program's other files; where the limit cannot be raised, fewer files stay open.
        let wanted = config.descriptors as u64 + 1024;
        let limit = cgroup::raise_descriptor_limit(wanted).unwrap_or(wanted.min(1024));
        let spare =
            usize::try_from(limit / 2).unwrap_or(usize::MAX).max((limit as usize).saturating_sub(1024));
        Ok(Self {
            host: host.into(),
            host_id: InstanceId::new(host),
            forest: Forest::new(hierarchies),
            entries: Vec::new(),
            budget: Budget::new(config.descriptors.min(spare)),
            runtimes: Runtimes::new(Path::new("/"), &config.container_roots),
            uptime: Uptime::open(),
            looks: 0,
            look_due: Every::ms(config.rescan_ms),
            slow_until: None,
            turn: 0,
            pids: Vec::new(),
            buffer: vec![0; BUFFER],
            values: Vec::new(),
            config: config.clone(),
        })
    }

    /// How many groups are watched.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.entries.len()
    }

    /// Looks for groups that came or went, and counts processes.
    fn look(&mut self, at: Timestamp, sink: &mut dyn Sink) {
        let began = Instant::now();
        let mut changed = self.forest.refresh();
        changed |= self.drop_gone(at, sink);
        let uptime_ticks = self.uptime.ticks();
        for entry in &mut self.entries {
            entry.count(uptime_ticks);
        }
        let thorough = changed || self.looks.is_multiple_of(THOROUGH);
        changed |= self.add_new(thorough);
        if changed {
            self.link();
        }
        self.looks += 1;
        self.announce(thorough || changed, sink);
        // Looking shall not take more than a fiftieth of the time, however many groups there are.
        let cost = began.elapsed();
        self.slow_until =
            (cost > Duration::from_millis(self.config.rescan_ms) / 50).then(|| began + cost * 50);
    }

    /// Gives up what is gone or long empty; reopens what moved or was made again.
    fn drop_gone(&mut self, at: Timestamp, sink: &mut dyn Sink) -> bool {
        let before = self.entries.len();
        let (forest, budget) = (&self.forest, &self.budget);
        let reopen = self.looks % REOPEN == REOPEN - 1;
        self.entries.retain_mut(|entry| {
            let is_empty = entry.total.processes == 0;
            let since = *entry.empty_since.get_or_insert(at);
            if !is_empty {
                entry.empty_since = None;
            }
            let known = forest.groups().get(&entry.path);
            let Some(known) = known.filter(|_| !(is_empty && at > since + EMPTY_US)) else {
                sink.vanished(&entry.id, at);
                return false;
            };
            if reopen || entry.stale || (known.mask, known.life) != (entry.mask, entry.life) {
                entry.open(known, &forest.hierarchies(known.mask), budget);
                entry.census.move_to(forest.lists(&entry.path, known));
            }
            true
        });
        before != self.entries.len()
    }

    /// Begins to watch groups that hold processes and, where it is worth a thorough look, those that bound or
    /// limit them. Returns whether there were any.
    fn add_new(&mut self, thorough: bool) -> bool {
        let mut new: Vec<(String, &Known)> = Vec::new();
        for (path, known) in self.forest.groups() {
            if self.find(path).is_ok() || self.config.excludes(path) {
                continue;
            }
            let holds = known.place != Place::Inner && known.is_occupied(&mut self.pids);
            if holds || thorough && self.is_worth(path, known) {
                new.push((path.clone(), known));
            }
        }
        new.truncate(self.config.most.saturating_sub(self.entries.len()));
        if new.is_empty() {
            return false;
        }
        let rates = Rates { limits_ms: self.config.limits_ms, census_ms: self.config.census_ms };
        for (path, known) in new {
            let id = InstanceId::new(&format!("{}/{path}", self.host));
            let mut entry = Entry::new(id, &path, known, rates);
            entry.open(known, &self.forest.hierarchies(known.mask), &self.budget);
            entry.census.move_to(self.forest.lists(&path, known));
            entry.census.count();
            if let Place::Container { id, .. } = &known.place {
                entry.container = self.runtimes.container(id);
            }
            self.entries.push(entry);
        }
        self.entries.sort_by(|a, b| a.path.cmp(&b.path));
        true
    }

    /// Whether a group without processes of its own bounds or limits groups that have some.
    fn is_worth(&self, path: &str, known: &Known) -> bool {
        let mut pids = Vec::new();
        let limits = || Limits::own(path, &self.forest.hierarchies(known.mask)).any();
        (known.place.is_boundary() || limits())
            && self.forest.below(path).any(|(_, known)| known.is_occupied(&mut pids))
    }

    fn find(&self, path: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path))
    }

    /// Finds the nearest watched ancestor of each group.
    fn link(&mut self) {
        for at in 0..self.entries.len() {
            let parent = ancestors(&self.entries[at].path).find_map(|path| self.find(path).ok());
            self.entries[at].parent = parent;
        }
    }

    /// Tells what is new or has changed. A thorough look doubts each command once more, since a process may have
    /// been seen between its fork and its exec.
    fn announce(&mut self, thorough: bool, sink: &mut dyn Sink) {
        for at in 0..self.entries.len() {
            let parent = match self.entries[at].parent {
                Some(parent) => self.entries[parent].id.clone(),
                None => self.host_id.clone(),
            };
            let entry = &mut self.entries[at];
            if entry.announced.is_some() && !thorough {
                continue;
            }
            entry.doubt();
            let instance = entry.instance(&self.host, &parent);
            if entry.announced.as_ref() != Some(&instance) {
                sink.instance(&instance);
                entry.announced = Some(instance);
            }
        }
    }

    /// Looks at some processes, and sums up every group with the groups below it.
    fn tally(&mut self, at: Timestamp) {
        let count = self.entries.len();
        let mut left = PROCESSES_PER_TICK;
        for step in 0..count {
            self.entries[(self.turn + step) % count].census.inspect(at, &mut left);
        }
        // Who comes first takes turns, so that a large group does not starve the others.
        self.turn = (self.turn + 1) % count.max(1);
        for entry in &mut self.entries {
            entry.total = *entry.census.tally();
        }
        for at in (0..count).rev() {
            let total: Tally = self.entries[at].total;
            if let Some(parent) = self.entries[at].parent {
                self.entries[parent].total.merge(&total);
            }
        }
        let uptime_ticks = self.uptime.ticks();
        for entry in &mut self.entries {
            entry.settle(uptime_ticks);
        }
    }

    /// Reads every group and hands on its frame. Returns whether some group answered no longer.
    fn frames(&mut self, at: Timestamp, sink: &mut dyn Sink) -> bool {
        let mut fading = false;
        for entry in &mut self.entries {
            let vitality = entry.read(at, &self.forest, &mut self.buffer);
            entry.stale |= vitality != Vitality::Alive;
            fading |= entry.stale;
            if vitality != Vitality::Gone {
                metrics::values(&entry.reading, &mut self.values);
                sink.frame(&entry.id, metrics::schema(), at, &self.values);
            }
        }
        fading
    }
}

impl Source for Groups {
    fn name(&self) -> &'static str {
        "groups"
    }

    fn read(&mut self, at: Timestamp, sink: &mut dyn Sink) -> Result<(), Error> {
        let slow = self.slow_until.is_some_and(|until| Instant::now() < until);
        if !slow && self.look_due.is_due(at) {
            self.look(at, sink);
        }
        self.tally(at);
        if self.frames(at, sink) {
            self.look(at, sink);
        }
        Ok(())
    }
}
