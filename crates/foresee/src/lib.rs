//! Drift, extrapolation and failure prediction, as pure, synchronous, seeded functions.
//!
//! A [`History`] remembers one resource over many time scales. [`risk`] reads it as a [`Series`] against its limit:
//! windows of every length are cut into bins and the climb of the peak is followed (`climb`), its shape is fitted
//! (`shape`), how long it will last is judged (`persist`), and arrival at the limit is integrated over both
//! (`outlook`). [`predict`] combines the risks of an instance, names [`causes`] and proposes [`actions`].
//!
//! [`diagnosis`] looks across metrics and instances for where trouble began.
//!
//! Deliberately absent: what-if, and hazard models learned from failures; they will take and give the same nouns.

mod action;
mod cause;
mod climb;
mod config;
pub mod diagnosis;
mod error;
mod history;
mod issues;
mod math;
mod outlook;
mod path;
mod persist;
mod predict;
mod risk;
mod series;
mod shape;
mod trend;
mod words;

pub use action::actions;
pub use cause::{causes, explained};
pub use config::Config;
pub use error::Error;
pub use history::{History, Pushed};
pub use issues::{Issues, Rule};
pub use predict::{Question, combine, predict};
pub use risk::risk;
pub use series::Series;
