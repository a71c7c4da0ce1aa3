//! Removes what a killed lab left behind, and the lab host when nobody needs it any more.

use anyhow::Result;

use crate::group::{Group, Hierarchies};
use crate::ledger::{HOST_GROUP, Ledger};

/// Removes leftovers of labs that are gone; returns the names of the runs. Runs of living labs stay.
///
/// # Errors
/// If something cannot be removed.
pub fn clean(ledger: &Ledger, hierarchies: &Hierarchies) -> Result<Vec<String>> {
    let _lock = ledger.lock()?;
    let (living, dead): (Vec<_>, Vec<_>) = ledger.entries().into_iter().partition(|entry| entry.lives());
    let mut removed = Vec::new();
    for entry in dead {
        ledger.reclaim(hierarchies, &entry)?;
        removed.push(entry.name);
    }
    // Below the lab host everything is the lab's, even what lost its entry.
    for name in hierarchies.children(HOST_GROUP) {
        if living.iter().all(|entry| entry.name != name) {
            Group::named(hierarchies, &format!("{HOST_GROUP}/{name}")).remove()?;
            removed.push(name);
        }
    }
    if living.is_empty() {
        Group::named(hierarchies, HOST_GROUP).remove()?;
    }
    Ok(removed)
}
