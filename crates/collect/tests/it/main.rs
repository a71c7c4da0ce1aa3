//! Collection against the kernel that is here, and against sources that misbehave.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests, which the lint does not know.

mod allocation;
mod groups_fake;
mod groups_real;
mod journal;
mod loop_of_sources;
mod machine_source;
mod peers;
mod sinks;
