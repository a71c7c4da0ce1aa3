//! Expects: from the heads around a distance, the correction, and beside a closed loop.

use std::cell::OnceCell;

use foretwin_core::{Expectation, Timestamp, Window};

use super::Ahead;
use super::fit::Source;
use super::grid::Grid;
use super::heads::Way;
use super::network::Correction;
use super::trace::LEVELS;
use crate::feature::{Duty, Recipe, Transform};

/// The closed loop is used where its held-out error is below this part of the direct one.
pub(super) const CLOSED_WORTH: f64 = 0.97;
/// Rows that came true lately, by which the chosen way is watched, and how many are needed.
const RECENT: usize = 60;
const LEAST: usize = 20;
/// The chosen way gives way where its recent error is this many times that of a simple one.
const WORSE: f32 = 1.25;
/// Rows before the first origin from which the LSTM remembers.
const REMEMBERED: usize = 4096;

impl Ahead {
    /// Expects the `steps` rows after the last of a recent window: steps × metrics of the schema, in the metrics' own
    /// units; NaN where nothing is expected. `recent` should reach back [`Self::memory_s`].
    #[must_use]
    pub fn forecast(&self, recipe: &Recipe, recent: &Window, steps: usize) -> Vec<Vec<Expectation>> {
        let Some(&last) = recent.times.last() else { return Vec::new() };
        let all: Vec<usize> = (1..=steps).collect();
        self.forecast_from(recipe, recent, (&[last], &all)).pop().unwrap_or_default()
    }

    /// The same beside a model of the same frames and its state: at the native step, for every metric and distance, the
    /// closed loop where its held-out error is smaller ([`better`]).
    #[must_use]
    pub fn forecast_beside(
        &self,
        (model, state): (&crate::Model, &crate::State),
        recent: &Window,
        steps: usize,
    ) -> Vec<Vec<Expectation>> {
        let mut forecast = self.forecast(model.recipe(), recent, steps);
        if self.native {
            for (direct, closed) in forecast.iter_mut().zip(model.forecast(state, steps)) {
                direct.iter_mut().zip(closed).for_each(|(direct, closed)| *direct = better(closed, *direct));
            }
        }
        forecast
    }

    /// Expects the rows that lie `steps` after each of the `origins` (moments in ascending order), each from frames up
    /// to its origin only: origins × steps × metrics of the schema. Empty for a window without frames and for the recipe
    /// of another schema.
    #[must_use]
    pub fn forecast_from(
        &self,
        recipe: &Recipe,
        window: &Window,
        (origins, steps): (&[Timestamp], &[usize]),
    ) -> Vec<Vec<Vec<Expectation>>> {
        let mut forecasts = Vec::with_capacity(origins.len());
        self.each_origin(recipe, (window, origins), |at, limits| {
            forecasts.push(steps.iter().map(|&k| self.expect(recipe, at, k, limits)).collect());
        });
        forecasts
    }

    /// Visits the origins in their order with what is known at each, and the limits of then; none for a window without
    /// frames and for the recipe of another schema.
    pub(super) fn each_origin(
        &self,
        recipe: &Recipe,
        (window, origins): (&Window, &[Timestamp]),
        mut visit: impl FnMut(&Origin, &[f64]),
    ) {
        let known = self.columns.iter().all(|&column| (column as usize) < recipe.features.len());
        if !known || window.is_empty() {
            return;
        }
        let grid = Grid::new(window, recipe, &self.columns, (self.step_us, self.native));
        let source = Source::new(grid, &self.seasons, usize::MAX);
        let mut running = self.correction.as_ref().map(Correction::start);
        // A coarse row is complete when the next one begins.
        let row_of = |origin: Timestamp| {
            let row = source.grid.row_of(origin) - i64::from(!self.native);
            row.clamp(0, source.grid.rows() as i64 - 1) as usize
        };
        let first = origins.first().map_or(0, |&origin| row_of(origin));
        let (mut next, mut add) = (first.saturating_sub(REMEMBERED), Vec::new());
        for &origin in origins {
            let row = row_of(origin);
            if let (Some(correction), Some(running)) = (&self.correction, &mut running) {
                for t in next..=row {
                    correction.step(running, (&source, t), &mut add);
                }
                next = next.max(row + 1);
            }
            let limits = limits(recipe, window, origin);
            let mut others = Vec::new();
            source.seen_by_others(&self.inputs, row, &mut others);
            let fallbacks = vec![OnceCell::new(); self.leads.len() * self.columns.len()];
            visit(&Origin { source: &source, row, add: &add, others: &others, fallbacks }, &limits);
        }
    }

    fn expect(&self, recipe: &Recipe, at: &Origin, k: usize, limits: &[f64]) -> Vec<Expectation> {
        let mut expected = vec![crate::outcome::NONE; recipe.features.len()];
        let mut room = Vec::new();
        for (n, &column) in self.columns.iter().enumerate() {
            let Standard { mean, scale, .. } = self.standard(at, (n, k), &mut room);
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

    /// One metric `k` rows ahead, on the common scale: between the leads around it.
    pub(super) fn standard(&self, at: &Origin, (n, k): (usize, usize), room: &mut Vec<f32>) -> Standard {
        let (a, b, toward) = between(&self.leads, k);
        let trace = &at.source.traces[n];
        let mut standard = Standard { mean: 0.0, scale: 0.0, quantiles: [0.0; 3] };
        for (lead, weight) in [(a, 1.0 - toward), (b, toward)].into_iter().filter(|(_, w)| *w > 0.0) {
            let head = &self.heads[lead][n];
            standard.mean += weight
                * match self.fallback(at, lead, n) {
                    Some(base) => trace.base(base, at.row, k),
                    None => head.expect(trace, (at.row, k), (at.others, room)),
                };
            standard.scale += weight * head.scale * self.left(lead, n).sqrt();
            let each = standard.quantiles.iter_mut().zip(head.quantiles);
            each.for_each(|(sum, quantile)| *sum += weight * quantile);
        }
        if self.fallback(at, b, n).is_none() {
            standard.mean += self.correct(at.add, n, k);
        }
        standard
    }

    /// The simple expectation that is used instead of the chosen one, where that was clearly worse lately: what was best
    /// on held-out data may have ended since.
    fn fallback(&self, at: &Origin, lead: usize, n: usize) -> Option<usize> {
        let place = lead * self.columns.len() + n;
        *at.fallbacks[place].get_or_init(|| {
            let (h, head) = (self.leads[lead], &self.heads[lead][n]);
            let (trace, last) = (&at.source.traces[n], (at.row + 1).checked_sub(h)?);
            let first = last.saturating_sub(RECENT).max(3);
            let rows = (first..last).filter(|&t| at.source.grid.is_seen(t + h, n));
            let (mut errors, mut count) = ([0.0f32; LEVELS + 1], 0);
            let (mut others, mut room) = (Vec::new(), Vec::new());
            for t in rows {
                others.clear();
                if head.way == Way::Joint {
                    at.source.seen_by_others(&self.inputs, t, &mut others);
                }
                let truth = trace.y[t + h];
                errors[LEVELS] += (truth - head.expect(trace, (t, h), (&others, &mut room))).abs();
                (0..LEVELS).for_each(|base| errors[base] += (truth - trace.base(base, t, h)).abs());
                count += 1;
            }
            let best = (0..LEVELS).min_by(|&a, &b| errors[a].total_cmp(&errors[b]))?;
            (count >= LEAST && WORSE * errors[best] < errors[LEVELS]).then_some(best)
        })
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
    pub(super) fn left(&self, lead: usize, n: usize) -> f32 {
        self.correction
            .as_ref()
            .map_or(1.0, |correction| self.at_lead(correction, &correction.left, (lead, n)))
    }

    /// What it leaves of the absolute error; none where that was not measured.
    pub(super) fn left_absolute(&self, lead: usize, n: usize) -> Option<f32> {
        let correction =
            self.correction.as_ref().filter(|correction| !correction.left_absolute.is_empty())?;
        Some(self.at_lead(correction, &correction.left_absolute, (lead, n)))
    }

    /// A number of the correction, leads × metrics, at a lead: between those that it has outputs for.
    fn at_lead(&self, correction: &Correction, values: &[f32], (lead, n): (usize, usize)) -> f32 {
        let leads: Vec<usize> = correction.leads.iter().map(|&lead| self.leads[lead]).collect();
        let (a, b, toward) = between(&leads, self.leads[lead]);
        let at = |lead: usize| values[lead * self.columns.len() + n];
        (1.0 - toward) * at(a) + toward * at(b)
    }
}

/// Of two expectations of one value that was forecast by a closed loop and directly, at the native step of both: the one
/// with the smaller held-out error, the direct one in a draw.
#[must_use]
pub fn better(closed: Expectation, direct: Expectation) -> Expectation {
    let alone = direct.mean.is_nan();
    if alone || closed.scale < CLOSED_WORTH * direct.scale { closed } else { direct }
}

/// What is expected of a metric, on the common scale.
pub(super) struct Standard {
    pub mean: f32,
    pub scale: f32,
    /// Quantiles 0.1, 0.5 and 0.9 of the error, in scales.
    pub quantiles: [f32; 3],
}

/// Where a forecast is made from.
pub(super) struct Origin<'a> {
    pub source: &'a Source,
    pub row: usize,
    add: &'a [f32],
    others: &'a [f32],
    /// Per lead and metric, looked up once.
    fallbacks: Vec<OnceCell<Option<usize>>>,
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
