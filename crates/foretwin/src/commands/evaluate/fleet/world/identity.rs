//! Workloads as fleets have them: what sort of program it is decides what its ordinary life looks like.

use super::chance::Chance;
use super::disk::DiskTraits;
use super::load::{DAY, Demand};
use super::memory::{Job, MemoryTraits};

/// Sorts of programs, each with an ordinary life that looks like trouble in its own way.
pub const SORTS: [&str; 10] = [
    "collected heap",
    "small service",
    "filling cache",
    "buffer pool",
    "nightly batch",
    "merging store",
    "front end",
    "model server",
    "log shipper",
    "hourly job",
];

/// What all instances of one workload share.
#[derive(Debug, Clone)]
pub struct Identity {
    pub name: String,
    pub team: String,
    pub sort: usize,
    pub demand: Demand,
    pub memory: MemoryTraits,
    pub disk: DiskTraits,
    pub descriptors: f64,
    /// Descriptors of an open session, and of the rest.
    pub per_session: f64,
    pub fixed: f64,
    /// Milliseconds of a request on an idle host, and processor seconds that it needs.
    pub service_ms: f64,
    pub cost: f64,
    pub promised_ms: f64,
}

impl Identity {
    /// A workload of some sort.
    pub fn new(number: usize, team: String, chance: &mut Chance) -> Self {
        let sort = number % SORTS.len();
        let peak = chance.log_between(5.0, 200.0);
        let memory = memory(sort, peak, chance);
        let disk = disk(sort, peak, chance);
        let service_ms = chance.log_between(3.0, 80.0);
        // Descriptors are planned for: twice to six times what a busy hour needs.
        let (per_session, fixed) = (chance.between(1.0, 2.0), chance.between(40.0, 200.0));
        let open = peak * memory.opens * 60.0 * (0.88 / 0.3 + 0.105 / 0.02 + 0.015 / 0.0012);
        let need = fixed + per_session * open;
        let descriptors = (need * chance.between(1.7, 5.0)).log2().ceil().exp2();
        Self {
            name: format!("{}-{number}", SORTS[sort].replace(' ', "-")),
            team,
            sort,
            demand: Demand::new(peak, chance),
            memory,
            disk,
            descriptors,
            per_session,
            fixed,
            service_ms,
            cost: chance.between(0.25, 0.7) / peak,
            promised_ms: service_ms * chance.between(5.0, 10.0),
        }
    }
}

fn memory(sort: usize, peak: f64, chance: &mut Chance) -> MemoryTraits {
    let limit = 256.0 * f64::from(1u32 << chance.below(5));
    // Requests a minute at a busy hour; what they need is planned as a share of the limit.
    let busy = 60.0 * peak;
    let opens = chance.log_between(0.005, 0.05);
    let sessions = busy * opens * (0.88 / 0.3 + 0.105 / 0.02 + 0.015 / 0.0012);
    let mut traits = MemoryTraits {
        limit,
        base: limit * chance.between(0.1, 0.35),
        per_session: limit * chance.between(0.04, 0.12) / sessions,
        opens,
        garbage: limit * chance.between(0.005, 0.03) / busy,
        collected_at: chance.between(0.45, 0.6),
        cache: 0.0,
        entry: 0.0,
        job: None,
    };
    particular(&mut traits, (sort, busy), chance);
    traits
}

/// What sets a sort of program apart.
fn particular(traits: &mut MemoryTraits, (sort, busy): (usize, f64), chance: &mut Chance) {
    let limit = traits.limit;
    match sort {
        0 => {
            traits.garbage = limit * chance.log_between(0.002, 0.06) / busy;
            traits.collected_at = chance.between(0.65, 0.85);
        }
        2 | 3 => {
            traits.base = limit * chance.between(0.05, 0.15);
            traits.per_session *= 0.5;
            traits.cache =
                limit * if sort == 2 { chance.between(0.4, 0.6) } else { chance.between(0.6, 0.68) };
            // The first hours to days bring most of it.
            traits.entry = traits.cache / (busy * chance.log_between(120.0, 4000.0));
            traits.collected_at = 0.9;
        }
        4 | 9 => {
            let every = if sort == 4 { DAY } else { 60 * (1 + chance.below(6) as u32) };
            let lasts = if sort == 4 { 30 + chance.below(200) as u32 } else { 5 + chance.below(20) as u32 };
            let at = chance.below(every as usize) as u32;
            traits.collected_at = 0.9;
            traits.job = Some(Job { at, every, lasts, needs: limit * chance.between(0.1, 0.3) });
        }
        7 => traits.base = limit * chance.between(0.5, 0.7),
        _ => {}
    }
}

fn disk(sort: usize, peak: f64, chance: &mut Chance) -> DiskTraits {
    let size = 10_240.0 * f64::from(1u32 << chance.below(5));
    let day = 0.5 * 86_400.0 * peak;
    let mut traits = DiskTraits {
        size,
        base: size * chance.between(0.15, 0.45),
        data: size * chance.between(0.002, 0.05) / day,
        log: size * chance.log_between(0.005, 0.04) / day,
        rotated_at: Some(chance.below(360) as u32),
        rotated_size: 0.0,
        kept: 7 + chance.below(8),
        merged_at: 0.0,
        copied: None,
    };
    match sort {
        8 => {
            traits.rotated_at = None;
            traits.rotated_size = size * chance.between(0.05, 0.3);
            traits.log = traits.rotated_size * chance.log_between(0.5, 6.0) / day;
        }
        5 => {
            traits.merged_at = size * chance.between(0.04, 0.12);
            traits.data = traits.merged_at * chance.log_between(1.0, 12.0) / day;
        }
        3 => {
            traits.copied =
                Some((chance.below(DAY as usize) as u32, if chance.happens(0.5) { 1 } else { 7 }));
        }
        _ => {}
    }
    traits
}
