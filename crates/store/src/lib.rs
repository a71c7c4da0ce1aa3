//! Telemetry blocks materialised from the log.
//!
//! The log is truth; the store is what can be read fast. [`Store::apply`] puts records into memory (the *head* of
//! their partition), [`Store::flush`] makes memory durable as one *hot* file for all partitions, and
//! [`Store::maintain`] rewrites hot files of a past span into *sealed* files of compressed columns, downsamples
//! those into one-minute and one-hour tiers, and lets go of what is too old or too much.
//!
//! Every hot file says how far the log was applied: after a crash the caller replays the log from
//! [`Store::applied`], and may trim it up to [`Store::durable`]. Frames are identified by instance, schema and
//! time, and the last to arrive wins, so that applying anything twice changes nothing.
//!
//! What is damaged on disk is left out of answers and listed by [`Store::damage`]; everything else is still read.

mod apply;
mod blobs;
mod bytes;
mod catalog;
mod column;
mod config;
mod container;
mod damage;
mod error;
mod extent;
mod files;
mod flush;
mod frames;
mod head;
mod hot;
mod index;
mod maintain;
mod open;
mod planes;
mod query;
mod reader;
mod retain;
mod seal;
mod sealed;
mod slice;
mod snapshot;
mod stats;
mod steps;
mod store;
mod summary;
mod sweep;
mod tiers;
mod unpacked;

pub use blobs::Blobs;
pub use catalog::Entry;
pub use config::{Config, Tiers};
pub use error::{Damage, Error};
pub use flush::Flushed;
pub use maintain::Maintained;
pub use open::Recovery;
pub use query::Query;
pub use stats::Stats;
pub use store::Store;
pub use summary::Statistic;
