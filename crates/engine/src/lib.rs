//! Wires the stages: what is collected goes to the log, and what the log holds is stored, judged and foreseen.
//!
//! A [`Node`] owns the threads: the collector, workers that apply the log, each some partitions in order, a trainer at low
//! priority, and a keeper that flushes, compacts and trims. All of them share one [`Pipeline`](pipeline::Pipeline), which the
//! replay of recorded telemetry drives in the same way on a virtual clock. A [`Handle`] is how everybody else asks.
//! An [`Agent`] has only the collector and the log, and sends what the log holds to a server.

mod agent;
mod alerts;
mod checkpoint;
mod cohort;
mod config;
mod counters;
mod descriptions;
mod detect;
mod diagnosis;
mod drift;
mod error;
mod events;
mod exposition;
mod feed;
mod fleet;
mod forecast;
mod gather;
mod gauge;
mod ground;
mod handle;
mod history;
mod ingest;
mod judge;
mod lessons;
mod messages;
mod minutes;
mod models;
mod node;
mod outputs;
mod pace;
mod past;
mod pipeline;
mod presence;
mod receive;
mod registry;
mod reliability;
mod replay;
mod reporter;
mod reports;
mod select;
mod shard;
mod situation;
mod tasks;
mod threads;
mod trainer;
mod twin;
mod uplink;
mod verdicts;
mod view;
mod whatif;
mod worker;

pub use agent::Agent;
pub use alerts::{AlertQuery, MaintenanceView};
pub use config::{Config, Forward, Training};
pub use error::Error;
pub use events::Listener;
pub use fleet::{FleetQuery, Output};
pub use forecast::{
    CandidateView, ChoiceView, ForecastQuery, ForecastView, LeadView, MetricForecast, OutlookView, PathView,
};
pub use handle::Handle;
pub use models::{
    CycleView, FeatureView, InfluenceView, ModelComparison, ModelLine, ModelLineView, ModelOnWindow,
    ModelView, Switched, Vectors,
};
pub use node::{Node, Roles};
pub use receive::{Protocol, Received};
pub use registry::{ModelChange, ModelEntry, OutlookEntry, Weights};
pub use replay::{Replay, Replayed, ReplayedAlert};
pub use reports::{Config as ReportsConfig, IssueView, ReportView};
pub use select::MetricSays;
pub use tasks::{TaskState, TaskView};
pub use twin::{LevelView, RehearsalView, TwinState, TwinStatus, TwinView, TwinsView};
pub use uplink::{Credentials, is_in_the_open};
pub use view::{
    DriftOf, DriftView, Event, InstanceView, Readiness, SeriesView, TopRisk, WindowQuery, WindowView,
};
