//! The learner as its users meet it: simulated instances, learned and judged.

mod bands;
mod behaviour;
mod codec;
mod command;
mod continual;
mod golden;
mod horizon;
mod simulated;
mod time;
mod torch;
