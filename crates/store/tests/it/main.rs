//! The store from outside: what was applied is what is read, whatever happens in between.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod crash;
mod damage;
mod limits;
mod roundtrip;
mod steps;
mod sweep;
mod tiers;
mod world;
