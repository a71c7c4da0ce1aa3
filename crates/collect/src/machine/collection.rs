//! What collection itself does and costs, told as metrics of the machine.

use std::sync::Arc;

use foretwin_core::{Metric, Role, Value};
use foretwin_host::Error;
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::own_use;

use super::section::{Layout, Section, TENTH_MS, fill};
use crate::ledger::Ledger;

/// Cells of each source.
const WIDTH: usize = 5;

/// The counts of every source.
pub(super) struct Collection(pub(super) Arc<Ledger>);

impl Section for Collection {
    fn name(&self) -> &'static str {
        "collection"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for account in self.0.accounts() {
            let counter =
                |name, unit, role| Metric::counter(name, unit, role).with("foretwin.source", account.name());
            metrics.extend([
                counter("foretwin.collect.late", "{tick}", Role::Saturation),
                counter("foretwin.collect.missed", "{tick}", Role::Saturation),
                counter("foretwin.collect.read.errors", "{error}", Role::Errors),
                counter("foretwin.collect.panics", "{panic}", Role::Errors),
                counter("foretwin.collect.duration", "us", Role::Duration),
            ]);
        }
    }

    fn read(&mut self, _: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        for (account, cells) in self.0.accounts().iter().zip(cells.chunks_exact_mut(WIDTH)) {
            let counts = account.counts();
            let faults = [counts.late, counts.missed, counts.errors, counts.panics];
            fill(cells, faults.into_iter().chain([counts.duration_us]));
        }
        Ok(Layout::Same)
    }
}

/// Time and memory of this process.
pub(super) struct Own(ProcFile);

impl Own {
    pub(super) fn open() -> Result<Option<Self>, Error> {
        Ok(ProcFile::open_if_present("/proc/self/statm")?.map(Self))
    }
}

impl Section for Own {
    fn name(&self) -> &'static str {
        "own use"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        metrics.extend([
            Metric::counter("foretwin.process.cpu.time", "us", Role::Utilization),
            Metric::gauge("foretwin.process.memory.usage", "By", Role::Utilization),
        ]);
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let own = own_use(&self.0, buffer)?;
        fill(cells, [own.cpu_us, own.resident_bytes]);
        Ok(Layout::Same)
    }

    fn good_for_ms(&self) -> i64 {
        TENTH_MS
    }
}
