//! Whether probabilities mean what they say: bins on a scale of odds, Brier score and calibration error by horizon.

use foretwin_foresee::{Reliability, Tally};

use super::run::Course;
use super::watch::moment;
use super::world::DAY;

/// Bounds of the bins: failures are rare, so that half of them lie below a tenth.
pub const BOUNDS: [f64; 12] = [0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0];

/// Statements of about the same probability.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bin {
    pub statements: usize,
    pub said: f64,
    pub came: f64,
}

/// How good statements for one horizon are.
pub struct Horizon {
    pub horizon_s: f64,
    pub reliability: Reliability,
    pub bins: Vec<Bin>,
}

/// Holds every statement whose horizon was seen to its end against what came.
pub fn calibrate(course: &Course, horizons_s: &[f64]) -> Vec<Horizon> {
    let end = moment(course.plan.days * DAY);
    let mut failures = vec![Vec::new(); course.plan.instances];
    for ending in &course.world.endings {
        failures[ending.instance].push(moment(ending.minute));
    }
    let of = |(index, &horizon_s): (usize, &f64)| {
        let (mut tally, mut bins) = (Tally::default(), vec![Bin::default(); BOUNDS.len() - 1]);
        for said in &course.said {
            let (at, p, own) = (moment(said.minute), said.within[index], &failures[said.instance]);
            tally.add([(at, p)].into_iter(), own, (horizon_s, end));
            let came = own.iter().any(|failure| (0.0..=horizon_s).contains(&failure.since(at)));
            if came || end.since(at) >= horizon_s {
                let bin = &mut bins[BOUNDS[1..].partition_point(|bound| *bound < p).min(BOUNDS.len() - 2)];
                bin.statements += 1;
                bin.said += p;
                bin.came += f64::from(u8::from(came));
            }
        }
        for bin in &mut bins {
            let n = bin.statements.max(1) as f64;
            (bin.said, bin.came) = (bin.said / n, bin.came / n);
        }
        Horizon { horizon_s, reliability: tally.finish(horizon_s), bins }
    };
    horizons_s.iter().enumerate().map(of).collect()
}

/// The share of times to failure that lay between the stated tenth and ninth tenth, and how many were stated of
/// failures that could be foreseen.
pub fn coverage(course: &Course) -> (f64, usize) {
    let (mut inside, mut all) = (0, 0);
    for said in &course.said {
        let (Some(p10), Some(p90)) = (said.p10, said.p90) else { continue };
        let next =
            course.world.endings.iter().find(|one| one.instance == said.instance && one.minute > said.minute);
        let Some(next) = next.filter(|next| next.kind.is_foreseeable() && next.onset <= said.minute) else {
            continue;
        };
        let left = f64::from(next.minute - said.minute);
        all += 1;
        inside += usize::from(p10 <= left && left <= p90);
    }
    (inside as f64 / all.max(1) as f64, all)
}
