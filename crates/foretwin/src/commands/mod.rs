//! What each command does.

pub mod check;
pub mod client;
pub mod doctor;
pub mod evaluate;
pub mod forecast;
pub mod models;
pub mod predict;
pub mod replay;
pub mod report;
pub mod run;
pub mod token;
pub mod twin;
pub mod whatif;
