//! Messages over real sockets: to a receiver that these tests steer, and to an Alertmanager.
#![allow(clippy::unwrap_used)] // What the tests share may fail like a test.

mod alertmanager;
mod delivery;
mod receiver;
