//! Failures that telemetry shows: a process killed for memory, a restart, a resource that is full, a reboot, an end at a
//! limit. What nobody sees here is told through the API.

use std::sync::{Mutex, PoisonError};

use foretwin_core::{Failure, FailureMode, Instance, InstanceId, Kind, Schema, Timestamp, Value};

/// A resource at this share of its limit is full, and may be full again once it was below the lower share.
const FULL: f64 = 0.999;
const ROOM: f64 = 0.98;
/// Whoever ends at this share of its limit ended for it.
const NEARLY_FULL: f64 = 0.95;

/// Counters whose increase is a failure. The kernel's count of a whole machine is left out: it counts what groups on it
/// have counted.
const COUNTERS: [(&str, FailureMode, &str); 2] = [
    ("container.memory.oom_kills", FailureMode::MemoryExhaustion, "the kernel killed a process for memory"),
    ("container.restarts", FailureMode::Crash, "its first process is another one than before: restarted"),
];

/// Label of a machine that changes whenever it is started.
pub(crate) const BOOT_ID: &str = "boot_id";

/// What a column tells.
enum Sign {
    /// A count of failures, with its last value.
    Count { mode: FailureMode, note: &'static str, last: Option<u64> },
    /// Use against the limit in another column.
    Room { mode: FailureMode, limit: usize, metric: String, full: bool, share: f64 },
}

/// Looks at the frames of one schema of one instance.
pub(crate) struct Detector {
    signs: Vec<(usize, Sign)>,
    last: Timestamp,
}

impl Detector {
    pub(crate) fn new(schema: &Schema) -> Self {
        let mut signs = Vec::new();
        for (column, metric) in schema.metrics().iter().enumerate() {
            if let Some((_, mode, note)) = COUNTERS.iter().find(|(name, ..)| *name == metric.name) {
                signs.push((column, Sign::Count { mode: *mode, note, last: None }));
            }
            let capacity = metric.capacity.as_ref().filter(|_| metric.kind == Kind::Gauge);
            if let Some((capacity, limit)) = capacity.and_then(|one| Some((one, schema.column(&one.limit)?)))
            {
                let (mode, metric) = (capacity.mode, metric.key());
                signs.push((column, Sign::Room { mode, limit, metric, full: true, share: 0.0 }));
            }
        }
        Self { signs, last: Timestamp(i64::MIN) }
    }

    /// Takes a frame that follows the one before, and says what failed in it. The first frame shows how things are, not
    /// that they have just become so.
    pub(crate) fn take(
        &mut self,
        schema: &Schema,
        (at, values): (Timestamp, &[Value]),
    ) -> Vec<(FailureMode, String)> {
        self.last = at;
        let mut failed = Vec::new();
        for (column, sign) in &mut self.signs {
            let number = |column: usize| values[column].to_f64(schema.metrics()[column].storage);
            let found = match sign {
                Sign::Count { mode, note, last } => {
                    let now = (!values[*column].is_missing()).then_some(values[*column].0);
                    let rose = matches!((*last, now), (Some(before), Some(now)) if now > before);
                    *last = now.or(*last);
                    rose.then(|| (*mode, (*note).to_owned()))
                }
                Sign::Room { mode, limit, metric, full, share } => {
                    let (used, limit) = (number(*column), number(*limit));
                    *share = if limit > 0.0 && used.is_finite() { used / limit } else { 0.0 };
                    let becomes = *share >= FULL && !*full && is_end(*mode);
                    *full = *share >= FULL || (*full && *share >= ROOM);
                    becomes.then(|| (*mode, format!("{metric} reached its limit")))
                }
            };
            failed.extend(found);
        }
        failed
    }

    /// The instance is gone: what it failed by, if it went at a limit.
    pub(crate) fn ended(&self, id: &InstanceId) -> Option<Failure> {
        let room = self.signs.iter().filter_map(|(_, sign)| match sign {
            Sign::Room { mode, metric, share, .. } if *share >= NEARLY_FULL => Some((*mode, metric, *share)),
            _ => None,
        });
        let (mode, metric, share) = room.max_by(|a, b| a.2.total_cmp(&b.2))?;
        let note = format!("gone while {metric} was at {:.0} % of its limit", 100.0 * share);
        Some(Failure { instance: id.clone(), at: self.last, mode, note })
    }
}

/// Whether a limit that is reached is a failure by itself. Memory at its limit is reclaimed, and a busy processor is
/// busy.
fn is_end(mode: FailureMode) -> bool {
    use FailureMode::{DescriptorExhaustion, DiskFull, InodeExhaustion, PidExhaustion};
    matches!(mode, DiskFull | InodeExhaustion | DescriptorExhaustion | PidExhaustion)
}

/// A machine that was started again since it was described last.
pub(crate) fn rebooted(before: &Instance, now: &Instance, last: Timestamp) -> Option<Failure> {
    let boot = |instance: &Instance| instance.labels.get(BOOT_ID).cloned();
    let (old, new) = (boot(before)?, boot(now)?);
    (old != new && last > Timestamp(0)).then(|| Failure {
        instance: now.id.clone(),
        at: last,
        mode: FailureMode::Outage,
        note: "started again: another boot id".into(),
    })
}

/// Failures that were detected and are not recorded yet.
#[derive(Default)]
pub(crate) struct Detected(Mutex<Vec<Failure>>);

impl Detected {
    pub(crate) fn add(&self, found: impl IntoIterator<Item = Failure>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
    }

    /// All of them, each incident once: of one instance within a minute, the first with a resource to name; of a group
    /// and what contains it at one moment, the inner one.
    pub(crate) fn take(&self, known: &[Failure]) -> Vec<Failure> {
        let mut found = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        found.sort_by_key(|one| (is_vague(one.mode), std::cmp::Reverse(one.instance.as_str().len()), one.at));
        let mut told: Vec<Failure> = Vec::new();
        for one in found {
            if !told.iter().chain(known).any(|other| is_same(other, &one)) {
                told.push(one);
            }
        }
        told
    }
}

fn is_vague(mode: FailureMode) -> bool {
    matches!(mode, FailureMode::Crash | FailureMode::Custom | FailureMode::Outage)
}

/// Whether a failure is told by another: of the same instance, or of something in it.
fn is_same(known: &Failure, one: &Failure) -> bool {
    let (inner, outer) = (known.instance.as_str(), one.instance.as_str());
    let below = inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below && known.at.since(one.at).abs() < 60.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{InstanceKind, Metric, Role};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(second as f64)
    }

    fn group() -> std::sync::Arc<Schema> {
        let used = Metric::gauge("used", "By", Role::Utilization).against("limit", FailureMode::DiskFull);
        Schema::new(vec![
            Metric::counter("container.memory.oom_kills", "{kill}", Role::Errors),
            used,
            Metric::gauge("limit", "By", Role::Limit),
        ])
    }

    #[test]
    fn counts_that_rise_and_room_that_ends_are_failures_once() {
        let (schema, id) = (group(), InstanceId::new("h/a"));
        let (mut detector, mut modes) = (Detector::new(&schema), Vec::new());
        for (second, kills, used) in
            [(0, 3, 1000), (1, 3, 500), (2, 4, 500), (3, 4, 1000), (4, 4, 999), (5, 4, 1000)]
        {
            let values = [Value(kills), Value(used), Value(1000)];
            let found = detector.take(&schema, (at(second), &values));
            modes.extend(found.into_iter().map(|(mode, _)| (at(second), mode)));
        }
        assert_eq!(modes, [(at(2), FailureMode::MemoryExhaustion), (at(3), FailureMode::DiskFull)]);
        let ended = detector.ended(&id).unwrap();
        assert_eq!((ended.at, ended.mode), (at(5), FailureMode::DiskFull));
        assert!(Detector::new(&schema).ended(&id).is_none());
    }

    #[test]
    fn an_incident_is_told_once_and_by_the_inner_group() {
        let failure = |id: &str, second: i64, mode| Failure {
            instance: InstanceId::new(id),
            at: at(second),
            mode,
            note: String::new(),
        };
        let detected = Detected::default();
        detected.add([
            failure("h/a", 100, FailureMode::MemoryExhaustion),
            failure("h/a/b", 100, FailureMode::MemoryExhaustion),
            failure("h/a/b", 101, FailureMode::Crash),
            failure("h/c", 100, FailureMode::Crash),
        ]);
        let told = detected.take(&[failure("h/c", 70, FailureMode::Crash)]);
        assert_eq!(told, [failure("h/a/b", 100, FailureMode::MemoryExhaustion)]);
        assert!(detected.take(&[]).is_empty());
    }

    #[test]
    fn another_boot_id_is_an_outage() {
        let host = |boot: &str| {
            let mut host = Instance::new("h", InstanceKind::Host, "h", "machine:h");
            host.labels.insert("boot_id".into(), boot.into());
            host
        };
        assert!(rebooted(&host("a"), &host("a"), at(5)).is_none());
        assert_eq!(rebooted(&host("a"), &host("b"), at(5)).unwrap().at, at(5));
    }
}
