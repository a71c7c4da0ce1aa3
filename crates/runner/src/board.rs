//! Where the probing threads leave their samples, and the reporter finds them once per period.

use std::sync::{Mutex, PoisonError};

use foretwin_core::probe::Field;

/// What is sampled; each has fields of its own in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    WakeLag,
    ShortStretch,
    ShortCpu,
    LongStretch,
    LongCpu,
    Touch,
    Fault,
    Reclaim,
    Refault,
    Write,
    Sync,
    Tcp,
    Peer,
    Sojourn,
    ReplaySojourn,
}

const COSTS: usize = Cost::ReplaySojourn as usize + 1;
/// Most samples of one cost in a period; more would need a rate that no order may ask for.
const MOST_SAMPLES: usize = 10_000;

/// What a period's samples are put down as.
#[derive(Clone, Copy)]
enum Stat {
    Mean,
    At(f64),
}

/// Which statistics are told of each cost.
const TOLD: &[(Cost, Stat, Field)] = &[
    (Cost::WakeLag, Stat::Mean, Field::WakeLagMean),
    (Cost::WakeLag, Stat::At(0.5), Field::WakeLagP50),
    (Cost::WakeLag, Stat::At(0.9), Field::WakeLagP90),
    (Cost::WakeLag, Stat::At(1.0), Field::WakeLagMax),
    (Cost::ShortStretch, Stat::Mean, Field::ShortStretchMean),
    (Cost::ShortStretch, Stat::At(0.9), Field::ShortStretchP90),
    (Cost::ShortCpu, Stat::Mean, Field::ShortCpu),
    (Cost::LongStretch, Stat::Mean, Field::LongStretch),
    (Cost::LongCpu, Stat::Mean, Field::LongCpu),
    (Cost::Touch, Stat::At(0.5), Field::TouchP50),
    (Cost::Touch, Stat::At(0.9), Field::TouchP90),
    (Cost::Fault, Stat::At(0.5), Field::FaultP50),
    (Cost::Fault, Stat::At(0.9), Field::FaultP90),
    (Cost::Reclaim, Stat::At(0.9), Field::ReclaimP90),
    (Cost::Refault, Stat::At(0.9), Field::RefaultP90),
    (Cost::Write, Stat::At(0.5), Field::WriteP50),
    (Cost::Write, Stat::At(0.9), Field::WriteP90),
    (Cost::Sync, Stat::At(0.5), Field::SyncP50),
    (Cost::Sync, Stat::At(0.9), Field::SyncP90),
    (Cost::Tcp, Stat::At(0.5), Field::TcpP50),
    (Cost::Tcp, Stat::At(0.9), Field::TcpP90),
    (Cost::Peer, Stat::At(0.5), Field::PeerP50),
    (Cost::Peer, Stat::At(0.9), Field::PeerP90),
    (Cost::Sojourn, Stat::At(0.5), Field::SojournP50),
    (Cost::Sojourn, Stat::At(0.9), Field::SojournP90),
    (Cost::ReplaySojourn, Stat::At(0.5), Field::RequestSojournP50),
    (Cost::ReplaySojourn, Stat::At(0.9), Field::RequestSojournP90),
];

/// Counts of a period that are told per period or per second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub ticks: u64,
    pub missed: u64,
    pub peer_errors: u64,
    pub usage: crate::sys::Usage,
}

#[derive(Debug, Default)]
struct Content {
    samples: [Vec<f64>; COSTS],
    counts: Counts,
}

/// Shared by all threads. A lock is held for a push or a swap only.
#[derive(Debug, Default)]
pub struct Board(Mutex<Content>);

impl Board {
    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a sample in seconds, or a ratio.
    pub fn push(&self, cost: Cost, value: f64) {
        self.with(|content| {
            let samples = &mut content.samples[cost as usize];
            if samples.len() < MOST_SAMPLES {
                samples.push(value);
            }
        });
    }

    /// Adds a sample in nanoseconds.
    pub fn push_ns(&self, cost: Cost, value_ns: u64) {
        self.push(cost, value_ns as f64 / 1e9);
    }

    /// Changes the counts.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.with(|content| change(&mut content.counts));
    }

    /// Takes what came together since the last time: statistics into `values`, and the counts.
    pub fn take(&self, values: &mut Vec<(Field, f64)>) -> Counts {
        let mut content = self.with(std::mem::take);
        content.samples.iter_mut().for_each(|samples| samples.sort_by(f64::total_cmp));
        for (cost, stat, field) in TOLD {
            let samples = &content.samples[*cost as usize];
            if !samples.is_empty() {
                values.push((*field, statistic(samples, *stat)));
            }
        }
        content.counts
    }
}

/// Of ascending samples, at least one; percentiles by the nearest rank, so that each is a sample that was.
fn statistic(samples: &[f64], stat: Stat) -> f64 {
    match stat {
        Stat::Mean => samples.iter().sum::<f64>() / samples.len() as f64,
        Stat::At(share) => {
            let rank = (share * samples.len() as f64).ceil() as usize;
            samples[rank.clamp(1, samples.len()) - 1]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_told_once() {
        let board = Board::default();
        (1..=10).rev().for_each(|n| board.push(Cost::WakeLag, f64::from(n)));
        board.count(|counts| counts.ticks += 10);
        let mut values = Vec::new();
        assert_eq!(board.take(&mut values).ticks, 10);
        let told = [(Field::WakeLagMean, 5.5), (Field::WakeLagP50, 5.0)];
        assert_eq!(values[..2], told);
        assert_eq!(values[2..], [(Field::WakeLagP90, 9.0), (Field::WakeLagMax, 10.0)]);
        values.clear();
        assert_eq!(board.take(&mut values).ticks, 0);
        assert!(values.is_empty());
    }
}
