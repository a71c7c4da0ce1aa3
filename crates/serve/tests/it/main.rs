//! A real node behind a real socket, asked as clients ask it.
#![allow(clippy::unwrap_used)] // What the tests share may fail like a test.

mod agents;
mod alerts;
mod bad_requests;
mod document;
mod forecasts;
mod gateways;
mod guarded;
mod hostile;
mod models;
mod server;
mod stop;
mod surface;
