//! The answers of a node, as machines read them: what `serve` turns into JSON and the CLI prints.

use foretwin_core::{
    Alert, Expectation, FailureMode, Instance, InstanceId, Judgement, Kind, Learning, Role, Timestamp,
    VerdictClass,
};
use serde::Serialize;

/// One instance at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct InstanceView {
    /// Who.
    #[serde(flatten)]
    pub instance: Instance,
    /// When it was first seen by this node.
    pub first_seen_us: Timestamp,
    /// When its newest frame was read.
    pub last_seen_us: Timestamp,
    /// Seconds since then: of an instance that is out of reach, everything said here is that old.
    pub silent_s: f64,
    /// False once it vanished.
    pub alive: bool,
    /// Series it has.
    pub metrics: usize,
    /// Latest anomaly score; above 1 is anomalous.
    pub score: Option<f64>,
    /// Latest judgement.
    pub judgement: Option<Judgement>,
    /// How far learning has come.
    pub learning: Learning,
    /// Probability of failing within an hour by any mode.
    pub failure_probability: f64,
    /// The likeliest way to fail, if any is above one in a thousand.
    pub top_risk: Option<TopRisk>,
}

/// The likeliest way to fail within an hour.
#[derive(Debug, Clone, Serialize)]
pub struct TopRisk {
    /// How.
    pub mode: FailureMode,
    /// Series that runs against its limit.
    pub metric: String,
    /// Within an hour.
    pub probability: f64,
    /// Median seconds to failure, if it is likelier than not to come.
    pub p50_s: Option<f64>,
}

/// Which part of an instance's history.
#[derive(Debug, Clone)]
pub struct WindowQuery {
    /// Whose.
    pub instance: InstanceId,
    /// Keys of the series; empty: all.
    pub metrics: Vec<String>,
    /// First moment.
    pub from: Timestamp,
    /// Last moment.
    pub to: Timestamp,
    /// At most this many points a series; beyond it, points are thinned evenly.
    pub points: usize,
}

/// Series of one instance with what was expected of them.
#[derive(Debug, Clone, Serialize)]
pub struct WindowView {
    /// Whose.
    pub instance: InstanceId,
    /// First moment asked for.
    pub from_us: Timestamp,
    /// Last moment asked for.
    pub to_us: Timestamp,
    /// The series, each with times of its own.
    pub series: Vec<SeriesView>,
}

/// One series: counters as rates per second, gauges as they are.
#[derive(Debug, Clone, Serialize)]
pub struct SeriesView {
    /// Key.
    pub metric: String,
    /// Unit; for counters per second.
    pub unit: String,
    /// Level or count.
    pub kind: Kind,
    /// What it says.
    pub role: Role,
    /// Times, µs since the epoch.
    pub at_us: Vec<i64>,
    /// What was seen; null where nothing was.
    pub observed: Vec<f64>,
    /// What was expected; null where nothing was.
    pub expected: Vec<f64>,
    /// One standard deviation around the expectation.
    pub scale: Vec<f64>,
}

impl SeriesView {
    /// Takes the points of another stretch of the same series; where both speak of one moment, this one stays.
    pub(crate) fn join(&mut self, other: &Self) {
        let mut points: Vec<(i64, [f64; 3])> = Vec::with_capacity(self.at_us.len() + other.at_us.len());
        for one in [&*self, other] {
            let values = one.observed.iter().zip(&one.expected).zip(&one.scale);
            points.extend(one.at_us.iter().zip(values).map(|(&at, ((&o, &e), &s))| (at, [o, e, s])));
        }
        points.sort_by_key(|&(at, _)| at);
        points.dedup_by_key(|&mut (at, _)| at);
        self.at_us = points.iter().map(|&(at, _)| at).collect();
        let column = |which: usize| points.iter().map(|(_, values)| values[which]).collect();
        (self.observed, self.expected, self.scale) = (column(0), column(1), column(2));
    }

    pub(crate) fn push(&mut self, at: Timestamp, observed: f64, expected: Expectation) {
        self.at_us.push(at.0);
        self.observed.push(observed);
        self.expected.push(expected.mean);
        self.scale.push(expected.scale);
    }
}

/// Whether a node can be used, and if not why.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// All of `waiting_for` is done.
    pub ready: bool,
    /// What is still missing, in words.
    pub waiting_for: Vec<String>,
    /// Instances known.
    pub instances: usize,
    /// Instances with a model.
    pub scored: usize,
}

/// Something that just happened, for live streams.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A frame was scored.
    Score {
        /// Whose.
        instance: InstanceId,
        /// The frame's time.
        at_us: Timestamp,
        /// Anomaly score, null while there is no model.
        score: Option<f64>,
        /// Failure within an hour.
        failure_probability: f64,
    },
    /// An instance appeared.
    Appeared {
        /// Who.
        instance: InstanceId,
    },
    /// An instance vanished.
    Vanished {
        /// Who.
        instance: InstanceId,
        /// When.
        at_us: Timestamp,
    },
    /// The contrast of production and its twin says something else than before.
    Verdict {
        /// About whom.
        instance: InstanceId,
        /// When.
        at_us: Timestamp,
        /// Where the trouble is now.
        class: VerdictClass,
        /// Of that class.
        probability: f64,
    },
    /// An alert opened, changed or is over.
    Alert {
        /// `opened`, `updated` or `resolved`.
        change: &'static str,
        /// The alert as it is now.
        alert: Box<Alert>,
    },
    /// A model was trained and now judges.
    Learned {
        /// Whose.
        instance: InstanceId,
        /// Its state of learning.
        learning: Learning,
    },
}

impl Event {
    /// Whom it concerns.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::Score { instance, .. }
            | Self::Appeared { instance }
            | Self::Vanished { instance, .. }
            | Self::Verdict { instance, .. }
            | Self::Learned { instance, .. } => instance,
            // An alert has a member from its opening on.
            Self::Alert { alert, .. } => &alert.members[0].instance,
        }
    }

    /// Whether it concerns an instance.
    #[must_use]
    pub fn concerns(&self, id: &str) -> bool {
        match self {
            Self::Alert { alert, .. } => alert.members.iter().any(|one| one.instance.as_str() == id),
            _ => self.instance().as_str() == id,
        }
    }

    /// The name of the event, as in the stream's `event:` field.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Score { .. } => "score",
            Self::Appeared { .. } => "appeared",
            Self::Vanished { .. } => "vanished",
            Self::Verdict { .. } => "verdict",
            Self::Alert { .. } => "alert",
            Self::Learned { .. } => "learned",
        }
    }
}

/// How far one schema of an instance is from where its models saw it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftView {
    /// The schema's id, in hexadecimal digits.
    pub schema: String,
    /// Mean evidence of the last hour relative to what is usual: above 1, expectations got worse.
    pub surprise: Option<f64>,
    /// Against the model at work; absent while too little was seen.
    pub champion: Option<DriftOf>,
    /// Against the first settled model, which stays: what every later one has followed shows here.
    pub reference: Option<DriftOf>,
}

/// Distance to what one model saw, in standard deviations of its training window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftOf {
    /// Version of the model.
    pub model_version: u64,
    /// The largest slow mean of a metric.
    pub shift: f64,
    /// Which metric.
    pub metric: Option<String>,
    /// Root mean square over metrics.
    pub distance: f64,
    /// Part of the metrics beyond three deviations.
    pub share: f64,
}
