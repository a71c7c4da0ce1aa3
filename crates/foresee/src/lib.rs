//! Drift, extrapolation and failure prediction, as pure, synchronous, seeded functions.
//!
//! A [`History`] remembers one resource over many time scales. [`risk`] reads it as a [`Series`] against its limit:
//! windows of every length are cut into bins and the climb of the peak is followed (`climb`), its shape is fitted
//! (`shape`), how long it will last is judged (`persist`), and arrival at the limit is integrated over both
//! (`outlook`). [`predict`] combines the risks of an instance, names [`causes`] and proposes [`actions`].
//!
//! [`diagnosis`] looks across metrics and instances for where trouble began, [`contrast`] holds production against its
//! twin, and [`Issues`] hold a report against what is known to go wrong.
//!
//! A [`Growth`] compares shapes since every moment at which the present one may have begun, with the work done as a
//! possible driver, and draws futures from them. A [`Situation`] combines those of one instance; [`Experience`] learns
//! from recorded failures how often they come true. [`what_if`] replays them under a scenario.

mod action;
mod advice;
mod alert;
mod blend;
mod cause;
mod climb;
mod config;
pub mod contrast;
mod coupling;
mod curve;
pub mod diagnosis;
mod error;
mod expect;
mod experience;
mod growth;
mod hazard;
mod history;
mod interval;
mod issues;
mod logistic;
mod math;
mod outlook;
mod path;
mod peaks;
mod persist;
pub mod policy;
mod predict;
mod queue;
mod reliability;
mod risk;
mod series;
mod shape;
mod signs;
mod situation;
mod trend;
mod whatif;
mod words;

pub use action::actions;
pub use advice::advice;
pub use alert::Alert;
pub use blend::{Blend, blend};
pub use cause::{causes, explained};
pub use config::Config;
pub use error::Error;
pub use expect::{scenario_of, told};
pub use experience::{Experience, Foretold, Outcome, Record, Statement};
pub use growth::{Evidence, Growth, Shares};
pub use hazard::Hazard;
pub use history::{History, Pushed};
pub use interval::Interval;
pub use issues::{Issues, Rule, recurrence};
pub use math::first_passage;
pub use peaks::{Ground, Peaks};
pub use predict::{Question, combine, predict};
pub use queue::Queue;
pub use reliability::{Reliability, ReliabilityBin, Tally};
pub use risk::risk;
pub use series::Series;
pub use signs::Signs;
pub use situation::Situation;
pub use whatif::{Grounds, Processors, futures, what_if};
