//! Every control group of the machine that holds processes, or that limits or bounds groups that do.
//!
//! Groups are looked for every second and read at every tick. The same path in several hierarchies is the same
//! group. A group is watched until it is removed, or has been empty for ten minutes; one that comes back under its
//! path is the same instance.

mod census;
mod config;
mod entry;
mod forest;
mod metrics;
mod runtime;
mod source;
mod succession;
mod uptime;

pub use config::Config;
pub use metrics::schema;
pub use source::Groups;
