//! Hardware counters of the machine: how well its processors work, which utilisation alone does not say.

use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};

use foretwin_core::{InstanceId, Metric, Role, Schema, Timestamp, Value};
use foretwin_host::Error as HostError;
use foretwin_host::perf::{Counter, Event};

use crate::error::Error;
use crate::sink::{Sink, Source};

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    Schema::new(vec![
        Metric::counter("system.cpu.cycles", "{cycle}", Role::Utilization),
        Metric::counter("system.cpu.instructions", "{instruction}", Role::Rate),
        Metric::counter("system.cpu.cache.misses", "{miss}", Role::Saturation),
        Metric::counter("system.cpu.branch.misses", "{miss}", Role::Rate),
    ])
});

/// Why there are no hardware counters, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What the kernel answered, in words.
    pub reason: String,
    /// What an operator can do about it.
    pub remedy: &'static str,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}

impl Reason {
    fn of(error: &HostError) -> Self {
        let code = match error {
            HostError::Call { source, .. } => source.raw_os_error(),
            _ => None,
        };
        let (reason, remedy) = match code {
            Some(libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP) => (
                "this machine has no hardware counters".to_owned(),
                "in a virtual machine, have the hypervisor pass them on (\"vPMU\", `-cpu host,pmu=on`)",
            ),
            Some(libc::EACCES | libc::EPERM) => (
                "the kernel does not let Foretwin count".to_owned(),
                "run with CAP_PERFMON, or set the sysctl kernel.perf_event_paranoid to 0 or lower",
            ),
            Some(libc::ENOSYS) => (
                "the kernel has no perf events".to_owned(),
                "use a kernel with CONFIG_PERF_EVENTS, and allow perf_event_open in the seccomp profile",
            ),
            Some(libc::EMFILE) => (
                "too many open files".to_owned(),
                "raise LimitNOFILE: four descriptors per processor are needed",
            ),
            Some(code) => (io::Error::from_raw_os_error(code).to_string(), "see perf_event_open(2)"),
            None => (error.to_string(), "see perf_event_open(2)"),
        };
        Self { reason, remedy }
    }
}

/// Whether this machine lets this process read hardware counters.
///
/// # Errors
/// Why not, and what to do.
pub fn available() -> Result<(), Reason> {
    match Counter::open(Event::Cycles, 1) {
        Ok(_) => Ok(()),
        Err(error) => Err(Reason::of(&error)),
    }
}

/// The source of hardware counters.
#[derive(Debug)]
pub struct Hardware {
    host: InstanceId,
    counters: Vec<Counter>,
    values: Vec<Value>,
}

impl Hardware {
    /// Begins to count on all processors of the machine with the instance `host`.
    ///
    /// # Errors
    /// Why there are no counters, and what to do.
    pub fn new(host: &str) -> Result<Self, Reason> {
        let processors = configured_processors();
        let counters: Result<Vec<_>, _> =
            Event::ALL.iter().map(|event| Counter::open(*event, processors)).collect();
        let counters = counters.map_err(|error| Reason::of(&error))?;
        Ok(Self { host: InstanceId::new(host), counters, values: Vec::new() })
    }
}

/// How many processors there may be, offline ones included: one more than the last of `0-3,8-11`.
fn configured_processors() -> usize {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/present").unwrap_or_default();
    let last = text.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<usize>().ok());
    last.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |last| last + 1)
}

impl Source for Hardware {
    fn name(&self) -> &'static str {
        "hardware counters"
    }

    fn read(&mut self, at: Timestamp, sink: &mut dyn Sink) -> Result<(), Error> {
        self.values.clear();
        self.values.extend(self.counters.iter_mut().map(|counter| Value::unsigned(counter.read())));
        sink.frame(&self.host, &SCHEMA, at, &self.values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_remedy() {
        for code in [libc::ENOENT, libc::EACCES, libc::ENOSYS, libc::EMFILE, libc::EINVAL] {
            let source = io::Error::from_raw_os_error(code);
            let error = HostError::Call { call: "perf_event_open", object: "Cycles".into(), source };
            let reason = Reason::of(&error);
            assert!(!reason.reason.is_empty() && !reason.remedy.is_empty(), "{reason}");
        }
    }

    #[test]
    fn the_source_exists_only_where_counters_do() {
        assert_eq!(SCHEMA.width(), Event::ALL.len());
        assert!(configured_processors() >= 1);
        if available().is_err() {
            assert!(Hardware::new("h").is_err());
        }
    }
}
