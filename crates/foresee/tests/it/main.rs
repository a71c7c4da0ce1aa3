//! Synthetic workloads, seen second by second as an engine would see them: what must raise a risk, and what must not.

mod agreement;
mod diagnosis;
mod failing;
mod healthy;
mod services;
mod trouble;
mod workload;
