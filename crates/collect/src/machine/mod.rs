//! The machine as one instance: processors, memory, disks, file systems, network, processes, and their limits.
//!
//! Every part of the frame is a [`section::Section`] that reads a file or two and fills its cells. When a section
//! finds that its devices have changed, all describe themselves anew and the next frames have another schema.

mod collection;
mod config;
mod cpu;
mod disks;
mod file_systems;
mod identity;
mod limits;
mod memory;
mod network;
mod paging;
mod pressure;
mod roster;
mod section;
mod sockets;
mod source;
mod tasks;

pub use config::Config;
pub use identity::{host_name, instance};
pub use source::{Machine, NAME};
