//! Control groups of version 1, version 2 and both at once: where they are mounted, which exist, what they use,
//! what limits them, and the processes in them.
//!
//! A group is a path below the root of a hierarchy. The same path in several hierarchies is the same group; what
//! each of them tells is put together in one [`Stats`].

mod budget;
mod limits;
mod mounts;
mod process;
mod reader;
mod stats;
mod text;
mod tree;

pub use budget::{Budget, raise_descriptor_limit};
pub use limits::Limits;
pub use mounts::{Hierarchy, Version, below, from_mountinfo, mounted};
pub use process::{Process, descriptor_limit, descriptors, descriptors_are_cheap, pids_of, process};
pub use reader::{Reader, Vitality};
pub use stats::Stats;
pub use tree::Tree;
