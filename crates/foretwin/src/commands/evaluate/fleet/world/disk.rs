//! What fills a volume: data that is compacted, logs that are rotated, copies that are made and taken away.

use super::chance::Chance;
use super::load::DAY;

/// How a workload uses its volume; amounts in MiB.
#[derive(Debug, Clone)]
pub struct DiskTraits {
    pub size: f64,
    /// What was there at first.
    pub base: f64,
    /// Data and log that a request writes.
    pub data: f64,
    pub log: f64,
    /// The log is rotated at this minute of the day, or, without one, at this size.
    pub rotated_at: Option<u32>,
    pub rotated_size: f64,
    /// Rotated logs that are kept, each a tenth of what it was.
    pub kept: usize,
    /// Segments are merged when this much was written since, and need as much again meanwhile; 0: never.
    pub merged_at: f64,
    /// A copy of the data is made at this minute of every so many days, and gone when it is elsewhere.
    pub copied: Option<(u32, u32)>,
}

/// What is on the volume now.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    data: f64,
    written: f64,
    log: f64,
    rotated: Vec<f64>,
    merging: f64,
    copy: f64,
    copying: bool,
    /// What should have been removed.
    pub stray: f64,
    /// All of it.
    pub used: f64,
}

impl Disk {
    /// Lives through a minute; what is used at its end. A rotation that is broken does not happen.
    pub fn step(
        &mut self,
        traits: &DiskTraits,
        (minute, requests, broken): (u32, f64, bool),
        chance: &mut Chance,
    ) -> f64 {
        let wrote = requests * traits.data * chance.between(0.7, 1.3);
        self.data += 0.02 * wrote;
        self.written += wrote;
        // A few requests go wrong and say so at length.
        self.log += requests * traits.log * chance.lognormal(1.0, 0.4);
        let due = traits.rotated_at.map_or(self.log > traits.rotated_size, |at| minute % DAY == at);
        if due && !broken {
            self.rotated.push(0.1 * self.log);
            self.log = 0.0;
            if self.rotated.len() > traits.kept {
                self.rotated.remove(0);
            }
        }
        self.merge(traits, chance);
        self.copy(traits, minute, chance);
        let logs = self.log + self.rotated.iter().sum::<f64>();
        self.used = traits.base + self.data + self.written + self.merging + logs + self.copy + self.stray;
        self.used
    }

    fn merge(&mut self, traits: &DiskTraits, chance: &mut Chance) {
        if traits.merged_at == 0.0 {
            self.written *= 0.98;
        } else if self.merging > 0.0 || self.written > traits.merged_at {
            self.merging += traits.merged_at * chance.between(0.03, 0.08);
            if self.merging > 0.8 * self.written {
                (self.merging, self.written) = (0.0, 0.05 * self.written);
            }
        }
    }

    fn copy(&mut self, traits: &DiskTraits, minute: u32, chance: &mut Chance) {
        let Some((at, days)) = traits.copied else { return };
        self.copying |= minute % (DAY * days) == at;
        if self.copying {
            self.copy += 0.006 * traits.size * chance.between(0.5, 1.5);
            if self.copy > 0.6 * (traits.base + self.data).min(0.25 * traits.size) {
                (self.copy, self.copying) = (0.0, false);
            }
        }
    }

    /// Somebody cleans up.
    pub fn clean(&mut self) {
        (self.stray, self.log, self.copy) = (0.0, 0.0, 0.0);
        self.rotated.clear();
    }
}
