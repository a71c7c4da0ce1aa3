//! The operating information report: what a machine says of itself at one moment, as one document.
//!
//! Each section is made by a file of its own, from a tree that is `/` or a copy of the parts that matter; what cannot be
//! read is missing, never guessed. Rates are taken over [`LOOK`]. Nothing is sent anywhere, and [`redact`] takes out what
//! looks like a secret before anybody else sees the document.

mod cpu;
mod groups;
mod history;
mod identity;
mod journal;
mod kernel;
mod memory;
mod network;
mod processes;
mod rates;
mod redact;
mod services;
mod storage;
mod tree;

use std::path::Path;
use std::time::{Duration, Instant};

use foretwin_core::{REPORT_VERSION, Timestamp};
use serde_json::{Value, json};

pub use redact::redact;

use rates::Counts;
use tree::Tree;

/// How long rates are taken over.
pub const LOOK: Duration = Duration::from_secs(1);

/// Makes the report of this machine, named `instance`; takes about [`LOOK`], longer where a service manager or journal is
/// slow to answer. Secrets are redacted.
#[must_use]
pub fn gather(instance: &str, at: Timestamp) -> Value {
    gather_telling(instance, at, &|_| ())
}

/// The same, telling the share that is done, 0 to 1.
#[must_use]
pub fn gather_telling(instance: &str, at: Timestamp, told: &dyn Fn(f64)) -> Value {
    let tree = Tree::live();
    let (began, before) = (Instant::now(), Counts::read(&tree));
    let mut document = sections(&tree, (instance, at), told);
    std::thread::sleep(LOOK.saturating_sub(began.elapsed()));
    let after = Counts::read(&tree);
    before.rates(&after, began.elapsed().as_secs_f64()).add_to(&mut document);
    redact(&mut document);
    document
}

/// The same of a copy of a machine's files below `root`: without rates, and without what only a running machine says.
#[must_use]
pub fn gather_below(root: &Path, instance: &str, at: Timestamp) -> Value {
    let mut document = sections(&Tree::below(root), (instance, at), &|_| ());
    redact(&mut document);
    document
}

/// Sections of a report that take their time.
const SECTIONS: f64 = 12.0;

fn sections(tree: &Tree, (instance, at): (&str, Timestamp), told: &dyn Fn(f64)) -> Value {
    let mut made = 0.0;
    let mut done = |section: Value| {
        made += 1.0;
        told(made / (SECTIONS + 1.0));
        section
    };
    json!({
        "version": REPORT_VERSION,
        "instance": instance,
        "at": tree::date(at.0.div_euclid(1_000_000)),
        "at_us": at.0,
        "identity": done(identity::section(tree)),
        "kernel": done(kernel::section(tree)),
        "cpu": done(cpu::section(tree)),
        "memory": done(memory::section(tree)),
        "groups": done(groups::section(tree)),
        "storage": done(storage::section(tree)),
        "network": done(network::section(tree)),
        "services": done(services::section(tree)),
        "processes": done(processes::section(tree)),
        "journal": done(journal::section(tree).into()),
        "clock": done(kernel::clock(tree)),
        "history": done(history::section(tree, at)),
        "telemetry": {},
    })
}
