//! The contrast lab: one long-lived service with its twin and its neighbours, and one fault after another.
//!
//! Below the lab host stand a *pod* with a quota of its own and, beside it, neighbours that hog. In the pod are the
//! original (a service with varying load), the twin's probes, and a sidecar, which can use the pod's quota up. Faults
//! follow one another with healthy gaps between them; everything is recorded once a second (`record`), with the truth
//! beside it, for `foretwin evaluate contrast`.

mod counters;
mod course;
mod neighbour;
mod order;
mod plan;
mod pod;
mod record;
mod service;
mod worker;

pub use course::contrast;
pub use plan::ContrastConfig;
pub use pod::clean;
pub use worker::work;
