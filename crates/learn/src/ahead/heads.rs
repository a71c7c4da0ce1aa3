//! Direct expectations of each lead: for every metric a ridge regression of its own, then one on the others.
//!
//! A direct forecast regresses the value `h` rows later on what is known now, one regression for each `h`, instead of
//! feeding one-step expectations back (Marcellino, Stock and Watson, 2006): what is missing in the model does not pile
//! up from step to step.

use serde::{Deserialize, Serialize};

use super::fit::{Job, Source};
use super::trace::{Trace, bases, features};
use crate::solve::{add_cross, solve_ridge};

/// Rows that a lead is fitted to at most.
const ROWS: usize = 6000;
/// Multiplications that all regressions may take, which bounds the rows of wide instances.
const WORK: usize = 2_000_000_000;
/// Weight of the ridge on others, relative to that on a metric's own past.
const OTHERS_RIDGE: f64 = 3.0;
/// Errors beyond this many units of scale count as this many.
pub(super) const WILD: f32 = 8.0;

/// Which of the ways to expect a value is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Way {
    /// One of the simplest ones.
    Base(u32),
    /// The regression on its own past.
    Own,
    /// That and the regression on others.
    Joint,
}

/// One metric at one lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub way: Way,
    /// The simplest expectation that the regression corrects.
    pub anchor: u32,
    /// Weights of [`Trace::features`].
    pub own: Vec<f32>,
    /// Weights of two features of every input; empty unless the way is [`Way::Joint`].
    pub joint: Vec<f32>,
    /// Root mean square of the held-out error.
    pub scale: f32,
    /// What every way came to on held-out data, in the order of [`super::tried`]: simple ones, own, joint.
    #[serde(default)]
    pub errors: Vec<Errors>,
}

/// Held-out errors of one way, on the common scale.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Errors {
    /// Mean absolute error, by which ways are chosen.
    pub mae: f32,
    /// Root mean square error.
    pub rms: f32,
}

/// Rows to learn from or to choose on: (source, row) pairs.
pub(super) type Origins = Vec<(u32, u32)>;

/// Which part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Learned,
    HeldOut,
    All,
}

/// Origins in a part of the data from which `h` rows ahead is still in that part, evenly thinned.
pub(super) fn origins(sources: &[Source], job: &Job, h: usize, part: Part) -> Origins {
    let mut all = Origins::new();
    for (s, source) in sources.iter().enumerate() {
        let first = source.warm.min(source.grid.rows() / 3);
        for t in first..source.grid.rows().saturating_sub(h) {
            let held_out = source.held_out(t + h);
            if part == Part::All || held_out == (part == Part::HeldOut) {
                all.push((s as u32, t as u32));
            }
        }
    }
    let width = features(job.seasons.len());
    let most = (WORK / (job.leads.len() * job.width * width * width).max(1)).clamp(500, ROWS);
    let stride = all.len().div_ceil(most).max(1);
    // The latest rows count: thin from the end.
    let skip = all.len().saturating_sub(1) % stride;
    all.into_iter().skip(skip).step_by(stride).collect()
}

/// Fits anchor and own weights of every metric to `origins`, ways still open.
pub(super) fn fit_own(sources: &[Source], job: &Job, h: usize, origins: &Origins) -> Vec<Head> {
    (0..job.width).map(|n| own(sources, job, (h, n), origins)).collect()
}

fn own(sources: &[Source], job: &Job, (h, n): (usize, usize), origins: &Origins) -> Head {
    let anchor = anchor(sources, job, (h, n), origins);
    let width = features(job.seasons.len());
    let (mut g, mut c, mut x) = (vec![0.0f64; width * width], vec![0.0f64; width], Vec::new());
    let mut wide = vec![0.0f64; width];
    for &(s, t) in origins {
        let (source, t) = (&sources[s as usize], t as usize);
        if !source.grid.is_seen(t + h, n) {
            continue;
        }
        let trace = &source.traces[n];
        trace.features(t, h, &mut x);
        wide.iter_mut().zip(&x).for_each(|(wide, x)| *wide = f64::from(*x));
        let left = f64::from((trace.y[t + h] - trace.base(anchor as usize, t, h)).clamp(-WILD, WILD));
        for i in 0..width {
            c[i] += wide[i] * left;
            let factor = wide[i];
            g[i * width..=i * width + i].iter_mut().zip(&wide).for_each(|(sum, x)| *sum += factor * x);
        }
    }
    // Errors of neighbouring origins overlap: far ahead, a row is worth less.
    solve_ridge(&mut g, width, job.ridge * (h as f64).sqrt(), &mut c);
    let own = c.into_iter().map(|w| w as f32).collect();
    Head { way: Way::Own, anchor, own, joint: Vec::new(), scale: 1.0, errors: Vec::new() }
}

/// The simplest expectation with the least error.
fn anchor(sources: &[Source], job: &Job, (h, n): (usize, usize), origins: &Origins) -> u32 {
    let mut errors = vec![0.0f64; bases(job.seasons.len())];
    for &(s, t) in origins {
        let (source, t) = (&sources[s as usize], t as usize);
        if source.grid.is_seen(t + h, n) {
            let (trace, truth) = (&source.traces[n], source.traces[n].y[t + h]);
            for (base, error) in errors.iter_mut().enumerate() {
                *error += f64::from((truth - trace.base(base, t, h)).clamp(-WILD, WILD).powi(2));
            }
        }
    }
    let least = errors.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    least.map_or(0, |(base, _)| base as u32)
}

/// Regresses what own weights leave on the others, for all metrics of a lead at once.
pub(super) fn fit_joint(sources: &[Source], job: &Job, (h, origins): (usize, &Origins), heads: &mut [Head]) {
    let (n, m) = (2 * job.inputs.len(), heads.len());
    let (mut g, mut c, mut scratch) = (vec![0.0; n * n], vec![0.0; n * m], Vec::new());
    let (mut x, mut y, mut room) = (Vec::new(), Vec::new(), Vec::new());
    for block in origins.chunks(512) {
        x.clear();
        y.clear();
        for &(s, t) in block {
            let (source, t) = (&sources[s as usize], t as usize);
            source.seen_by_others(&job.inputs, t, &mut x);
            y.extend(heads.iter().enumerate().map(|(n, head)| {
                let left = source.traces[n].y[t + h] - head.alone(&source.traces[n], (t, h), &mut room);
                if source.grid.is_seen(t + h, n) { left.clamp(-WILD, WILD) } else { 0.0 }
            }));
        }
        add_cross(&mut g, (&x, n), (&x, n), &mut scratch);
        add_cross(&mut c, (&x, n), (&y, m), &mut scratch);
    }
    solve_ridge(&mut g, n, OTHERS_RIDGE * job.ridge * (h as f64).sqrt(), &mut c);
    for (at, head) in heads.iter_mut().enumerate() {
        head.joint = c.iter().skip(at).step_by(m).map(|&w| w as f32).collect();
    }
}

impl Head {
    /// From the metric's own past.
    pub fn alone(&self, trace: &Trace, (t, k): (usize, usize), room: &mut Vec<f32>) -> f32 {
        trace.features(t, k, room);
        let change: f32 = room.iter().zip(&self.own).map(|(x, w)| x * w).sum();
        trace.base(self.anchor as usize, t, k) + change
    }

    /// What others add.
    pub fn by_others(&self, others: &[f32]) -> f32 {
        others.iter().zip(&self.joint).map(|(x, w)| x * w).sum()
    }

    /// By the way that was chosen. `others` is what [`Source::seen_by_others`] gives.
    pub fn expect(&self, trace: &Trace, at: (usize, usize), (others, room): (&[f32], &mut Vec<f32>)) -> f32 {
        match self.way {
            Way::Base(base) => trace.base(base as usize, at.0, at.1),
            Way::Own => self.alone(trace, at, room),
            Way::Joint => self.alone(trace, at, room) + self.by_others(others),
        }
    }
}
