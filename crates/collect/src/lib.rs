//! Sources of telemetry: the machine, its groups, probes of peers, scraped applications, hardware counters, and
//! what others send.
//!
//! A [`Source`] reads one kind of thing at its own rate and hands [`Sink`] the frames. The [`Collector`] drives
//! all sources from one thread on absolute deadlines, counts what comes late or not at all, and keeps going when
//! one of them fails.

mod assembly;
mod collector;
mod complaints;
mod config;
mod error;
mod every;
pub mod exposition;
pub mod groups;
pub mod hardware;
pub mod identity;
mod ledger;
pub mod machine;
mod pacer;
pub mod probe;
pub mod receive;
pub mod report;
pub mod rtt;
pub mod scrape;
mod sink;
mod worker;

pub use collector::Collector;
pub use config::{Config, Hardware};
pub use error::Error;
pub use sink::{Sink, Source};
