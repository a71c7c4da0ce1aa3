//! Tests of the house, and of the binary as an operator meets it.
#![allow(clippy::unwrap_used)] // What the tests share may fail like a test.

mod layers;
mod pipe;
mod tidy;
mod workspace;
