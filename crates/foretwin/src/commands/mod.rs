//! What each command does.

pub mod alerts;
pub mod check;
pub mod client;
pub mod completions;
pub mod doctor;
pub mod evaluate;
pub mod forecast;
pub mod maintenance;
pub mod models;
pub mod notify;
pub mod predict;
pub mod replay;
pub mod report;
pub mod run;
pub mod token;
pub mod top;
pub mod twin;
pub mod whatif;
