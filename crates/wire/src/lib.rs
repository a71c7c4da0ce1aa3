//! Every byte format that crosses rooms, as pure encode and decode.
//!
//! - [`record`]: one entry of the log. Rare ones (instances, failures) are JSON, so that any tool can read them;
//!   batches are columns of zigzag differences, shuffled into byte planes, LZ4 on top.
//! - [`envelope`]: a run of records on their way from an agent to a server, each with its length and checksum.
//! - [`order`] and [`profile`]: what a runner is told to do, whole and checksummed, however it gets there.
//! - [`checkpoint`]: what models carry from frame to frame, for a restart.
//! - [`frame`]: what a runner reports, over channels that lose and damage bytes.
//! - [`remote`], [`otlp`] and [`influx`]: what others send us, in their formats; all become [`series`]. [`compress`]
//!   unpacks their bodies.
//!
//! Decoding trusts nothing: lengths are checked against the bytes that are there before anything is allocated, and what one envelope may
//! unpack to is bounded.

mod batch;
pub mod checkpoint;
pub mod compress;
mod cursor;
pub mod envelope;
mod error;
pub mod frame;
pub mod influx;
pub mod order;
pub mod otlp;
pub mod profile;
mod protobuf;
pub mod record;
pub mod remote;
pub mod series;

pub use error::Error;

/// CRC-32 (IEEE 802.3) of bytes.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}
