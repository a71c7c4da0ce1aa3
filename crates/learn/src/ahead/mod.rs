//! The second time scale: forecasts many steps ahead, with the shapes of day and week.
//!
//! [`Ahead`] expects every metric at leads from one row to several hundred, each lead by a regression of its own on
//! recent values, slow averages and the same time of earlier periods, corrected by an LSTM. For every metric and lead
//! the way that was best on held-out data is used, be it the last value or the season alone; [`Ahead::choices`] says
//! which. Scales are held-out errors at each lead, not assumed to grow by any law.

mod choose;
mod grid;
mod heads;
mod network;
mod season;
mod trace;

use std::ops::ControlFlow;

use foretwin_core::{Expectation, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::feature::{Duty, Recipe, Transform};
use grid::Grid;
use heads::{Head, Part, Way, fit_joint, fit_own, origins};
use network::Correction;
use trace::Trace;

/// Leads that have expectations of their own, in rows; between them, expectations are interpolated.
const LEADS: [usize; 12] = [1, 2, 4, 10, 25, 60, 150, 300, 600, 1440, 2880, 10_080];
/// A lead needs this many times as many rows to learn from.
const PER_LEAD: usize = 4;
/// The latest part of the rows of an instance, held out to choose.
const HELD_OUT: f64 = 0.2;
/// From this many members on, some of them are held out instead of the latest rows of each.
const MANY: usize = 10;
/// Fewest rows to fit to.
const FEWEST: usize = 40;
/// Metrics that others are explained by, at most.
const INPUTS: usize = 48;

/// One instance to learn from: its frames and how they are read.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Frames of normal operation.
    pub window: &'a Window,
    /// How the frames become numbers; of the instance's own model, so that scales are its own.
    pub recipe: &'a Recipe,
}

/// How to learn forecasts far ahead.
#[derive(Debug, Clone, PartialEq)]
pub struct AheadConfig {
    /// Seconds per row; rows are means over them. At or below the sampling interval: that interval.
    pub step_s: f64,
    /// Weight of the prior in the regressions.
    pub ridge: f64,
    /// Width of the LSTM; 0 for none.
    pub hidden: usize,
    /// Most passes of the LSTM over its data.
    pub epochs: usize,
    /// Networks of the ensemble, whose corrections are averaged.
    pub ensemble: usize,
    /// Fewest rows before an LSTM is tried.
    pub lstm_min_rows: usize,
    /// Rows to learn from at most, the latest.
    pub max_rows: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for AheadConfig {
    fn default() -> Self {
        Self {
            step_s: 60.0,
            ridge: 10.0,
            hidden: 24,
            epochs: 16,
            ensemble: 1,
            lstm_min_rows: 1000,
            max_rows: 20_160,
            seed: 1,
        }
    }
}

/// Expectations many steps ahead of one instance, or of the members of a cohort, at one time scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ahead {
    step_us: i64,
    /// Whether rows are frames rather than means of them.
    native: bool,
    columns: Vec<u32>,
    leads: Vec<usize>,
    seasons: Vec<usize>,
    /// Metrics whose past explains others, as positions in `columns`.
    inputs: Vec<u32>,
    /// Per lead, one per column.
    heads: Vec<Vec<Head>>,
    correction: Option<Correction>,
}

/// How a metric is expected at a lead, as chosen on held-out data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Column of the metric in the schema.
    pub column: usize,
    /// Seconds ahead.
    pub lead_s: f64,
    /// The way that was best.
    pub method: Method,
    /// Root mean square error on held-out data, in standardised units.
    pub error: f64,
}

/// Ways to expect a value some steps ahead.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// It stays as it is.
    Last,
    /// It returns to its slow average.
    Level,
    /// It repeats what it was one period before.
    SeasonalNaive {
        /// Seconds.
        period_s: f64,
    },
    /// It repeats the mean of earlier periods, at today's level or not.
    Seasonal {
        /// Seconds.
        period_s: f64,
    },
    /// A regression on its own past and earlier periods.
    Linear,
    /// The same, and on the past of others.
    Joint,
    /// One of the above, corrected by an LSTM.
    Lstm,
}

/// What a fit is about, once the data were looked at.
struct Job {
    width: usize,
    leads: Vec<usize>,
    seasons: Vec<usize>,
    inputs: Vec<u32>,
    ridge: f64,
    hidden: usize,
    epochs: usize,
    ensemble: usize,
    seed: u64,
}

/// One instance on its grid.
struct Source {
    grid: Grid,
    traces: Vec<Trace>,
    /// Rows before this have too little past.
    warm: usize,
    /// The first held-out row: 0 for a member that is held out whole.
    split: usize,
}

impl Source {
    fn new(grid: Grid, seasons: &[usize], split: usize) -> Self {
        let traces = (0..grid.width).map(|n| Trace::new(grid.column(n).collect(), seasons)).collect();
        let warm = seasons.last().copied().unwrap_or(0).clamp(3, (grid.rows() / 2).max(3));
        Self { grid, traces, warm, split }
    }

    fn held_out(&self, row: usize) -> bool {
        row >= self.split
    }

    /// Two features of every input at row `t`, appended.
    fn seen_by_others(&self, inputs: &[u32], t: usize, into: &mut Vec<f32>) {
        into.extend(inputs.iter().flat_map(|&n| self.traces[n as usize].to_others(t)));
    }
}

/// Rows per second of a window become rows of this many microseconds; and whether those are its own frames.
fn step_of(window: &Window, step_s: f64) -> (i64, bool) {
    let native_s = crate::table::Rows::choose(&window.times, usize::MAX).step_s;
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
        let leads = LEADS.into_iter().filter(|lead| lead * PER_LEAD <= rows).collect();
        let mut sources: Vec<Source> = Vec::new();
        for (n, grid) in grids.into_iter().enumerate() {
            let tail = (grid.rows() as f64 * HELD_OUT) as usize;
            let split = match many {
                true => usize::from(n % 5 != 4) * grid.rows(),
                false => grid.rows() - tail,
            };
            sources.push(Source::new(grid, &seasons, split));
        }
        let inputs = (0..columns.len().min(INPUTS) as u32).collect();
        let AheadConfig { ridge, hidden, epochs, ensemble, seed, .. } = *config;
        let job = Job { width: columns.len(), leads, seasons, inputs, ridge, hidden, epochs, ensemble, seed };
        let mut heads: Vec<Vec<Head>> = job.leads.iter().map(|&h| chosen(&sources, &job, h)).collect();
        let mut correction = None;
        if hidden > 0 && network::enough(&sources, &job, config.lstm_min_rows) {
            let ControlFlow::Continue(found) = Correction::fit(&sources, &job, &heads, observe) else {
                return None;
            };
            correction = found;
        }
        for (&h, heads) in job.leads.iter().zip(&mut heads) {
            refit(&sources, &job, h, heads);
        }
        let Job { leads, seasons, inputs, .. } = job;
        let (step_us, native) = scale;
        Some(Self { step_us, native, columns, leads, seasons, inputs, heads, correction })
    }

    /// Seconds per row.
    #[must_use]
    pub fn step_s(&self) -> f64 {
        self.step_us as f64 / 1e6
    }

    /// The farthest lead with an expectation of its own, in rows; beyond it, that one is used with its scale.
    #[must_use]
    pub fn farthest(&self) -> usize {
        self.leads.last().copied().unwrap_or(0)
    }

    /// Periods that were found, in seconds.
    pub fn periods_s(&self) -> impl Iterator<Item = f64> + '_ {
        self.seasons.iter().map(|&rows| rows as f64 * self.step_s())
    }

    /// How far back a window must reach for a forecast to know what was learned, in seconds.
    #[must_use]
    pub fn memory_s(&self) -> f64 {
        (3 * self.seasons.last().copied().unwrap_or(0)).max(512) as f64 * self.step_s()
    }

    /// How every metric is expected at every lead.
    #[must_use]
    pub fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        for (lead, heads) in self.heads.iter().enumerate() {
            for (n, head) in heads.iter().enumerate() {
                let left = self.left(lead, n);
                let method = if left < 1.0 { Method::Lstm } else { self.method(head.way) };
                choices.push(Choice {
                    column: self.columns[n] as usize,
                    lead_s: self.leads[lead] as f64 * self.step_s(),
                    method,
                    error: f64::from(head.scale * left.sqrt()),
                });
            }
        }
        choices
    }

    fn method(&self, way: Way) -> Method {
        let period_s = |base: u32| self.seasons[(base as usize - 2) / 3] as f64 * self.step_s();
        match way {
            Way::Own => Method::Linear,
            Way::Joint => Method::Joint,
            Way::Base(0) => Method::Last,
            Way::Base(1) => Method::Level,
            Way::Base(base) if (base - 2).is_multiple_of(3) => {
                Method::SeasonalNaive { period_s: period_s(base) }
            }
            Way::Base(base) => Method::Seasonal { period_s: period_s(base) },
        }
    }

    /// Expects the `steps` rows after the last of a recent window: steps × metrics of the schema, in the metrics' own
    /// units; NaN where nothing is expected. `recent` should reach back [`Self::memory_s`].
    #[must_use]
    pub fn forecast(&self, recipe: &Recipe, recent: &Window, steps: usize) -> Vec<Vec<Expectation>> {
        let Some(&last) = recent.times.last() else { return Vec::new() };
        let all: Vec<usize> = (1..=steps).collect();
        self.from_origins(recipe, recent, (&[last], &all)).pop().unwrap_or_default()
    }

    /// Expects the rows that lie `steps` after each of the `origins` (moments in ascending order), each from frames up
    /// to its origin only: origins × steps × metrics of the schema.
    #[must_use]
    pub fn from_origins(
        &self,
        recipe: &Recipe,
        window: &Window,
        (origins, steps): (&[Timestamp], &[usize]),
    ) -> Vec<Vec<Vec<Expectation>>> {
        let grid = Grid::new(window, recipe, &self.columns, (self.step_us, self.native));
        let source = Source::new(grid, &self.seasons, usize::MAX);
        let mut running = self.correction.as_ref().map(Correction::start);
        let (mut next, mut add, mut forecasts) = (0, Vec::new(), Vec::new());
        for &origin in origins {
            // A coarse row is complete when the next one begins.
            let row = source.grid.row_of(origin) - i64::from(!self.native);
            let row = row.clamp(0, source.grid.rows() as i64 - 1) as usize;
            if let (Some(correction), Some(running)) = (&self.correction, &mut running) {
                for t in next..=row {
                    correction.step(running, (&source, t), &mut add);
                }
                next = next.max(row + 1);
            }
            let limits = limits(recipe, window, origin);
            let mut others = Vec::new();
            source.seen_by_others(&self.inputs, row, &mut others);
            let at = Origin { source: &source, row, add: &add, others: &others };
            forecasts.push(steps.iter().map(|&k| self.expect(recipe, &at, k, &limits)).collect());
        }
        forecasts
    }

    fn expect(&self, recipe: &Recipe, at: &Origin, k: usize, limits: &[f64]) -> Vec<Expectation> {
        let mut expected = vec![crate::outcome::NONE; recipe.features.len()];
        let mut room = Vec::new();
        let (a, b, toward) = between(&self.leads, k);
        for (n, &column) in self.columns.iter().enumerate() {
            let trace = &at.source.traces[n];
            let mut mean = 0.0;
            let mut scale = 0.0;
            for (lead, weight) in [(a, 1.0 - toward), (b, toward)].into_iter().filter(|(_, w)| *w > 0.0) {
                let head = &self.heads[lead][n];
                mean += weight * head.expect(trace, (at.row, k), (at.others, &mut room));
                scale += weight * head.scale * self.left(lead, n).sqrt();
            }
            mean += self.correct(at.add, n, k);
            let feature = &recipe.features[column as usize];
            let (mean, scale) = feature.in_unit(mean, scale, limits[column as usize]);
            expected[column as usize] = Expectation { mean, scale };
        }
        for (column, feature) in recipe.features.iter().enumerate() {
            if let Duty::Duplicate { of } = feature.duty {
                expected[column] = expected[of];
            }
        }
        expected
    }

    /// The LSTM's correction of a metric `k` rows ahead, between the leads that it has outputs for.
    fn correct(&self, add: &[f32], n: usize, k: usize) -> f32 {
        let Some(correction) = &self.correction else { return 0.0 };
        let leads: Vec<usize> = correction.leads.iter().map(|&lead| self.leads[lead]).collect();
        let (a, b, toward) = between(&leads, k);
        let at = |lead: usize| add.get(lead * self.columns.len() + n).copied().unwrap_or(0.0);
        (1.0 - toward) * at(a) + toward * at(b)
    }

    /// What the LSTM leaves of the squared error of a metric at a lead, at most 1.
    fn left(&self, lead: usize, n: usize) -> f32 {
        let Some(correction) = &self.correction else { return 1.0 };
        let leads: Vec<usize> = correction.leads.iter().map(|&lead| self.leads[lead]).collect();
        let (a, b, toward) = between(&leads, self.leads[lead]);
        let at = |lead: usize| correction.left[lead * self.columns.len() + n];
        (1.0 - toward) * at(a) + toward * at(b)
    }
}

/// Where a forecast is made from.
struct Origin<'a> {
    source: &'a Source,
    row: usize,
    add: &'a [f32],
    others: &'a [f32],
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
        if again.way != Way::Joint {
            again.joint = Vec::new();
        }
        *head = again;
    }
}

/// The leads around `k`, and how far from the first to the second it lies, by the logarithm.
fn between(leads: &[usize], k: usize) -> (usize, usize, f32) {
    let b = leads.partition_point(|&lead| lead < k).min(leads.len().saturating_sub(1));
    let a = if leads[b] <= k { b } else { b.saturating_sub(1) };
    if a == b || leads[b] <= k {
        return (b, b, 0.0);
    }
    let log = |lead: usize| (lead as f32).ln();
    (a, b, (log(k) - log(leads[a])) / (log(leads[b]) - log(leads[a])))
}

/// The latest known limit of every column that is seen as a share of one, up to a moment.
fn limits(recipe: &Recipe, window: &Window, at: Timestamp) -> Vec<f64> {
    let row = window.times.partition_point(|&time| time <= at).checked_sub(1);
    let limit = |feature: &crate::Feature| match (feature.transform, row) {
        (Transform::Ratio { limit }, Some(row)) => {
            let storage = recipe.features[limit].storage;
            let known = window.columns[limit][..=row].iter().rev().map(|value| value.to_f64(storage));
            known.take(1000).find(|limit| !limit.is_nan()).unwrap_or(f64::NAN)
        }
        _ => f64::NAN,
    };
    recipe.features.iter().map(limit).collect()
}
