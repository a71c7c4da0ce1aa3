//! The log: append, acknowledge, read, recover.
//!
//! Everything that changes what Foretwin knows is a record in [`Log`] before it is anything else. A record is
//! *acknowledged* when it is on the medium: the `fdatasync` that covers it has returned. What is acknowledged survives
//! any crash, and its position never changes; what is not may be there after a crash or not, but never twice, and
//! never anything that was not appended.
//!
//! # One journal for all partitions
//!
//! The log has 64 partitions, each with offsets from zero without gaps, and one physical journal that carries them
//! all. A file for each partition would need a sync for each; here one commit is one write and one sync, whatever
//! the number of partitions in it. The price is that a reader of one partition passes over the others, and that a
//! segment is freed only when all partitions are done with it. Both are small where one process applies everything.
//!
//! Appends go to a buffer. A committer thread takes all of it when the first record has waited
//! [`Config::commit_interval_ms`] or when [`Config::commit_bytes`] are pending, writes and syncs it, settles the
//! [`Ticket`]s, and gives the entries to the subscriber. The buffer is bounded: beyond
//! [`Config::max_pending_bytes`] an append is refused, and the caller decides.
//!
//! # Files are written once, front to back
//!
//! A failed write or sync leaves the end of the file unknown, and a retried sync proves nothing, because the kernel
//! may have dropped the data and marked it clean (Rebello et al., "Can Applications Recover from fsync Failures?",
//! 2020). So a segment that fails is given up, and so is the last segment of an earlier process: each goes on in a
//! new file. A new segment gets its name when its header is durable, and its header says at which offset every
//! partition begins. Entries of older segments at or above these offsets are void. That one rule settles what a
//! failed commit left behind, whether or not it reached the medium: its records were reported as failed, their
//! offsets were given out again, and the header of the segment that has them now says so.
//!
//! A new process cannot know whether the last commit it finds is on the medium or only in the page cache. Every
//! entry knows where its commit began, so an intact entry proves that everything before that place was synced when
//! it was written. Only the very last commit has no such witness: it is written again to a new segment, which gets
//! its name when all of it is durable. Closing the log writes a seal, the witness that makes this unnecessary.
//!
//! # Damage
//!
//! In the last commit of the last segment damage is what a crash leaves of a write under way; it and what follows in
//! that commit are not read. Anywhere else it is rot: it is reported with file and place, the lost offsets are
//! named, and reading goes on with the next intact entry. The checksum of an entry includes its place, so the search
//! for it looks at every byte and is not fooled. Offsets that may have been lost are never given out again.
//!
//! One ambiguity is left: a bit that rots in the last commit before a crash, and before the next start, looks like a
//! torn write. That commit is then cut although it was acknowledged, and reported as torn.

mod commit;
mod config;
mod entry;
mod error;
mod lock;
mod log;
mod reader;
mod record;
mod recover;
mod recovery;
mod scan;
mod segment;
mod shared;
mod stats;
mod ticket;
mod trim;
mod writer;

pub use config::Config;
pub use entry::{Entry, EntryRef, MAX_PAYLOAD_BYTES};
pub use error::Error;
pub use lock::DirectoryLock;
pub use log::Log;
pub use reader::Reader;
pub use recovery::{Damage, Missing, Recovery};
pub use segment::Offsets;
pub use stats::Stats;
pub use ticket::Ticket;
pub use trim::Trimmed;
