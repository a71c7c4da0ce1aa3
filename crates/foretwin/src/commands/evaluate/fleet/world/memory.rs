//! What fills the memory of a process, piece by piece: sessions, caches, garbage, arenas, jobs, and what is forgotten.
//!
//! Nothing here is drawn from a trend: levels follow from arrivals and departures, misses and evictions, allocation and
//! collection.

use super::chance::Chance;

/// How a workload uses memory; amounts in MiB.
#[derive(Debug, Clone)]
pub struct MemoryTraits {
    pub limit: f64,
    /// Code and what is loaded at start.
    pub base: f64,
    pub per_session: f64,
    /// Sessions that a request opens.
    pub opens: f64,
    /// Garbage of a request, and the level, as a share of the limit, at which it is collected.
    pub garbage: f64,
    pub collected_at: f64,
    /// The most that is cached, and how much of it a miss brings.
    pub cache: f64,
    pub entry: f64,
    /// A job: hour, hours between two, minutes it takes, and what it needs at its peak.
    pub job: Option<Job>,
}

#[derive(Debug, Clone, Copy)]
pub struct Job {
    pub at: u32,
    pub every: u32,
    pub lasts: u32,
    pub needs: f64,
}

/// What is in memory now.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Sessions that are over in minutes, in an hour, in a day.
    sessions: [f64; 3],
    cached: f64,
    garbage: f64,
    /// What arenas hold beyond what is in use.
    held: f64,
    job: f64,
    warm: f64,
    pub leaked: f64,
}

/// Chances per minute that a session of each sort is over.
const LEAVES: [f64; 3] = [0.3, 0.02, 0.0012];
/// Of a hundred sessions, so many are of each sort.
const SORTS: [f64; 3] = [0.88, 0.105, 0.015];

impl Memory {
    /// Lives through a minute with `requests`; what is used at its end.
    pub fn step(
        &mut self,
        traits: &MemoryTraits,
        (minute, requests): (u32, f64),
        chance: &mut Chance,
    ) -> f64 {
        self.warm += (1.0 - self.warm) * chance.between(0.1, 0.4);
        for (n, sessions) in self.sessions.iter_mut().enumerate() {
            let left = *sessions * LEAVES[n] * (1.0 + 0.1 * chance.normal());
            *sessions = (*sessions - left).max(0.0) + chance.count(requests * traits.opens * SORTS[n]);
        }
        if traits.cache > 0.0 {
            // Popular keys are in first; what is rare keeps being missed. What is old expires.
            let share = (self.cached / traits.cache).min(1.0);
            let missed = requests * (1.0 - share.powf(0.3)) * traits.entry * chance.between(0.7, 1.3);
            self.cached = (self.cached * (1.0 - 2e-4) + missed).min(traits.cache);
        }
        self.job = traits.job.map_or(0.0, |job| {
            let into = (minute + job.every - job.at) % job.every;
            let done = f64::from(into) / f64::from(job.lasts);
            if done >= 1.0 { 0.0 } else { job.needs * (3.0 * done).min(1.0) * chance.between(0.9, 1.1) }
        });
        self.garbage += requests * traits.garbage * chance.between(0.6, 1.4);
        let live = self.live(traits);
        if live + self.garbage > traits.collected_at * traits.limit {
            // A collection leaves a little, more when much lives.
            self.garbage *= chance.between(0.02, 0.15);
        }
        let want = live + self.garbage;
        self.held = (self.held * 0.9985).max(0.04 * want * chance.between(0.5, 1.0));
        want + self.held
    }

    /// What cannot be collected.
    pub fn live(&self, traits: &MemoryTraits) -> f64 {
        let sessions: f64 = self.sessions.iter().sum();
        traits.base * self.warm + sessions * traits.per_session + self.cached + self.job + self.leaked
    }

    /// Sessions that are open.
    pub fn open_sessions(&self) -> f64 {
        self.sessions.iter().sum()
    }
}
