//! Expects: from the ways around a distance, weighted by what they were worth lately.

use std::cell::OnceCell;
use std::collections::VecDeque;

use foretwin_core::{Expectation, Timestamp, Window};

use super::Ahead;
use super::fit::{HELD_OUT, Source};
use super::grid::Grid;
use super::heads;
use super::network::Correction;
use super::recent::{HeldOut, Origins, Recent, Way};
use super::trace::{bases, features};
use crate::feature::{Recipe, Transform};

/// The closed loop is used where its held-out error is below this part of the direct one.
pub(super) const CLOSED_WORTH: f64 = 0.97;
/// Rows before the first origin from which the LSTM remembers.
const REMEMBERED: usize = 4096;
/// Weights to a row at most when it is said how far a regression flatters itself on rows that it was fitted to.
const MOST_WEIGHTS: f32 = 0.6;

impl Ahead {
    /// Expects the `steps` rows after the last of a recent window: steps × metrics of the schema, in the metrics' own
    /// units; NaN where nothing is expected. `recent` should reach back [`Self::memory_s`].
    #[must_use]
    pub fn forecast(&self, recipe: &Recipe, recent: &Window, steps: usize) -> Vec<Vec<Expectation>> {
        let Some(&last) = recent.times.last() else { return Vec::new() };
        let all: Vec<usize> = (1..=steps).collect();
        self.forecast_from(recipe, recent, (&[last], &all)).pop().unwrap_or_default()
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
        let bands = self.bands_from(recipe, window, (origins, steps));
        let expected = |bands: Vec<super::Band>| bands.iter().map(|band| band.expected).collect();
        bands.into_iter().map(|steps| steps.into_iter().map(expected).collect()).collect()
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
        let corrected = self.corrected_leads();
        let (mut next, mut added) = (first.saturating_sub(REMEMBERED), VecDeque::new());
        for &origin in origins {
            let row = row_of(origin);
            if let (Some(correction), Some(running)) = (&self.correction, &mut running) {
                for t in next..=row {
                    let mut add = Vec::new();
                    correction.step(running, (&source, t), &mut add);
                    added.truncate(REMEMBERED);
                    added.push_front(add);
                }
                next = next.max(row + 1);
            }
            let limits = limits(recipe, window, origin);
            let recent = vec![OnceCell::new(); self.leads.len() * self.columns.len()];
            visit(&Origin { source: &source, row, added: &added, corrected: &corrected, recent }, &limits);
        }
    }

    /// One metric `k` rows ahead, on the common scale: between the leads around it, and beyond the last as a random walk.
    pub(super) fn standard(&self, at: &Origin, (n, k): (usize, usize)) -> Standard {
        let (mut room, (a, b, toward)) = (Room::default(), between(&self.leads, k));
        let mut standard =
            Standard { mean: 0.0, scale: 0.0, held_out: 0.0, independent: 0.0, quantiles: [0.0; 7] };
        let wider = (k as f32 / self.farthest().max(1) as f32).max(1.0).sqrt();
        for (lead, weight) in [(a, 1.0 - toward), (b, toward)].into_iter().filter(|(_, w)| *w > 0.0) {
            let recent = self.recent(at, lead, n);
            room.chosen = recent.weights.len() > bases(self.seasons.len());
            self.ways(at, (lead, n), (at.row, k), &mut room);
            let ways = room.ways.iter().zip(&recent.weights);
            standard.mean += weight * ways.map(|(way, part)| way * part).sum::<f32>();
            standard.scale += weight * wider * recent.scale;
            standard.independent += weight * recent.independent;
            standard.held_out += weight * wider * recent.gain * self.held_out(lead, n);
            let each = standard.quantiles.iter_mut().zip(recent.quantiles);
            each.for_each(|(sum, quantile)| *sum += weight * wider * quantile);
        }
        standard
    }

    /// Root mean square of the held-out errors of the chosen way, with the LSTM where that helps.
    fn held_out(&self, lead: usize, n: usize) -> f32 {
        self.heads[lead][n].scale * self.left(lead, n).sqrt()
    }

    /// What every way says at row `t` of the value `k` rows later: the simplest ones, and last the chosen one, if it is
    /// none of them as it is.
    fn ways(&self, at: &Origin, (lead, n): (usize, usize), (t, k): (usize, usize), room: &mut Room) {
        let (head, trace) = (&self.heads[lead][n], &at.source.traces[n]);
        room.ways.clear();
        room.ways.extend((0..bases(self.seasons.len())).map(|base| trace.base(base, t, k)));
        if room.chosen {
            room.others.clear();
            if head.way == heads::Way::Joint {
                at.source.seen_by_others(&self.inputs, t, &mut room.others);
            }
            let corrected =
                at.added.get(at.row - t).map_or(0.0, |add| at.correct(add, self.columns.len(), (n, k)));
            room.ways.push(head.expect(trace, (t, k), (&room.others, &mut room.features)) + corrected);
        }
    }

    fn adds_a_way(&self, lead: usize, n: usize) -> bool {
        !matches!(self.heads[lead][n].way, heads::Way::Base(_)) || self.left(lead, n) < 1.0
    }

    /// How the ways of a metric at a lead did lately.
    fn recent<'a>(&self, at: &'a Origin, lead: usize, n: usize) -> &'a Recent {
        at.recent[lead * self.columns.len() + n].get_or_init(|| {
            let (h, head, trace) = (self.leads[lead], &self.heads[lead][n], &at.source.traces[n]);
            let origins = Origins::before(at.row, h, |t| at.source.grid.is_seen(t + h, n));
            let own = usize::from(self.adds_a_way(lead, n));
            let count = bases(self.seasons.len()) + own;
            let held_out = |way: usize| head.errors.get(way).map(|errors| errors.mae);
            let mut ways: Vec<Way> =
                (0..count).map(|way| Way { missed: Vec::new(), held_out: held_out(way) }).collect();
            let (flattered, mut room) = (self.flattered(lead), Room { chosen: own == 1, ..Room::default() });
            for past in &origins.all {
                self.ways(at, (lead, n), (past.row, h), &mut room);
                let missed = room.ways.iter().map(|said| trace.y[past.row + h] - said);
                ways.iter_mut().zip(missed).for_each(|(way, missed)| way.missed.push(missed));
            }
            if let Some(chosen) = ways.last_mut().filter(|_| own == 1) {
                chosen.missed.iter_mut().for_each(|missed| *missed *= flattered);
                chosen.held_out = self.chosen_mae(lead, n);
            }
            let chosen = if own == 1 { count - 1 } else { self.place(head) };
            let independent = self.independent(lead) * HELD_OUT as f32;
            Recent::weigh(&origins, &ways, HeldOut { scale: self.held_out(lead, n), chosen, independent })
        })
    }

    /// Held-out mean absolute error of the chosen way, with the LSTM where that helps.
    fn chosen_mae(&self, lead: usize, n: usize) -> Option<f32> {
        let head = &self.heads[lead][n];
        let left = self.left_absolute(lead, n).unwrap_or_else(|| self.left(lead, n).sqrt());
        head.errors.get(self.place(head)).map(|errors| errors.mae * left)
    }

    /// The place of its way among those that were tried.
    fn place(&self, head: &heads::Head) -> usize {
        let simple = bases(self.seasons.len());
        match head.way {
            heads::Way::Base(base) => base as usize,
            heads::Way::Own => simple,
            heads::Way::Joint => simple + 1,
        }
    }

    /// How many errors at a lead there can be in what was learned from, each apart from the others.
    fn independent(&self, lead: usize) -> f32 {
        self.rows as f32 / self.leads[lead] as f32
    }

    /// How many times larger the errors of a regression are on other rows than on those it was fitted to: Akaike's final
    /// prediction error (Annals of the Institute of Statistical Mathematics 21, 1969).
    fn flattered(&self, lead: usize) -> f32 {
        let part = (features(self.seasons.len()) as f32 / self.independent(lead).max(1.0)).min(MOST_WEIGHTS);
        ((1.0 + part) / (1.0 - part)).sqrt()
    }

    /// Leads that the LSTM has outputs for, in rows.
    fn corrected_leads(&self) -> Vec<usize> {
        let leads = self.correction.iter().flat_map(|correction| &correction.leads);
        leads.map(|&lead| self.leads[lead]).collect()
    }

    /// What the LSTM leaves of the squared error of a metric at a lead, at most 1.
    pub(super) fn left(&self, lead: usize, n: usize) -> f32 {
        self.correction.as_ref().map_or(1.0, |correction| self.at_lead(&correction.left, (lead, n)))
    }

    /// What it leaves of the absolute error; none where that was not measured.
    pub(super) fn left_absolute(&self, lead: usize, n: usize) -> Option<f32> {
        let correction =
            self.correction.as_ref().filter(|correction| !correction.left_absolute.is_empty())?;
        Some(self.at_lead(&correction.left_absolute, (lead, n)))
    }

    /// A number of the correction, leads × metrics, at a lead: between those that it has outputs for.
    fn at_lead(&self, values: &[f32], (lead, n): (usize, usize)) -> f32 {
        let (a, b, toward) = between(&self.corrected_leads(), self.leads[lead]);
        let at = |lead: usize| values[lead * self.columns.len() + n];
        (1.0 - toward) * at(a) + toward * at(b)
    }
}

/// What is expected of a metric, on the common scale.
pub(super) struct Standard {
    pub mean: f32,
    pub scale: f32,
    /// Root mean square of held-out errors of the chosen way, less what the average gained on it lately.
    pub held_out: f32,
    /// Independent recent errors that all this rests on.
    pub independent: f32,
    /// Quantiles of the error.
    pub quantiles: [f32; 7],
}

/// What is written over from way to way.
#[derive(Default)]
struct Room {
    /// Whether the chosen way is one of its own.
    chosen: bool,
    ways: Vec<f32>,
    others: Vec<f32>,
    features: Vec<f32>,
}

/// Where a forecast is made from.
pub(super) struct Origin<'a> {
    pub source: &'a Source,
    pub row: usize,
    /// What the LSTM adds at this row and at those before, the latest first.
    added: &'a VecDeque<Vec<f32>>,
    /// Leads that it has outputs for, in rows.
    corrected: &'a [usize],
    /// Per lead and metric, looked back on once.
    recent: Vec<OnceCell<Recent>>,
}

impl Origin<'_> {
    /// The LSTM's correction of metric `n` of `width`, `k` rows ahead, between the leads that it has outputs for.
    fn correct(&self, add: &[f32], width: usize, (n, k): (usize, usize)) -> f32 {
        let (a, b, toward) = between(self.corrected, k);
        let at = |lead: usize| add.get(lead * width + n).copied().unwrap_or(0.0);
        (1.0 - toward) * at(a) + toward * at(b)
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
