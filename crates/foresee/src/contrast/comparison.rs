//! The state of one comparison: stepped once a second, small, and written down as it is.

use std::collections::VecDeque;

use foretwin_core::{Contrast, Evidence, Fidelity, InstanceId, Timestamp, Verdict, VerdictClass};

use super::ahead::{Ahead, Highest, Limits};
use super::baseline::{Baseline, FEWEST, Usual};
use super::fuse::{Fused, fuse};
use super::habit::{Excess, Habits, Resource};
use super::opinion::Opinion;
use super::queue::Queue;
use super::second::{Neighbour, Second};
use super::signs::{self, Signs};
use super::sustained::Sustained;
use super::window::{self, Of, Row, SECONDS};
use crate::words;

/// Seconds between windows that are learned, and seconds that one waits before it counts, at first and where a load of
/// its own is not known yet: half a window, so that few seconds teach enough.
const QUICK: Pace = Pace { every: 5, wait: 30 };
/// The same once loads are known: a departure that grows for minutes is not learned before it is seen.
const STEADY: Pace = Pace { every: 30, wait: 600 };
/// The same once as many windows are known as are kept: they are those of a day or more, so that what gets slower over
/// hours is not learned away.
const SLOW: Pace = Pace { every: 240, wait: 600 };
/// Windows until loads may count as known.
const ESTABLISHED: usize = 60;
/// Seconds after which the law of latency and load is learned anew.
const LAW: u32 = 60;
/// A pause of so many seconds begins a new window.
const PAUSE_S: f64 = 5.0;
/// What was thought before a pause of so many seconds may still be thought after it: a restart.
const SHORT_PAUSE_S: f64 = 120.0;

/// How often a window is learned, and how late, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pace {
    every: u32,
    wait: u32,
}

/// A window that will be learned if nothing departs until then.
#[derive(Debug, Clone, PartialEq)]
struct Waiting {
    /// The tick at which it counts.
    due: u32,
    row: Row,
    neighbours: Vec<Neighbour>,
}

/// Compares an instance with its twin.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    instance: InstanceId,
    fidelity: Fidelity,
    seconds: VecDeque<Second>,
    pub(super) baseline: Baseline,
    pub(super) habits: Habits,
    waiting: Vec<Waiting>,
    /// How long and how far a request costs more than usual.
    costlier: Sustained,
    pub(super) with: Opinion,
    pub(super) without: Opinion,
    pub(super) ahead: Ahead,
    pub(super) ticks: u32,
    /// The tick at which the newest window was learned.
    pub(super) learned: u32,
}

impl Comparison {
    /// Begins to compare `instance` with a twin of this fidelity.
    #[must_use]
    pub fn new(instance: InstanceId, fidelity: Fidelity) -> Self {
        Self {
            instance,
            fidelity,
            seconds: VecDeque::with_capacity(SECONDS),
            baseline: Baseline::default(),
            habits: Habits::default(),
            waiting: Vec::new(),
            costlier: Sustained::default(),
            with: Opinion::default(),
            without: Opinion::default(),
            ahead: Ahead::new(Limits::default()),
            ticks: 0,
            learned: 0,
        }
    }

    /// The same with limits that production has to keep.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.ahead.limit(limits);
        self
    }

    /// The same after a pause of so many seconds: what was learned stays, what was thought and how it moved is of the
    /// past unless the pause was short.
    #[must_use]
    pub fn rested(mut self, pause_s: f64) -> Self {
        self.seconds.clear();
        self.waiting.clear();
        self.costlier = Sustained::default();
        if pause_s > SHORT_PAUSE_S {
            (self.with, self.without) = (Opinion::default(), Opinion::default());
            self.ahead.rest();
        }
        self
    }

    /// The twin's drift, and what it means for production's latency.
    #[must_use]
    pub fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// Whether enough was learned to judge.
    #[must_use]
    pub fn has_learned(&self) -> bool {
        self.baseline.len() >= FEWEST
    }

    /// Takes the next second, and says where the trouble is, if there is any.
    pub fn step(&mut self, second: Second) -> Contrast {
        let at = second.at;
        if self.seconds.back().is_some_and(|last| at.since(last.at) > PAUSE_S || at <= last.at) {
            self.seconds.clear();
            self.costlier = Sustained::default();
        }
        if self.seconds.len() == SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second);
        self.ticks = self.ticks.wrapping_add(1);
        match window::row(&self.seconds) {
            Some(row) if self.has_learned() => self.judge(at, &row),
            Some(row) => {
                if self.ticks.is_multiple_of(QUICK.every) {
                    self.learn(&row, None);
                }
                self.learning(at)
            }
            None => self.learning(at),
        }
    }

    fn judge(&mut self, at: Timestamp, row: &Row) -> Contrast {
        let usual = self.baseline.usual(row.regime, &window::floors());
        self.costlier.take(signs::departure(row, &usual, Of::Work));
        let neighbours = self.neighbours();
        let (baseline, habits, costlier) = (&self.baseline, &self.habits, self.costlier);
        let signs = signs::read(row, &signs::Known { usual: &usual, baseline, habits, neighbours, costlier });
        // A simulated twin shares nothing with the original.
        let has_twin = row.has_twin && self.fidelity != Fidelity::Model;
        let (with, without) = (fuse(&signs, has_twin), fuse(&signs, false));
        let told = Told { signs: &signs, row, usual: &usual, neighbours };
        let verdicts = [(&with, true), (&without, false)].map(|(fused, twin)| told.verdict(fused, twin));
        if has_twin {
            let highest = self.highest(row);
            let is_calm = self.with.is_calm() && self.without.is_calm();
            if self.ticks.is_multiple_of(LAW) || self.ahead.is_lawless() {
                self.ahead.obey(self.law());
            }
            self.ahead.take(at, row, &usual, (highest, is_calm));
        }
        self.with.take(at, &with);
        self.without.take(at, &without);
        // More load than ever that harms nothing is news once: it is learned, or every peak of a growing load were news.
        if !(self.with.is_calm() && self.without.is_calm() || signs.is_only_load()) {
            self.waiting.clear();
        } else {
            self.wait(row);
        }
        let [(named, evidence), (named_without, evidence_without)] = verdicts;
        Contrast {
            instance: self.instance.clone(),
            at,
            fidelity: self.fidelity,
            verdict: if has_twin { self.with.verdict(named, evidence) } else { no_contrast() },
            verdict_counters_only: self.without.verdict(named_without, evidence_without),
        }
    }

    /// Lets a window wait, and learns those that have waited long enough.
    fn wait(&mut self, row: &Row) {
        let Pace { every, wait } = self.pace(row);
        if self.ticks.is_multiple_of(every) {
            let due = self.ticks.wrapping_add(wait);
            self.waiting.push(Waiting { due, row: row.clone(), neighbours: self.neighbours().to_vec() });
        }
        let now = self.ticks;
        // Seconds that make no window pass without a look; ticks wrap.
        let is_due = |one: &Waiting| now.wrapping_sub(one.due) <= u32::MAX / 2;
        while let Some(at) = self.waiting.iter().position(is_due) {
            let Waiting { row, neighbours, .. } = self.waiting.remove(at);
            self.learn(&row, Some(&neighbours));
        }
    }

    fn pace(&self, row: &Row) -> Pace {
        if self.baseline.len() < ESTABLISHED || !self.baseline.knows_load(row.regime) {
            QUICK
        } else if self.baseline.is_full() {
            SLOW
        } else {
            STEADY
        }
    }

    /// The highest latency while all was well, and how many requests the original could answer: as many as its cores
    /// are enough for, where it is known how many it may use; at least as many as it has.
    fn highest(&self, row: &Row) -> Highest {
        let highest = |of: Of| f64::from(self.baseline.highest(of as usize));
        let work_s = f64::from(row.features[Of::Work as usize]).exp();
        let able = f64::from(row.room) / work_s;
        let seen = highest(Of::Rate).exp_m1();
        let throughput = if able.is_finite() { able.max(seen) } else { seen };
        Highest { latency: highest(Of::LatencyP90), throughput }
    }

    /// How latency follows load when all is well.
    fn law(&self) -> Option<Queue> {
        let learned = self.baseline.pairs((Of::Rate as usize, Of::LatencyP90 as usize));
        let known = learned.map(|(rate, latency)| (f64::from(rate).exp_m1(), f64::from(latency)));
        Queue::fit(&known.collect::<Vec<_>>())
    }

    fn neighbours(&self) -> &[Neighbour] {
        self.seconds.back().map_or(&[], |second| &second.neighbours)
    }

    fn learn(&mut self, row: &Row, neighbours: Option<&[Neighbour]>) {
        let newest = self.seconds.back().map_or(&[][..], |second| &second.neighbours);
        self.baseline.learn(row.regime, &row.features);
        self.habits.fade(self.ticks.wrapping_sub(self.learned) as f32);
        self.learned = self.ticks;
        self.habits.learn(&row.own, neighbours.unwrap_or(newest), &row.others);
    }

    /// Nothing can be said yet.
    fn learning(&self, at: Timestamp) -> Contrast {
        let statement =
            format!("learning what is usual: {} of {FEWEST} windows", self.baseline.len().min(FEWEST));
        let verdict = unknown(VerdictClass::Undetermined, Evidence { metric: String::new(), statement });
        Contrast {
            instance: self.instance.clone(),
            at,
            fidelity: self.fidelity,
            verdict: verdict.clone(),
            verdict_counters_only: verdict,
        }
    }
}

fn unknown(class: VerdictClass, evidence: Evidence) -> Verdict {
    Verdict {
        class,
        self_inflicted: false,
        consumer: None,
        probability: 1.0,
        since: None,
        evidence: vec![evidence],
        probabilities: vec![(class, 1.0)],
    }
}

fn no_contrast() -> Verdict {
    let statement = "no twin runs on the same resources".into();
    unknown(VerdictClass::NoContrast, Evidence { metric: String::new(), statement })
}

/// What a verdict is put into words from.
struct Told<'a> {
    signs: &'a Signs,
    row: &'a Row,
    usual: &'a [Usual],
    neighbours: &'a [Neighbour],
}

impl Told<'_> {
    /// Who uses more than ever, and the evidence, strongest first.
    fn verdict(&self, fused: &Fused, with_twin: bool) -> (Option<(InstanceId, Evidence)>, Vec<Evidence>) {
        let signs = self.signs;
        let own = [signs.load, signs.work, signs.leak, signs.limit, signs.latency];
        let counters = [signs.stall, signs.parent, signs.memory, signs.io, signs.steal, signs.full];
        let probes = signs.probes.iter().map(|(_, sign)| *sign).chain([signs.model]).filter(|_| with_twin);
        let mut all: Vec<_> = own.into_iter().chain(counters).chain(probes).collect();
        all.retain(|sign| sign.strength > 0.0);
        all.sort_by(|a, b| b.strength.total_cmp(&a.strength));
        let said = |sign: &signs::Sign| signs::evidence(sign.feature, self.row, self.usual);
        let named = signs.neighbour.filter(|_| fused.names).and_then(|excess| {
            let id = self.neighbours.get(excess.who)?.id.clone();
            let words = excess_in_words(&excess, &id);
            Some((id, words))
        });
        (named, all.iter().take(5).map(said).collect())
    }
}

fn excess_in_words(excess: &Excess, id: &InstanceId) -> Evidence {
    let (now, before) = (f64::from(excess.now), f64::from(excess.before));
    let (metric, now, before) = match excess.resource {
        Resource::Cpu => {
            let cores = |value| format!("{} cores", words::plain(value));
            ("cpu.time", cores(now), cores(before))
        }
        Resource::Io => {
            let rate = |value| format!("{}/s of disk traffic", words::bytes(value));
            ("disk.io", rate(now), rate(before))
        }
        Resource::IoStall => {
            let share = |value| format!("the disk {} of the time", words::percent(value));
            ("io.pressure", share(now), share(before))
        }
        Resource::Memory => ("memory.unreclaimable", words::bytes(now), words::bytes(before)),
    };
    let statement = format!("{id} uses {now}; when all was well it used at most {before}");
    Evidence { metric: metric.into(), statement }
}
