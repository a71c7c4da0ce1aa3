//! Tests of substrates with the real runner, groups, containers and microVMs.
#![allow(clippy::unwrap_used)] // What the tests share may fail like a test.

mod container;
mod crash;
mod dockerd;
mod limits;
mod microvm;
mod process;
mod rehearsal;
mod support;
