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

mod adapt;
mod ahead;
mod apart;
mod baseline;
mod codec;
mod cohort;
mod compare;
mod config;
mod cycle;
mod detect;
mod drift;
mod error;
mod feature;
mod file;
mod fit;
mod forecast;
mod influence;
mod linear;
mod lookback;
pub mod lstm;
mod model;
mod network;
mod novelty;
mod outcome;
mod outlook;
mod provenance;
mod recipe;
mod rhythm;
mod routine;
mod safetensors;
mod solve;
mod span;
mod spread;
mod state;
mod step;
mod table;
mod tail;

pub use ahead::{Ahead, AheadConfig, Band, Candidate, Choice, Member, Method, Tried};
pub use apart::NetworkId;
pub use baseline::Baseline;
pub use cohort::{Cohort, cohort};
pub use compare::{HeldOut, Margins, Performance, Reason, Verdict, compare};
pub use config::Config;
pub use detect::{detect, scores};
pub use drift::{Departure, Drift};
pub use error::Error;
pub use feature::{Duty, Feature, Recipe, Transform};
pub use fit::{Job, Progress, Stage, fit};
pub use influence::Influence;
pub use model::Model;
pub use network::{Gain, Start};
pub use novelty::Novelty;
pub use outcome::{Outcome, Part, Taken};
pub use outlook::{Outlook, Recent};
pub use provenance::{Excluded, Provenance, Trial};
pub use routine::Routine;
pub use span::Span;
pub use state::State;
