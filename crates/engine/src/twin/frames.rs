//! Reports of runners as telemetry: instances of their own, with the host's use beside the costs, so that the second
//! model expects the costs given the use.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use foretwin_collect::Sink;
use foretwin_core::probe::Field;
use foretwin_core::{Fidelity, Instance, InstanceId, InstanceKind, Metric, Role, Schema, Storage, Value};
use foretwin_twin::Report;

/// Of the probes: fields of the runner, then the host's use.
static PROBES: LazyLock<(Vec<Field>, Arc<Schema>)> = LazyLock::new(|| {
    let fields: Vec<Field> = Field::probes().collect();
    let use_of = |name: &str, unit: &str| Metric::gauge(name, unit, Role::Command).stored(Storage::F64);
    let host = [use_of("foretwin.host.cpu", "1"), use_of("foretwin.host.steal", "1")];
    let metrics = fields.iter().map(|field| field.metric()).chain(host);
    let schema = Schema::new(metrics.collect());
    (fields, schema)
});

static REPLAY: LazyLock<(Vec<Field>, Arc<Schema>)> = LazyLock::new(|| {
    let fields: Vec<Field> = Field::replay().collect();
    let schema = foretwin_core::probe::schema(fields.iter().copied());
    (fields, schema)
});

/// Makes telemetry of reports, and says which instances they are of.
pub(super) struct Teller {
    host: String,
    said: BTreeMap<InstanceId, Fidelity>,
    last_use: Option<[f64; 3]>,
}

impl Teller {
    pub(super) fn new(host: &str) -> Self {
        Self { host: host.into(), said: BTreeMap::new(), last_use: None }
    }

    /// Hands a report to the sink.
    pub(super) fn tell(&mut self, report: &Report, original: &InstanceId, sink: &mut dyn Sink) {
        if self.said.get(&report.label) != Some(&report.fidelity) {
            self.said.insert(report.label.clone(), report.fidelity);
            sink.instance(&self.instance(report, original));
        }
        let at = report.frame.wall;
        if original.as_str() == self.host {
            let (fields, schema) = &*PROBES;
            let mut values = report.values(fields);
            values.extend(self.host_use().map(|used| Value::from_f64(used, Storage::F64)));
            sink.frame(&report.label, schema, at, &values);
        } else {
            let (fields, schema) = &*REPLAY;
            sink.frame(&report.label, schema, at, &report.values(fields));
        }
    }

    fn instance(&self, report: &Report, original: &InstanceId) -> Instance {
        let workload = format!("twin:{original}");
        let mut twin = Instance::new(report.label.as_str(), InstanceKind::Application, &self.host, &workload);
        twin.twin_of = Some(original.clone());
        twin.parent = Some(InstanceId::new(&self.host));
        twin.labels.insert("fidelity".into(), report.fidelity.as_str().into());
        twin
    }

    /// Cores that were busy and cores that were stolen since the last question.
    fn host_use(&mut self) -> [f64; 2] {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks.as_slice() else {
            return [f64::NAN; 2];
        };
        let busy = user + nice + system + irq + softirq;
        let now = [busy, *steal, busy + idle + iowait + steal];
        let last = self.last_use.replace(now);
        let cores = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        match last {
            Some(last) if now[2] > last[2] => {
                [0, 1].map(|which| (now[which] - last[which]) / (now[2] - last[2]) * cores)
            }
            _ => [f64::NAN; 2],
        }
    }
}
