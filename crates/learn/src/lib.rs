//! Learns how an instance behaves, expects its next frame, and says how surprising the truth was.
//!
//! [`fit`] turns a [`Job`] into a [`Model`]. The model chooses features from data (a [`Recipe`], stored with it),
//! expects every metric by a vector autoregression, and corrects that by an LSTM for the metrics where it was better
//! on held-out data. [`Model::step`] takes an instance's frames one by one with its [`State`] and fills an
//! [`Outcome`]: expectations in the metrics' own units, a score above 1 where the frame is anomalous, and the metrics
//! that made it. Models and states encode and decode, versioned.
//!
//! [`Novelty`] needs no training: it judges one slow series by all that the series ever did. [`Baseline`] holds plain
//! linear detectors to compare with.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no threads, no randomness but the job's seed.

mod baseline;
mod codec;
mod config;
mod detect;
mod error;
mod feature;
mod fit;
mod linear;
mod lstm;
mod model;
mod novelty;
mod outcome;
mod recipe;
mod solve;
mod state;
mod step;
mod table;
mod tail;

pub use baseline::Baseline;
pub use config::Config;
pub use detect::detect;
pub use error::Error;
pub use feature::{Duty, Feature, Recipe, Transform};
pub use fit::{Job, Progress, Stage, fit};
pub use model::Model;
pub use novelty::Novelty;
pub use outcome::{Outcome, Part, Taken};
pub use state::State;
