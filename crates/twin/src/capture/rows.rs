//! Turns stored telemetry into rows of demand: what an instance asked of its machine in each step of time.

use foretwin_core::{Demand, Dimension, Kind, Metric, Timestamp, Window};

/// A page of memory on every machine that Foretwin runs on.
const PAGE_BYTES: f64 = 4096.0;
/// Gaps longer than so many steps are not bridged: what went on in them is not known.
const BRIDGED_STEPS: i64 = 2;

/// How a series speaks of a dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Take {
    /// Its increase per second, times a factor.
    Rate(f64),
    /// Its mean, times a factor.
    Level,
}

/// Which series speak of a dimension. Of several with the same name, one per device, all are added.
struct Rule {
    dimension: Dimension,
    names: [&'static str; 2],
    /// An attribute that it must have; none must have no attributes at all.
    attribute: Option<(&'static str, &'static str)>,
    take: Take,
}

const fn rule(
    dimension: Dimension,
    names: [&'static str; 2],
    attribute: Option<(&'static str, &'static str)>,
    take: Take,
) -> Rule {
    Rule { dimension, names, attribute, take }
}

const WAY: &str = "disk.io.direction";

/// Containers and groups first, machines second. Faults that touch new pages stand for the turnover of memory; segments
/// received stand for round trips, which they exceed where answers are long.
const RULES: [Rule; 10] = [
    rule(Dimension::Cpu, ["container.cpu.busy", "system.cpu.busy"], None, Take::Rate(1e-6)),
    rule(
        Dimension::WorkingSet,
        ["container.memory.unreclaimable", "system.memory.unreclaimable"],
        None,
        Take::Level,
    ),
    rule(
        Dimension::Turnover,
        ["container.paging.faults", "system.paging.faults"],
        None,
        Take::Rate(PAGE_BYTES),
    ),
    rule(Dimension::ReadBytes, ["container.disk.io", "system.disk.io"], Some((WAY, "read")), Take::Rate(1.0)),
    rule(
        Dimension::Reads,
        ["container.disk.operations", "system.disk.operations"],
        Some((WAY, "read")),
        Take::Rate(1.0),
    ),
    rule(
        Dimension::WriteBytes,
        ["container.disk.io", "system.disk.io"],
        Some((WAY, "write")),
        Take::Rate(1.0),
    ),
    rule(
        Dimension::Writes,
        ["container.disk.operations", "system.disk.operations"],
        Some((WAY, "write")),
        Take::Rate(1.0),
    ),
    rule(
        Dimension::Syncs,
        ["container.disk.operations", "system.disk.operations"],
        Some((WAY, "flush")),
        Take::Rate(1.0),
    ),
    rule(
        Dimension::NetworkBytes,
        ["container.network.io", "system.network.io"],
        Some(("", "")),
        Take::Rate(1.0),
    ),
    rule(
        Dimension::RoundTrips,
        ["container.network.tcp.segments_received", "system.network.tcp.segments_received"],
        None,
        Take::Rate(1.0),
    ),
];

impl Rule {
    fn holds(&self, metric: &Metric) -> bool {
        let attributes = match self.attribute {
            None => metric.attributes.is_empty(),
            Some(("", _)) => true,
            Some((name, value)) => metric.attributes.iter().any(|(n, v)| n == name && v == value),
        };
        attributes && self.names.contains(&metric.name.as_str())
    }
}

/// One row for each step in which anything is known, in order of time, stamped with the step's end. `windows` are of
/// one instance, of whatever schemas; `requests` names the application's own histogram of request durations in seconds
/// (`NAME_count` and `NAME_sum`), where it has one.
#[must_use]
pub fn rows(windows: &[&Window], step_us: i64, requests: Option<&str>) -> Vec<(Timestamp, Demand)> {
    let step_us = step_us.max(1);
    let times = windows.iter().flat_map(|window| window.times.iter());
    let Some((first, last)) = times.fold(None, |span: Option<(i64, i64)>, at| {
        Some(span.map_or((at.0, at.0), |(first, last)| (first.min(at.0), last.max(at.0))))
    }) else {
        return Vec::new();
    };
    let origin = first.div_euclid(step_us);
    let steps = usize::try_from(last.div_euclid(step_us) - origin + 1).unwrap_or(0);
    let grid = Grid { origin, step_us, steps };
    let mut rows = vec![Demand::UNKNOWN; steps];
    for rule in &RULES {
        let found = grid.sum(windows, |metric| rule.holds(metric).then_some(rule.take));
        put(&mut rows, rule.dimension, &found);
    }
    if let Some(name) = requests {
        let (count, sum) = (format!("{name}_count"), format!("{name}_sum"));
        let of =
            |wanted: &str| grid.sum(windows, |metric| (metric.name == wanted).then_some(Take::Rate(1.0)));
        let (arrivals, busy) = (of(&count), of(&sum));
        put(&mut rows, Dimension::Requests, &arrivals);
        let service: Vec<f64> = (0..steps).map(|at| service(arrivals[at], busy[at], &rows[at])).collect();
        put(&mut rows, Dimension::ServiceTime, &service);
    }
    let stamped = rows.into_iter().enumerate().map(|(at, row)| (grid.end(at), row));
    stamped.filter(|(_, row)| row.0.iter().any(|value| !value.is_nan())).collect()
}

/// CPU seconds of a request: all CPU time shared among the requests, but no more than a request lasts.
fn service(arrivals: f64, busy: f64, row: &Demand) -> f64 {
    let cpu = row.get(Dimension::Cpu) / arrivals;
    let duration = busy / arrivals;
    if arrivals > 0.0 { cpu.min(duration) } else { f64::NAN }
}

fn put(rows: &mut [Demand], dimension: Dimension, values: &[f64]) {
    for (row, value) in rows.iter_mut().zip(values) {
        *row = row.with(dimension, *value);
    }
}

/// Equal steps of time.
struct Grid {
    origin: i64,
    step_us: i64,
    steps: usize,
}

impl Grid {
    fn end(&self, at: usize) -> Timestamp {
        Timestamp((self.origin + at as i64 + 1) * self.step_us)
    }

    fn step(&self, at: Timestamp) -> usize {
        usize::try_from(at.0.div_euclid(self.step_us) - self.origin).unwrap_or(0)
    }

    /// The sum over all series that are chosen, step by step; NaN where none is known.
    fn sum(&self, windows: &[&Window], chosen: impl Fn(&Metric) -> Option<Take>) -> Vec<f64> {
        let mut total = vec![f64::NAN; self.steps];
        for window in windows {
            for (column, metric) in window.schema.metrics().iter().enumerate() {
                let Some(take) = chosen(metric) else { continue };
                let series = window.columns[column].iter().map(|value| value.to_f64(metric.storage));
                let series = window.times.iter().copied().zip(series).filter(|(_, value)| !value.is_nan());
                let one = match (take, metric.kind) {
                    (Take::Rate(factor), Kind::Counter) => self.rates(series, factor),
                    (Take::Level, Kind::Gauge) => self.means(series),
                    // A name that we know with a meaning that we do not.
                    _ => continue,
                };
                for (sum, value) in total.iter_mut().zip(one).filter(|(_, value)| !value.is_nan()) {
                    *sum = if sum.is_nan() { value } else { *sum + value };
                }
            }
        }
        total
    }

    /// Increase per second of what is known of each step. An increase across the border of two steps is shared between
    /// them by time; a fall is a reset, and nothing is known of that time.
    fn rates(&self, series: impl Iterator<Item = (Timestamp, f64)>, factor: f64) -> Vec<f64> {
        let (mut grown, mut known_us) = (vec![0.0; self.steps], vec![0i64; self.steps]);
        let mut last: Option<(Timestamp, f64)> = None;
        for (at, value) in series {
            if let Some((before, old)) = last.replace((at, value)) {
                let length = at.0 - before.0;
                if value < old || length <= 0 || length > BRIDGED_STEPS * self.step_us {
                    continue;
                }
                let mut from = before.0;
                while from < at.0 {
                    let step = self.step(Timestamp(from));
                    let until = (self.end(step).0).min(at.0);
                    grown[step] += (value - old) * (until - from) as f64 / length as f64;
                    known_us[step] += until - from;
                    from = until;
                }
            }
        }
        // A step of which less than half is known is not known.
        let rate = |(grown, known_us): (f64, i64)| {
            if known_us * 2 < self.step_us { f64::NAN } else { factor * grown / (known_us as f64 / 1e6) }
        };
        grown.into_iter().zip(known_us).map(rate).collect()
    }

    fn means(&self, series: impl Iterator<Item = (Timestamp, f64)>) -> Vec<f64> {
        let (mut sums, mut counts) = (vec![0.0; self.steps], vec![0u32; self.steps]);
        for (at, value) in series {
            sums[self.step(at)] += value;
            counts[self.step(at)] += 1;
        }
        sums.into_iter()
            .zip(counts)
            .map(|(sum, n)| if n == 0 { f64::NAN } else { sum / f64::from(n) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{InstanceId, MISSING, Role, SECOND_US, Schema, Storage, Value};

    const CPU: &str = "container.cpu.busy";

    fn window(metrics: Vec<Metric>, frames: &[(i64, Vec<Value>)]) -> Window {
        let mut window = Window::new(InstanceId::new("h/a"), Schema::new(metrics));
        for (second, values) in frames {
            window.push(Timestamp(second * SECOND_US), values);
        }
        window
    }

    fn numbers(values: &[u64]) -> Vec<Value> {
        values.iter().map(|value| Value::unsigned(*value)).collect()
    }

    #[test]
    fn counters_become_rates_and_levels_means() {
        let metrics = vec![
            Metric::counter(CPU, "us", Role::Utilization),
            Metric::gauge("container.memory.unreclaimable", "By", Role::Utilization),
            Metric::counter("container.paging.faults", "{fault}", Role::Rate),
            Metric::counter("container.paging.faults", "{fault}", Role::Rate)
                .with("system.paging.fault.type", "major"),
            Metric::counter("container.disk.io", "By", Role::Rate).with(WAY, "write"),
        ];
        let frames: Vec<_> = (0..=20u64)
            .map(|s| (s as i64, numbers(&[s * 250_000, 1000 + s, s * 3, s * 1000, s * 70])))
            .collect();
        let rows = rows(&[&window(metrics, &frames)], 10 * SECOND_US, None);
        assert_eq!(rows.len(), 3);
        let (at, row) = &rows[0];
        assert_eq!(at.0, 10 * SECOND_US);
        assert!((row.get(Dimension::Cpu) - 0.25).abs() < 1e-9);
        assert!((row.get(Dimension::WorkingSet) - 1004.5).abs() < 1e-9);
        assert!((row.get(Dimension::Turnover) - 3.0 * 4096.0).abs() < 1e-6);
        assert!((row.get(Dimension::WriteBytes) - 70.0).abs() < 1e-9);
        assert!(row.get(Dimension::ReadBytes).is_nan() && row.get(Dimension::Requests).is_nan());
        // Of the last step only its first moment is known.
        assert!(rows[2].1.get(Dimension::Cpu).is_nan() && rows[2].1.get(Dimension::WorkingSet) == 1020.0);
    }

    #[test]
    fn resets_and_gaps_are_not_known() {
        let metric = || vec![Metric::counter(CPU, "us", Role::Utilization)];
        let mut frames: Vec<_> = (0..30i64).map(|s| (s, numbers(&[1_000_000 * s as u64]))).collect();
        // Started again at 12 s: the counter begins anew.
        for (second, values) in &mut frames[12..] {
            *values = numbers(&[1_000_000 * (*second as u64 - 12)]);
        }
        let whole = rows(&[&window(metric(), &frames)], 10 * SECOND_US, None);
        assert!(whole.iter().all(|(_, row)| (row.get(Dimension::Cpu) - 1.0).abs() < 1e-9), "{whole:?}");
        let gap = [(0, numbers(&[0])), (9, vec![MISSING]), (100, numbers(&[9_000_000]))];
        assert!(rows(&[&window(metric(), &gap)], 10 * SECOND_US, None).is_empty());
        assert!(rows(&[], 10 * SECOND_US, None).is_empty());
    }

    #[test]
    fn devices_are_added_and_requests_come_from_the_application() {
        let io = |device: &str| {
            Metric::counter("system.network.io", "By", Role::Rate).with("system.device", device)
        };
        let machine: Vec<_> =
            (0..=10i64).map(|s| (s, numbers(&[s as u64 * 5, s as u64 * 7, s as u64 * 500_000]))).collect();
        let machine = window(
            vec![io("a"), io("b"), Metric::counter("system.cpu.busy", "us", Role::Utilization)],
            &machine,
        );
        let histogram = |part: &str| {
            Metric::counter(&format!("http_seconds_{part}"), "1", Role::Rate)
                .stored(Storage::F64)
                .with("code", "200")
        };
        let frames: Vec<_> = (0..=10i64)
            .map(|s| (s, vec![Value::float(s as f64 * 20.0), Value::float(s as f64 * 0.2)]))
            .collect();
        let application = window(vec![histogram("count"), histogram("sum")], &frames);
        let rows = rows(&[&machine, &application], 10 * SECOND_US, Some("http_seconds"));
        let row = rows[0].1;
        assert!((row.get(Dimension::NetworkBytes) - 12.0).abs() < 1e-9);
        assert!((row.get(Dimension::Requests) - 20.0).abs() < 1e-9);
        // 0.5 cores over 20 requests would be 25 ms, but a request lasts only 10 ms.
        assert!((row.get(Dimension::ServiceTime) - 0.01).abs() < 1e-9);
    }
}
