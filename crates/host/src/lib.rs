//! Primitives of procfs, cgroups and sockets: what the kernel says, as numbers, without policy.
//!
//! A [`file::ProcFile`] stays open and is read again and again into one buffer; the parsers of [`proc`] and
//! [`cgroup`] turn its bytes into plain structs without allocating. What an older kernel does not tell is
//! [`ABSENT`], never zero. Which of it is worth telling, how often, and under what name is decided elsewhere.

pub mod cgroup;
pub mod clock;
mod error;
pub mod file;
pub mod parse;
pub mod perf;
pub mod proc;
pub mod sock_diag;

pub use error::Error;

/// A number that this kernel does not tell. No counter, size or limit of the kernel has this value, except
/// "unlimited", which is no number either.
pub const ABSENT: u64 = u64::MAX;
