//! Keeps twins running in what this machine has, and says what each of them really runs in.
//!
//! [`Twins`] makes what is as a [`Desired`] state says it shall be. It starts each twin in a [`Substrate`]: simulated in
//! this process, a plain process, a container, or a microVM; where the wanted one cannot be had, in the next lower,
//! and the [`Status`] says so. What the runners report arrives as [`Report`]s. Everything that is made carries the
//! label of an [`Owner`], so that the next run finds and removes what a killed one left behind. [`fidelity`] decides
//! who gets what under one budget, [`capture`] makes profiles of stored telemetry, [`rehearsal`] runs the forecast ahead of time. The room holds no model, and changes nothing that does not carry its label.

mod archive;
mod backoff;
pub mod capture;
mod config;
mod container;
mod error;
pub mod fidelity;
mod frames;
mod input;
mod microvm;
mod model;
mod owner;
mod process;
pub mod rehearsal;
mod runner;
mod spec;
mod substrate;
mod twins;

pub use config::{Budget, Config};
pub use container::ContainerSubstrate;
pub use error::Error;
pub use frames::{Report, Sink};
pub use microvm::{MicrovmSubstrate, PORT};
pub use model::ModelSubstrate;
pub use owner::{CONTAINER_LABEL, LABEL, Owner, Role};
pub use process::ProcessSubstrate;
pub use runner::{Runner, SUBCOMMAND};
pub use spec::{Activity, Confinement, Desired, Exit, Resources, Spec, Status, Traffic};
pub use substrate::{Running, Substrate};
pub use twins::Twins;
