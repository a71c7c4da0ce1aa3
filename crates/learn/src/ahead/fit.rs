//! Learns a forecaster: grid, periods, regressions, choices, LSTM, and the regressions again on all rows.

use std::ops::ControlFlow;

use foretwin_core::Window;

use super::grid::Grid;
use super::heads::{Head, Part, Way, fit_joint, fit_own, origins};
use super::network::{self, Correction};
use super::trace::Trace;
use super::{Ahead, AheadConfig, Member, choose, season};
use crate::feature::Duty;

/// A lead needs this many times as many rows to learn from.
const PER_LEAD: usize = 3;
/// The latest part of the rows of an instance, held out to choose.
pub(super) const HELD_OUT: f64 = 0.2;
/// From this many members on, some of them are held out instead of the latest rows of each.
const MANY: usize = 10;
/// Fewest rows to fit to.
const FEWEST: usize = 40;
/// Metrics that others are explained by, at most.
const INPUTS: usize = 48;
/// Leads that have expectations of their own, in rows; between them, expectations are interpolated.
const LEADS: [usize; 18] =
    [1, 2, 4, 7, 10, 15, 25, 40, 60, 100, 150, 250, 400, 600, 1000, 1440, 2880, 10_080];

/// What a fit is about, once the data were looked at.
pub(super) struct Job {
    pub width: usize,
    pub leads: Vec<usize>,
    pub seasons: Vec<usize>,
    pub inputs: Vec<u32>,
    pub ridge: f64,
    pub hidden: usize,
    pub epochs: usize,
    pub ensemble: usize,
    pub seed: u64,
}

/// One instance on its grid.
pub(super) struct Source {
    pub grid: Grid,
    pub traces: Vec<Trace>,
    /// Rows before this have too little past.
    pub warm: usize,
    /// The first held-out row: 0 for a member that is held out whole.
    pub split: usize,
    /// Where judging the LSTM begins, if not in the middle of the held-out rows.
    pub judged: Option<usize>,
}

impl Source {
    pub fn new(grid: Grid, seasons: &[usize], split: usize) -> Self {
        let traces = (0..grid.width).map(|n| Trace::new(grid.column(n).collect(), seasons)).collect();
        let warm = seasons.last().copied().unwrap_or(0).clamp(3, (grid.rows() / 2).max(3));
        Self { grid, traces, warm, split, judged: None }
    }

    pub fn held_out(&self, row: usize) -> bool {
        row >= self.split
    }

    /// The first row that judges the LSTM: held-out rows before it stop its training. Of members that are held out
    /// whole, every other one judges.
    pub fn judged(&self) -> usize {
        self.judged.unwrap_or(self.split + (self.grid.rows().saturating_sub(self.split)) / 2)
    }

    /// Two features of every input at row `t`, appended.
    pub fn seen_by_others(&self, inputs: &[u32], t: usize, into: &mut Vec<f32>) {
        into.extend(inputs.iter().flat_map(|&n| self.traces[n as usize].to_others(t)));
    }
}

/// Rows per second of a window become rows of this many microseconds; and whether those are its own frames.
fn step_of(window: &Window, step_s: f64) -> (i64, bool) {
    let native_s = crate::table::Rows::choose_without(&window.times, usize::MAX, &[]).step_s;
    let native = step_s <= native_s;
    ((step_s.max(native_s) * 1e6).round().max(1.0) as i64, native)
}

impl Ahead {
    /// Learns from one instance, or from several of one schema as a cohort: weights are shared, scales are each one's.
    /// Nothing where there are fewer than 40 rows or no metric moves, or where `observe` stopped it.
    pub fn fit(
        members: &[Member],
        config: &AheadConfig,
        observe: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Option<Self> {
        let first = members.first()?;
        let scale = step_of(first.window, config.step_s);
        let columns = first.recipe.columns(|duty| duty == Duty::Modelled);
        let grids: Vec<Grid> = members
            .iter()
            .map(|m| Grid::new(m.window, m.recipe, &columns, scale).latest(config.max_rows))
            .collect();
        let rows = grids.iter().map(Grid::rows).min()?;
        if rows < FEWEST || columns.is_empty() {
            return None;
        }
        let many = members.len() >= MANY;
        let learned = rows - (rows as f64 * HELD_OUT) as usize;
        let seasons = season::seasons(&grids[0], if many { rows } else { learned });
        let farthest = (config.farthest_s * 1e6 / scale.0 as f64).max(1.0);
        let leads =
            LEADS.into_iter().filter(|&lead| lead * PER_LEAD <= rows && lead as f64 <= farthest).collect();
        let mut sources: Vec<Source> = Vec::new();
        for (n, grid) in grids.into_iter().enumerate() {
            let tail = (grid.rows() as f64 * HELD_OUT) as usize;
            let split = match many {
                true => usize::from(n % 5 != 4) * grid.rows(),
                false => grid.rows() - tail,
            };
            let mut source = Source::new(grid, &seasons, split);
            // Half of the members that are held out stop the LSTM's training, the other half judge it.
            source.judged = many.then_some(if n % 10 == 4 { 0 } else { source.grid.rows() });
            sources.push(source);
        }
        let inputs = (0..columns.len().min(INPUTS) as u32).collect();
        let AheadConfig { ridge, hidden, epochs, ensemble, seed, .. } = *config;
        let job = Job { width: columns.len(), leads, seasons, inputs, ridge, hidden, epochs, ensemble, seed };
        let mut heads: Vec<Vec<Head>> = Vec::with_capacity(job.leads.len());
        for (n, &h) in job.leads.iter().enumerate() {
            if observe(n as f64 / job.leads.len() as f64).is_break() {
                return None;
            }
            heads.push(chosen(&sources, &job, h));
        }
        let mut correction = None;
        if hidden > 0 && network::enough(&sources, &job, config.lstm_min_rows) {
            let ControlFlow::Continue(found) = Correction::fit(&sources, &job, &heads, observe) else {
                return None;
            };
            correction = found;
        }
        for (&h, heads) in job.leads.iter().zip(&mut heads) {
            if observe(1.0).is_break() {
                return None;
            }
            refit(&sources, &job, h, heads);
        }
        let Job { leads, seasons, inputs, .. } = job;
        let (step_us, native) = scale;
        let rows = sources.iter().map(|source| source.grid.rows()).sum();
        Some(Self { step_us, native, columns, leads, seasons, inputs, rows, heads, correction })
    }
}

/// Fits and chooses one lead.
fn chosen(sources: &[Source], job: &Job, h: usize) -> Vec<Head> {
    let learned = origins(sources, job, h, Part::Learned);
    let held_out = origins(sources, job, h, Part::HeldOut);
    let mut heads = fit_own(sources, job, h, &learned);
    if job.width > 1 {
        fit_joint(sources, job, (h, &learned), &mut heads);
    }
    choose::choose(sources, job, (h, &held_out), &mut heads);
    heads
}

/// Fits one lead again to all rows, with the ways and scales that were chosen.
fn refit(sources: &[Source], job: &Job, h: usize, heads: &mut [Head]) {
    let all = origins(sources, job, h, Part::All);
    let mut again = fit_own(sources, job, h, &all);
    if heads.iter().any(|head| head.way == Way::Joint) {
        fit_joint(sources, job, (h, &all), &mut again);
    }
    for (head, mut again) in heads.iter_mut().zip(again) {
        (again.way, again.scale) = (head.way, head.scale);
        again.errors = std::mem::take(&mut head.errors);
        if again.way != Way::Joint {
            again.joint = Vec::new();
        }
        *head = again;
    }
}
