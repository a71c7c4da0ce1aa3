//! What each command does.

pub mod check;
pub mod doctor;
pub mod evaluate;
mod evaluate_forecast;
pub mod predict;
pub mod replay;
pub mod run;
