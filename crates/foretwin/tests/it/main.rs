//! Tests of the house, and of the binary as an operator meets it.

mod layers;
mod tidy;
mod workspace;
