//! Files of /proc and their formats.

pub mod disks;
mod file_systems;
mod keyed;
pub mod limits;
pub mod load;
mod mounts;
pub mod net;
mod own;
mod pressure;
mod schedstat;
mod stat;
mod table;

pub use file_systems::{Space, space};
pub use keyed::KeyedLines;
pub use mounts::{Mount, mounts};
pub use own::{OwnUse, own_use};
pub use pressure::Pressure;
pub use schedstat::run_delay_ns;
pub use stat::{CpuTimes, Stat, TICK_US};
pub use table::HeadedLines;
