//! Whole nodes: watching this machine, stopping, coming back, and sending to each other.

mod lifecycle;
mod recording;
mod world;
