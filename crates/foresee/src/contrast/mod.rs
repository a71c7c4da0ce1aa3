//! The contrast of production and its twin: the application, or the machine underneath?
//!
//! A [`Comparison`] takes one [`Second`] after another: how production fares, what the kernel counts, what neighbours
//! use, and what fixed units of work cost the twin. Ten seconds make a row of features (`window`), which is compared
//! with the learned windows of the same regime (`baseline`); departures are signs (`signs`), signs become
//! probabilities (`fuse`), and probabilities, smoothed over several windows, become the [`Contrast`]: a verdict with
//! the twin, and one from the kernel's counters alone, so that what the twin adds can be seen. While either is not
//! healthy nothing is learned.

mod ahead;
mod baseline;
mod climb;
mod comparison;
mod drift;
mod fuse;
mod habit;
mod opinion;
mod queue;
mod second;
mod signs;
mod state;
mod sustained;
#[cfg(test)]
mod tests;
mod window;

pub use ahead::{Ahead, LEARNED_LIMIT, Limits};
pub use comparison::Comparison;
pub use second::{COSTS, Kernel, Neighbour, Probe, Production, Second, TWIN};
