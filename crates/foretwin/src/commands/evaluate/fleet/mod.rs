//! `foretwin evaluate fleet`: a fleet that is simulated minute by minute, foreseen by the product's own path, and judged.
pub mod run;
pub mod watch;
pub mod world;
