//! Descriptors and tracked connections against their limits, and the limit of threads, from `/proc/sys`.

use foretwin_core::{FailureMode, Metric, Role, Value};
use foretwin_host::Error;
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::limits::{Descriptors, single};

use super::section::{Layout, Section, TENTH_MS, fill};

/// `/proc/sys/fs/file-nr`, which has the limit in it.
pub(super) struct OpenFiles(ProcFile);

impl OpenFiles {
    pub(super) fn open() -> Result<Option<Self>, Error> {
        Ok(ProcFile::open_if_present("/proc/sys/fs/file-nr")?.map(Self))
    }
}

impl Section for OpenFiles {
    fn name(&self) -> &'static str {
        "open descriptors"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        metrics.extend([
            Metric::gauge("system.file_descriptor.count", "{file_descriptor}", Role::Utilization)
                .against("system.file_descriptor.limit", FailureMode::DescriptorExhaustion),
            Metric::gauge("system.file_descriptor.limit", "{file_descriptor}", Role::Limit),
        ]);
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let descriptors = Descriptors::parse(self.0.read_record(buffer)?)?;
        fill(cells, [descriptors.open, descriptors.limit]);
        Ok(Layout::Same)
    }

    fn good_for_ms(&self) -> i64 {
        TENTH_MS
    }
}

/// The connections that the packet filter tracks. At their limit new connections are dropped, which from outside
/// looks like an outage.
pub(super) struct TrackedConnections {
    count: ProcFile,
    limit: ProcFile,
}

impl TrackedConnections {
    pub(super) fn open() -> Result<Option<Self>, Error> {
        let count = ProcFile::open_if_present("/proc/sys/net/netfilter/nf_conntrack_count")?;
        let limit = ProcFile::open_if_present("/proc/sys/net/netfilter/nf_conntrack_max")?;
        Ok(count.zip(limit).map(|(count, limit)| Self { count, limit }))
    }
}

impl Section for TrackedConnections {
    fn name(&self) -> &'static str {
        "tracked connections"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        metrics.extend([
            Metric::gauge("system.network.conntrack.count", "{connection}", Role::Utilization)
                .against("system.network.conntrack.limit", FailureMode::Outage),
            Metric::gauge("system.network.conntrack.limit", "{connection}", Role::Limit),
        ]);
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let count = single(self.count.read_record(buffer)?)?;
        let limit = single(self.limit.read_record(buffer)?)?;
        fill(cells, [count, super::section::limit(limit)]);
        Ok(Layout::Same)
    }

    fn good_for_ms(&self) -> i64 {
        TENTH_MS
    }
}

/// How many threads there may be: each needs an id, and the kernel sets itself a bound beside.
pub(super) struct ThreadLimit {
    ids: ProcFile,
    threads: ProcFile,
}

impl ThreadLimit {
    pub(super) fn open() -> Result<Option<Self>, Error> {
        let ids = ProcFile::open_if_present("/proc/sys/kernel/pid_max")?;
        let threads = ProcFile::open_if_present("/proc/sys/kernel/threads-max")?;
        Ok(ids.zip(threads).map(|(ids, threads)| Self { ids, threads }))
    }
}

impl Section for ThreadLimit {
    fn name(&self) -> &'static str {
        "thread limit"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        metrics.push(Metric::gauge("system.thread.limit", "{thread}", Role::Limit));
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let ids = single(self.ids.read_record(buffer)?)?;
        let threads = single(self.threads.read_record(buffer)?)?;
        fill(cells, [ids.min(threads)]);
        Ok(Layout::Same)
    }

    /// Only an operator changes it.
    fn good_for_ms(&self) -> i64 {
        10_000
    }
}
