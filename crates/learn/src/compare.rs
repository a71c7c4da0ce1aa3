//! Champion or challenger: two models on the same recent frames that neither was trained on.

use std::ops::Range;

use foretwin_core::{Value, Window};
use serde::{Deserialize, Serialize};

use crate::feature::Transform;
use crate::model::Model;
use crate::outcome::{Outcome, Taken};
use crate::span::{Span, contains, merged};
use crate::state::State;

/// Errors beyond this many of the champion's deviations count as this many: an outlier is not to decide.
const WILD: f64 = 4.0;
/// Added to both errors, in the champion's deviations, so that metrics that hardly err do not decide.
const ERROR_FLOOR: f64 = 0.02;
/// Fewest judged frames that can decide anything.
const FEWEST_FRAMES: u64 = 100;
/// Deviations within which nineteen of twenty normal frames lie.
const COVERED: f64 = 1.96;

/// Recent frames to judge models by.
#[derive(Debug, Clone)]
pub struct HeldOut<'a> {
    /// Where they are.
    pub window: &'a Window,
    /// Its rows to judge by.
    pub rows: Range<usize>,
    /// Rows before them that warm the models.
    pub warm: usize,
    /// Spans that are not normal and do not count.
    pub left_out: &'a [Span],
}

/// When a challenger is good enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins {
    /// Part by which its error may exceed the champion's: noise of the comparison, against the worth of fresh data.
    pub error: f64,
    /// Stated rate of false alarms, per frame.
    pub false_alarm_rate: f64,
}

impl Margins {
    /// A twentieth of error at a stated rate.
    #[must_use]
    pub fn at(false_alarm_rate: f64) -> Self {
        Self { error: 0.05, false_alarm_rate }
    }
}

/// How one model did.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Performance {
    /// Mean absolute error of the next frame, in the champion's deviations, each held to four; mean over metrics.
    pub error: f64,
    /// Part of the samples within 1.96 of its own deviations; .95 where they are right and normal.
    pub covered: f64,
    /// Judged frames.
    pub frames: u64,
    /// Alarms that began, at least 3 / smoothing frames after the last one ended.
    pub alarms: u64,
}

/// Why a challenger was promoted or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It errs less, or not more than the margin allows, and raises no more false alarms than stated.
    GoodEnough,
    /// It errs more than the margin allows.
    LessAccurate,
    /// It raises more alarms on normal frames than the champion and than stated.
    FalseAlarms,
    /// There were too few frames, or no metric that both expect.
    TooLittle,
}

/// The outcome of a comparison, with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What decided.
    pub reason: Reason,
    /// Geometric mean over metrics of the challenger's error relative to the champion's.
    pub ratio: f64,
    /// Metrics compared.
    pub metrics: usize,
    /// The champion's numbers.
    pub champion: Performance,
    /// The challenger's.
    pub challenger: Performance,
}

impl Verdict {
    /// Whether the challenger takes the place of the champion.
    #[must_use]
    pub fn promotes(&self) -> bool {
        self.reason == Reason::GoodEnough
    }
}

/// Compares two models of the same schema on held-out frames, metric by metric for those that both expect. Errors are
/// summed up by the geometric mean of ratios (Fleming and Wallace, 1986), which gives the same order whichever of the
/// two is the unit.
#[must_use]
pub fn compare(champion: &Model, challenger: &Model, held_out: &HeldOut, margins: &Margins) -> Verdict {
    let spans = merged(held_out.left_out);
    let mut runs = [Run::new(champion), Run::new(challenger)];
    let mut errors = Errors::new(champion, challenger);
    let mut frame = Vec::new();
    for row in held_out.rows.start.saturating_sub(held_out.warm)..held_out.rows.end.min(held_out.window.len())
    {
        let at = held_out.window.times[row];
        if contains(&spans, at) {
            continue;
        }
        held_out.window.frame(row, &mut frame);
        runs.iter_mut().for_each(|run| run.model.step(&mut run.state, at, &frame, &mut run.out));
        if row >= held_out.rows.start && runs.iter().all(|run| run.out.taken == Taken::Judged) {
            errors.add(&runs, &frame);
            runs.iter_mut().for_each(Run::count);
        }
    }
    errors.verdict(&runs, margins)
}

/// A model at work on the held-out frames.
struct Run<'a> {
    model: &'a Model,
    state: State,
    out: Outcome,
    trial: Performance,
    /// Frames since the last one above the threshold.
    calm: u64,
}

impl<'a> Run<'a> {
    fn new(model: &'a Model) -> Self {
        let (state, out) = (model.start(), Outcome::default());
        Self { model, state, out, trial: Performance::default(), calm: u64::MAX }
    }

    fn count(&mut self) {
        let apart = (3.0 / self.model.header.judge.smoothing) as u64;
        self.trial.frames += 1;
        self.calm = self.calm.saturating_add(1);
        if self.out.score > 1.0 {
            self.trial.alarms += u64::from(self.calm > apart);
            self.calm = 0;
        }
    }

    /// What was seen of a column, in the unit of its expectation.
    fn observed(&self, column: usize, frame: &[Value]) -> f64 {
        let features = &self.model.header.recipe.features;
        let limit = match features[column].transform {
            Transform::Ratio { limit } => frame[limit].to_f64(features[limit].storage),
            _ => f64::NAN,
        };
        features[column].observed(self.state.scratch.numbers[column], limit)
    }
}

/// Sums over frames, per compared column.
struct Errors {
    columns: Vec<usize>,
    /// Absolute errors of champion and challenger.
    sums: Vec<[f64; 2]>,
    counts: Vec<f64>,
    covered: [f64; 2],
}

impl Errors {
    fn new(champion: &Model, challenger: &Model) -> Self {
        let theirs = &challenger.header.shape.targets;
        let both = champion.header.shape.targets.iter().filter(|column| theirs.binary_search(column).is_ok());
        let columns: Vec<usize> = both.map(|&column| column as usize).collect();
        Self {
            sums: vec![[0.0; 2]; columns.len()],
            counts: vec![0.0; columns.len()],
            columns,
            covered: [0.0; 2],
        }
    }

    fn add(&mut self, runs: &[Run<'_>; 2], frame: &[Value]) {
        for (n, &column) in self.columns.iter().enumerate() {
            let expected = [0, 1].map(|run: usize| runs[run].out.expectations[column]);
            let observed = runs[0].observed(column, frame);
            let errors = expected.map(|expected| (observed - expected.mean).abs());
            let unit = expected[0].scale;
            if errors.iter().chain([&unit]).any(|number| !number.is_finite()) || unit <= 0.0 {
                continue;
            }
            self.counts[n] += 1.0;
            for run in 0..2 {
                self.sums[n][run] += (errors[run] / unit).min(WILD);
                self.covered[run] += f64::from(u8::from(errors[run] <= COVERED * expected[run].scale));
            }
        }
    }

    fn verdict(self, runs: &[Run<'_>; 2], margins: &Margins) -> Verdict {
        let seen: Vec<usize> = (0..self.columns.len()).filter(|&n| self.counts[n] > 0.0).collect();
        let metrics = seen.len();
        let mean = |n: usize, run: usize| self.sums[n][run] / self.counts[n] + ERROR_FLOOR;
        let over =
            |of: &dyn Fn(usize) -> f64| seen.iter().map(|&n| of(n)).sum::<f64>() / metrics.max(1) as f64;
        let samples = self.counts.iter().sum::<f64>().max(1.0);
        let trial = |run: usize| Performance {
            error: over(&|n| mean(n, run) - ERROR_FLOOR),
            covered: self.covered[run] / samples,
            ..runs[run].trial
        };
        let (champion, challenger) = (trial(0), trial(1));
        let ratio = over(&|n| (mean(n, 1) / mean(n, 0)).ln()).exp();
        // Twice what is stated, and what chance adds to a small number.
        let stated = 2.0 * margins.false_alarm_rate * challenger.frames as f64;
        let tolerable = (stated + 2.0 * stated.sqrt() + 1.0) as u64;
        let reason = if challenger.frames < FEWEST_FRAMES || metrics == 0 {
            Reason::TooLittle
        } else if ratio > 1.0 + margins.error {
            Reason::LessAccurate
        } else if challenger.alarms > champion.alarms.max(tolerable) {
            Reason::FalseAlarms
        } else {
            Reason::GoodEnough
        };
        Verdict { reason, ratio, metrics, champion, challenger }
    }
}
