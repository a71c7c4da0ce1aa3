//! The log as a whole: on disks that crash, tear, fill up, rot and fail, and in processes that are killed.

// clippy.toml allows it in tests, not in what tests share.
#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod failure;
mod kill;
mod live;
mod round_trip;
mod support;
