//! The second time scale: forecasts many steps ahead, with the shapes of day and week.
//!
//! [`Ahead`] expects every metric at leads from one row to several hundred, each lead by a regression of its own on
//! recent values, slow averages and the same time of earlier periods, corrected by an LSTM. For every metric and lead
//! the way that was best on held-out data ([`Ahead::choices`] says which) is averaged with the simplest ones, weighted by
//! skill, held out and lately. Bands come from what that average would have missed lately, not from any law.

mod band;
mod choose;
mod codec;
mod expect;
mod fit;
mod grid;
mod heads;
mod network;
mod recent;
mod season;
mod trace;
mod tried;

use foretwin_core::Window;
use serde::{Deserialize, Serialize};

use crate::feature::Recipe;
pub use band::Band;
use expect::CLOSED_WORTH;
use heads::{Head, Way};
use network::Correction;
use trace::LEVELS;
pub use tried::{Candidate, Tried};

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
    /// Farthest lead that gets an expectation of its own, in seconds.
    pub farthest_s: f64,
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
            farthest_s: f64::INFINITY,
            ridge: 10.0,
            hidden: 32,
            epochs: 40,
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
    /// Rows that were learned from; an older file does not tell.
    #[serde(default = "many")]
    rows: usize,
    /// Per lead, one per column.
    heads: Vec<Vec<Head>>,
    correction: Option<Correction>,
}

fn many() -> usize {
    AheadConfig::default().max_rows
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
    /// It returns to one of its slow averages.
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
    /// One-step expectations fed back ([`Model::forecast`](crate::Model::forecast)).
    ClosedLoop,
}

/// Whether the closed loop is used, by both root mean square held-out errors.
pub(crate) fn closes(closed: f64, direct: f64) -> bool {
    closed < CLOSED_WORTH * direct
}

impl Ahead {
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
        let looked_back = (2 * self.farthest()).clamp(512, 2048);
        (3 * self.seasons.last().copied().unwrap_or(0)).max(looked_back) as f64 * self.step_s()
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
        let levels = LEVELS as u32;
        let period_s = |base: u32| self.seasons[(base - levels) as usize / 3] as f64 * self.step_s();
        match way {
            Way::Own => Method::Linear,
            Way::Joint => Method::Joint,
            Way::Base(0) => Method::Last,
            Way::Base(base) if base < levels => Method::Level,
            Way::Base(base) if (base - levels).is_multiple_of(3) => {
                Method::SeasonalNaive { period_s: period_s(base) }
            }
            Way::Base(base) => Method::Seasonal { period_s: period_s(base) },
        }
    }

    /// The choices beside a model of the same frames, whose closed loop is used where its held-out error is smaller.
    #[must_use]
    pub fn choices_beside(&self, model: &crate::Model) -> Vec<Choice> {
        let mut choices = self.choices();
        for choice in &mut choices {
            let steps = (choice.lead_s / model.step_s()).round().max(1.0) as usize;
            if let Some(error) = model.held_out_error(choice.column, steps).filter(|_| self.native)
                && error < CLOSED_WORTH * choice.error
            {
                (choice.method, choice.error) = (Method::ClosedLoop, error);
            }
        }
        choices
    }
}
