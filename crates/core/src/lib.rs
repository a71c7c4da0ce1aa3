//! The nouns of Foretwin, used by every room: no I/O, no clock, no async.
//!
//! An [`Instance`] is watched through [`Metric`]s listed in a [`Schema`]. Its samples travel as a [`Batch`]
//! inside a [`Record`] of the log, at a [`Position`]; they are learned from and judged as a [`Window`]. What the
//! model expected is an [`Expectation`], how surprising the truth was a [`Score`], and what may fail a [`Risk`].

mod alert;
mod batch;
mod calibration;
mod contrast;
mod diagnosis;
mod hash;
mod instance;
mod judgement;
mod metric;
mod order;
mod prediction;
pub mod probe;
pub mod profile;
mod record;
mod report;
mod risk;
mod rng;
mod scenario;
mod schema;
mod time;
mod value;
mod window;

pub use alert::{Alert, AlertId, AlertKind, AlertMember, AlertOutcome, AlertState, Feedback, Rating};
pub use batch::{Batch, BatchError, Origin, Row};
pub use calibration::Calibration;
pub use contrast::{Contrast, Fidelity, Verdict, VerdictClass};
pub use diagnosis::{Anomaly, AnomalyGroup, Diagnosis};
pub use hash::{Fnv64, fnv64};
pub use instance::{Instance, InstanceId, InstanceKind, WorkloadId};
pub use judgement::{Contribution, Expectation, Judgement, Learning, Phase, Score};
pub use metric::{Capacity, Kind, Metric, Role, Storage};
pub use order::{Fault, Order, Probes, Replay};
pub use prediction::{Action, Cause, Evidence, FailureProbability, Prediction};
pub use profile::{Cycle, Demand, Dimension, Profile};
pub use record::{Failure, Maintenance, PARTITIONS, Partition, Position, Record};
pub use report::{Flag, REPORT_VERSION, ReportId, Severity, Sighting};
pub use risk::{FailureMode, Quantiles, Risk, Shape, Trend, probability_at};
pub use rng::Rng;
pub use scenario::{Benefit, Change, Effect, Estimate, Expected, Scenario, WhatIf};
pub use schema::{Schema, SchemaId};
pub use time::{DAY_US, HOUR_US, MINUTE_US, SECOND_US, Timestamp};
pub use value::{MISSING, Value};
pub use window::Window;
