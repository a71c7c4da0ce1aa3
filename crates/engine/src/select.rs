//! Stored telemetry and Foretwin's own outputs as series with labels, as PromQL selects them.
//!
//! A metric `system.cpu.time{cpu.mode=user}` of the instance `h` is `system_cpu_time{cpu_mode="user", instance="h",
//! job="foretwin"}`; a series that was received has the labels it came with. Outputs are stored like telemetry:
//! `foretwin_anomaly_score` and `foretwin_failure_probability{horizon}`. What is expected is made on request:
//! `foretwin_expected{metric}` and `foretwin_expected_scale{metric}`. What may run out is as of now:
//! `foretwin_risk_probability{mode, metric, horizon}`.

use std::collections::BTreeMap;

use foretwin_collect::receive::{RECEIVED, is_received};
use foretwin_core::{Instance, InstanceId, Kind, Metric, Schema, Timestamp, Window};
use foretwin_query::{Error, Labels, Matcher, NAME, Need, Relation, Series, Source};
use foretwin_store::Query;

use crate::handle::Handle;
use crate::outputs::HORIZONS;
use crate::view::WindowQuery;

/// Samples and series that one selector may bring.
const MOST_SAMPLES: usize = 10_000_000;
const MOST_SERIES: usize = 100_000;
/// A series ended if two later frames lack it, and it is silent for so many of its own steps.
const ENDED_STEPS: i64 = 2;
/// From this resolution on, and over so long, what the tiers hold is as good.
const COARSE_MS: i64 = 60_000;
const LONG_MS: i64 = 6 * 3_600_000;
/// Points of what is expected.
const EXPECTED_POINTS: usize = 11_000;

/// What is looked at first where only the newest point counts: most of it is still in memory.
const RECENT_MS: i64 = 30_000;

const EXPECTED: [&str; 2] = ["foretwin_expected", "foretwin_expected_scale"];
const RISK: &str = "foretwin_risk_probability";

/// What is known of a metric's name, for `/api/v1/metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSays {
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// UCUM.
    pub unit: String,
}

/// A name as Prometheus allows it: letters, digits, underscores (and colons in names of metrics).
fn legal(name: &str, colons: bool) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    let mut legal: String = name.chars().map(|c| if fine(c) { c } else { '_' }).collect();
    if legal.starts_with(|c: char| c.is_ascii_digit()) {
        legal.insert(0, '_');
    }
    legal
}

/// Labels that every series of an instance has.
fn identity(id: &InstanceId, instance: Option<&Instance>) -> Labels {
    match instance.filter(|instance| instance.labels.contains_key(RECEIVED)) {
        Some(received) => {
            let own = received.labels.iter().filter(|(name, _)| *name != RECEIVED);
            own.map(|(name, value)| (legal(name, false), value.clone())).collect()
        }
        None => [("instance", id.as_str()), ("job", "foretwin")].into_iter().collect(),
    }
}

/// The labels of a metric of an instance.
fn labels(identity: &Labels, metric: &Metric) -> Labels {
    let mut labels = identity.clone();
    labels.set(NAME, &legal(&metric.name, true));
    for (name, value) in &metric.attributes {
        let name = legal(name, false);
        // As Prometheus does with what a target says and it knows better.
        let taken = !identity.get(&name).is_empty();
        labels.set(&if taken { format!("exported_{name}") } else { name }, value);
    }
    labels
}

/// A column of a schema that is selected.
struct Column {
    key: String,
    labels: Labels,
}

impl Handle {
    /// Instances with the labels that all their series have, of those that may have series that match.
    fn candidates(&self, matchers: &[Matcher]) -> Vec<(InstanceId, Labels)> {
        let mut known: BTreeMap<InstanceId, Labels> = BTreeMap::new();
        for (id, entry) in self.pipeline.store.instances() {
            let labels = identity(&id, entry.instance.as_ref());
            known.insert(id, labels);
        }
        // Of an instance that appeared just now only the watch knows.
        self.pipeline.each(|watched| {
            known
                .insert(watched.instance.id.clone(), identity(&watched.instance.id, Some(&watched.instance)));
        });
        let may = |labels: &Labels| {
            matchers.iter().all(|matcher| match labels.get(&matcher.name) {
                "" => true,
                value => matcher.accepts(value),
            })
        };
        known.into_iter().filter(|(_, labels)| may(labels)).collect()
    }

    /// Labels of every series that fulfils one of the selectors, or of all.
    ///
    /// # Errors
    /// If they are too many.
    pub fn label_sets(&self, selectors: &[Vec<Matcher>]) -> Result<Vec<Labels>, Error> {
        let mut found = std::collections::BTreeSet::new();
        let everything = [Vec::new()];
        for matchers in if selectors.is_empty() { &everything[..] } else { selectors } {
            for (id, identity) in self.candidates(matchers) {
                for schema in self.pipeline.store.schemas(&id) {
                    found.extend(
                        columns(&schema, &identity, matchers).into_iter().map(|column| column.labels),
                    );
                }
                found.extend(self.risks_of(&id, &identity, matchers).into_iter().map(|series| series.labels));
                if found.len() > MOST_SERIES {
                    return Err(too_many());
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// What is known of metrics, by the names that queries use.
    #[must_use]
    pub fn metric_names(&self) -> BTreeMap<String, MetricSays> {
        let mut names = BTreeMap::new();
        for schema in self.pipeline.store.all_schemas() {
            for metric in &schema.metrics()[usize::from(is_received(&schema))..] {
                let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
                let says = MetricSays { kind, unit: metric.unit.clone() };
                names.insert(legal(&metric.name, true), says);
            }
        }
        names
    }

    /// Stored series of one instance.
    fn stored(&self, id: &InstanceId, identity: &Labels, need: &Need) -> Result<Vec<Series>, Error> {
        let mut by_labels: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
        for schema in self.pipeline.store.schemas(id) {
            let columns = columns(&schema, identity, &need.matchers);
            if columns.is_empty() {
                continue;
            }
            for window in self.windows(id, (&schema, &columns), need)? {
                for column in &columns {
                    let Some(at) = window.schema.column(&column.key) else { continue };
                    let points = points(&window, at, is_received(&schema));
                    by_labels.entry(column.labels.clone()).or_default().extend(points);
                }
            }
        }
        let ordered = |(labels, mut points): (Labels, Vec<(i64, f64)>)| {
            // Of one moment what came with a later schema counts; an end that another schema goes on from is none.
            points.sort_by_key(|&(at, value)| (at, foretwin_query::is_stale(value)));
            points.dedup_by_key(|&mut (at, _)| at);
            Series { labels, points }
        };
        Ok(by_labels.into_iter().map(ordered).filter(|series| !series.points.is_empty()).collect())
    }

    fn windows(
        &self,
        id: &InstanceId,
        (schema, columns): (&Schema, &[Column]),
        need: &Need,
    ) -> Result<Vec<Window>, Error> {
        if need.newest && need.to_ms - need.from_ms > RECENT_MS {
            // Where the newest frame of the last seconds has all that is asked for, nothing before it counts.
            let recent = Need { from_ms: need.to_ms - RECENT_MS, newest: false, ..need.clone() };
            let found = self.windows(id, (schema, columns), &recent)?;
            if found.iter().any(|window| is_whole(window, columns)) {
                return Ok(found);
            }
        }
        let (from, to) = (micros(need.from_ms), micros(need.to_ms) + 1000);
        let mut keys: Vec<String> = columns.iter().map(|column| column.key.clone()).collect();
        if is_received(schema) {
            keys.push(foretwin_collect::receive::SAMPLES.into());
        }
        let span_ms = need.to_ms - need.from_ms;
        let coarse = need.resolution_ms >= COARSE_MS && span_ms > LONG_MS;
        let resolution_ms = need.resolution_ms.max(COARSE_MS) / COARSE_MS * COARSE_MS;
        let points = Some((span_ms / resolution_ms).max(1) as usize + 1);
        let all =
            Query { schema: Some(schema.id()), metrics: Some(keys), ..Query::new(id.clone(), from, to) };
        let exact = Query { max_points: points.filter(|_| coarse), ..all.clone() };
        let read = |query: &Query| {
            self.pipeline.store.read(query).map_err(|error| Error::Execution(error.to_string()))
        };
        let found = read(&exact)?;
        // What is older than raw samples are kept lives on in the tiers.
        if found.is_empty() && !coarse { read(&Query { max_points: points, ..all }) } else { Ok(found) }
    }

    /// What may run out of an instance, as it is assessed now.
    fn risks_of(&self, id: &InstanceId, identity: &Labels, matchers: &[Matcher]) -> Vec<Series> {
        let wanted =
            matchers.iter().find(|matcher| matcher.name == NAME).is_none_or(|matcher| matcher.accepts(RISK));
        if !wanted {
            return Vec::new();
        }
        let read = self.pipeline.with(id, |watched| {
            let alive = watched.vanished.is_none();
            (watched.last(), if alive { watched.risks.clone() } else { Vec::new() })
        });
        let Ok((at, risks)) = read else { return Vec::new() };
        let mut found = Vec::new();
        for risk in &risks {
            for (horizon, horizon_s) in HORIZONS {
                let mut labels = identity.clone();
                let own = [
                    (NAME, RISK),
                    ("mode", risk.mode.as_str()),
                    ("metric", risk.metric.as_str()),
                    ("horizon", horizon),
                ];
                own.into_iter().for_each(|(name, value)| labels.set(name, value));
                if Matcher::all(matchers, &labels) {
                    found.push(Series { labels, points: vec![(at.0.div_euclid(1000), risk.at(horizon_s))] });
                }
            }
        }
        found
    }

    /// What a model expected of the metric that a selector names.
    fn expected(&self, need: &Need) -> Result<Vec<Series>, Error> {
        let equal = |name: &str| {
            let found = need.matchers.iter().find(|one| one.name == name && one.relation == Relation::Equal);
            found.map(|one| one.value.clone())
        };
        let Some(name) = equal(NAME).filter(|name| EXPECTED.contains(&name.as_str())) else {
            return Ok(Vec::new());
        };
        let Some(key) = equal("metric") else {
            return Err(Error::Execution(format!(
                "{name} needs a matcher metric=\"...\": the key of one metric"
            )));
        };
        let mut found = Vec::new();
        for (id, mut labels) in self.candidates(&need.matchers) {
            labels.set(NAME, &name);
            labels.set("metric", &key);
            if !Matcher::all(&need.matchers, &labels) {
                continue;
            }
            let query = WindowQuery {
                instance: id,
                metrics: vec![key.clone()],
                from: micros(need.from_ms),
                to: micros(need.to_ms),
                points: EXPECTED_POINTS,
            };
            let view = self.pipeline.window(&query).map_err(|error| Error::Execution(error.to_string()))?;
            for series in view.series {
                let values = if name == EXPECTED[0] { &series.expected } else { &series.scale };
                let points = series.at_us.iter().map(|at| at.div_euclid(1000)).zip(values.iter().copied());
                let points = points.filter(|(_, value)| value.is_finite()).collect();
                found.push(Series { labels: labels.clone(), points });
            }
        }
        Ok(found)
    }
}

impl Source for Handle {
    fn read(&self, need: &Need) -> Result<Vec<Series>, Error> {
        let mut found = self.expected(need)?;
        let (mut read, mut samples, mut series) = (Vec::new(), 0, found.len());
        let within = need.from_ms..=need.to_ms;
        // Those that lie side by side in the files are read one after another.
        let mut candidates = self.candidates(&need.matchers);
        candidates.sort_by(|(a, _), (b, _)| (a.partition().0, a).cmp(&(b.partition().0, b)));
        for (id, identity) in candidates {
            let mut some = self.stored(&id, &identity, need)?;
            some.extend(self.risks_of(&id, &identity, &need.matchers));
            some.retain(|series| series.points.iter().any(|(at, _)| within.contains(at)));
            samples += some.iter().map(|series| series.points.len()).sum::<usize>();
            series += some.len();
            read.push((id, some));
            if samples > MOST_SAMPLES {
                let why = format!(
                    "a selector brings more than {MOST_SAMPLES} samples; ask for less time or fewer series"
                );
                return Err(Error::TooMuch(why));
            }
            if series > MOST_SERIES {
                return Err(too_many());
            }
        }
        read.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.extend(read.into_iter().flat_map(|(_, some)| some));
        Ok(found)
    }
}

fn too_many() -> Error {
    Error::TooMuch(format!("more than {MOST_SERIES} series; name a metric or an instance"))
}

fn micros(ms: i64) -> Timestamp {
    Timestamp(ms.clamp(-253_402_300_800_000, 253_402_300_800_000) * 1000)
}

/// Columns of a schema whose labels match.
fn columns(schema: &Schema, identity: &Labels, matchers: &[Matcher]) -> Vec<Column> {
    // Names are compared before labels are made: most columns fail there.
    let named: Vec<&Matcher> = matchers.iter().filter(|matcher| matcher.name == NAME).collect();
    let mut columns = Vec::new();
    // What Foretwin notes of a frame that was received is not what its sender sent.
    for metric in &schema.metrics()[usize::from(is_received(schema))..] {
        let name = legal(&metric.name, true);
        if !named.iter().all(|matcher| matcher.accepts(&name)) {
            continue;
        }
        let labels = labels(identity, metric);
        if Matcher::all(matchers, &labels) {
            columns.push(Column { key: metric.key(), labels });
        }
    }
    columns
}

/// Whether the last frame of a window has a value in each column.
fn is_whole(window: &Window, columns: &[Column]) -> bool {
    let last = window.len().checked_sub(1);
    last.is_some_and(|last| {
        columns.iter().all(|column| {
            let at = window.schema.column(&column.key);
            at.is_some_and(|at| !window.columns[at][last].is_missing())
        })
    })
}

/// The points of a column. Of a schema whose frames have parts, a value that two later frames lack has ended.
fn points(window: &Window, column: usize, received: bool) -> Vec<(i64, f64)> {
    let storage = window.schema.metrics()[column].storage;
    let mut points: Vec<(i64, f64)> = Vec::new();
    let (mut missing, mut step_ms) = (0, 0);
    for (at, value) in window.times.iter().zip(&window.columns[column]) {
        let at_ms = at.0.div_euclid(1000);
        if value.is_missing() {
            missing += 1;
            let Some(&(last, before)) = points.last().filter(|_| received) else { continue };
            let silent = step_ms > 0 && at_ms - last > ENDED_STEPS * step_ms + step_ms / 2;
            if missing >= ENDED_STEPS && silent && !foretwin_query::is_stale(before) {
                points.push((at_ms, f64::from_bits(foretwin_query::STALE_BITS)));
            }
            continue;
        }
        if let Some(&(last, before)) = points.last()
            && !foretwin_query::is_stale(before)
        {
            step_ms = at_ms - last;
        }
        missing = 0;
        points.push((at_ms, value.to_f64(storage)));
    }
    points
}

#[cfg(test)]
mod tests {
    use foretwin_core::{MISSING, Role, Storage, Value};

    use super::*;

    #[test]
    fn names_and_labels_are_as_prometheus_allows() {
        let metric =
            Metric::counter("system.cpu.time", "s", Role::Rate).with("cpu.mode", "user").with("job", "x");
        let own = identity(&InstanceId::new("h"), None);
        let labels = labels(&own, &metric);
        let shown: Vec<(&str, &str)> = labels.iter().collect();
        let expected = [
            ("__name__", "system_cpu_time"),
            ("cpu_mode", "user"),
            ("exported_job", "x"),
            ("instance", "h"),
            ("job", "foretwin"),
        ];
        assert_eq!(shown, expected);
        assert_eq!((legal("5xx", true), legal("a:b", false)), ("_5xx".into(), "a_b".into()));
    }

    #[test]
    fn a_received_instance_keeps_the_labels_it_came_with() {
        let mut instance =
            Instance::new("h:1/node", foretwin_core::InstanceKind::Application, "h", "prometheus:node");
        instance.labels = [("instance", "h:1"), ("job", "node"), (RECEIVED, "prometheus")]
            .map(|(a, b)| (a.into(), b.into()))
            .into();
        let labels = identity(&instance.id, Some(&instance));
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("instance", "h:1"), ("job", "node")]);
    }

    #[test]
    fn a_series_ends_where_later_frames_lack_it() {
        let metric = Metric::gauge("a", "1", Role::Rate).stored(Storage::F64);
        let mut window = Window::new(InstanceId::new("i"), Schema::new(vec![metric]));
        for (second, value) in
            [(0, 1.0), (15, 2.0), (30, f64::NAN), (45, f64::NAN), (60, f64::NAN), (75, 3.0)]
        {
            let value = if value.is_nan() { MISSING } else { Value::float(value) };
            window.push(Timestamp::from_seconds(f64::from(second)), &[value]);
        }
        let ended: Vec<(i64, bool)> = points(&window, 0, true)
            .iter()
            .map(|(at, value)| (*at, foretwin_query::is_stale(*value)))
            .collect();
        assert_eq!(ended, [(0, false), (15_000, false), (60_000, true), (75_000, false)]);
        assert_eq!(points(&window, 0, false).len(), 3);
    }
}
