//! Whole nodes: watching this machine, stopping, coming back, and sending to each other.
#![allow(clippy::unwrap_used)] // What the tests share may fail like a test.

mod cohort;
mod forecast;
mod lifecycle;
mod recording;
mod rollback;
mod verify;
mod whatif;
mod world;
