//! Recorded faults: a manifest that names files, times and topology, and the scenes that they make.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use foretwin_foresee::diagnosis::{Link, Relation, Scene, Signal, is_shared};
use serde::Deserialize;

use crate::table::{self, Table};

/// Rows just before a fault that show what was usual then.
const RECENT: usize = 10;
/// They must be no older than this many rows' time: a file may have gaps.
const RECENT_STEPS: f64 = 15.0;

/// One case of `manifest.json`. What the diagnosis may not know, it is never handed.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    pub id: String,
    #[serde(default)]
    pub dataset: String,
    file: String,
    #[serde(default)]
    normal_file: Option<String>,
    pub fault_time: f64,
    #[serde(default)]
    pub anomalous_window: Option<[f64; 2]>,
    #[serde(default)]
    normal_windows: Option<Vec<[f64; 2]>>,
    #[serde(default)]
    excluded_windows: Option<String>,
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    topology: Option<String>,
    /// Only read by cross-validation.
    #[serde(default)]
    pub root_cause_nodes: Vec<String>,
}

impl Case {
    /// The same case with its fault noticed later.
    pub fn late(&self, seconds: f64) -> Self {
        let mut late = self.clone();
        late.fault_time += seconds;
        late.anomalous_window = late.anomalous_window.map(|window| window.map(|end| end + seconds));
        late
    }
}

#[derive(Debug, Deserialize)]
struct Manifest {
    cases: Vec<Case>,
}

/// Who calls whom, and who runs on what, by name.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Topology {
    #[serde(default)]
    pub nodes: Vec<String>,
    #[serde(default)]
    pub edges: Vec<(String, String)>,
}

/// A directory of cases; files are read once.
pub struct Dataset {
    root: PathBuf,
    pub cases: Vec<Case>,
    tables: HashMap<String, Rc<Table>>,
}

impl Dataset {
    pub fn open(root: &Path) -> Result<Self> {
        let manifest: Manifest = read_json(&root.join("manifest.json")).context("--data")?;
        if manifest.cases.is_empty() {
            bail!("--data: manifest.json lists no cases");
        }
        Ok(Self { root: root.into(), cases: manifest.cases, tables: HashMap::new() })
    }

    fn table(&mut self, file: &str) -> Result<Rc<Table>> {
        if let Some(table) = self.tables.get(file) {
            return Ok(table.clone());
        }
        let table = Rc::new(table::read(&self.root.join(file))?);
        self.tables.insert(file.into(), table.clone());
        Ok(table)
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
}

/// What may be known of a case: which rows are what, and the topology.
pub struct View {
    file: Rc<Table>,
    normal_file: Option<Rc<Table>>,
    normal: Vec<usize>,
    recent: Vec<usize>,
    window: Vec<usize>,
    target: Option<String>,
    pub topology: Topology,
}

impl View {
    pub fn of(data: &mut Dataset, case: &Case) -> Result<Self> {
        let file = data.table(&case.file)?;
        let normal_file = case.normal_file.as_deref().map(|name| data.table(name)).transpose()?;
        let excluded: Vec<[f64; 2]> = match &case.excluded_windows {
            Some(name) => read_json(&data.root.join(name))?,
            None => Vec::new(),
        };
        let topology = match &case.topology {
            Some(name) => read_json(&data.root.join(name))?,
            None => Topology::default(),
        };
        let window = during(case, &file.times);
        if window.is_empty() {
            bail!("case {}: no row of {} is at or after its fault", case.id, case.file);
        }
        let normal = match &normal_file {
            Some(table) => (0..table.times.len()).collect(),
            None => usual(case, &file.times, &window, &excluded),
        };
        let recent = before(&file.times, window[0]);
        Ok(Self { file, normal_file, normal, recent, window, target: case.target.clone(), topology })
    }

    /// The scene under a topology, which may be another than the recorded one.
    pub fn scene(&self, topology: &Topology) -> Scene {
        let other = self.normal_file.iter().flat_map(|table| &table.names);
        let names: BTreeSet<&String> = self.file.names.iter().chain(other).collect();
        let split = |name: &str| match name.split_once('|') {
            Some((node, metric)) => (node.to_owned(), metric.to_owned()),
            None => (name.to_owned(), name.to_owned()),
        };
        let measured: BTreeSet<String> = names.iter().map(|name| split(name).0).collect();
        let mut scene = Scene { nodes: measured.iter().cloned().collect(), ..Scene::default() };
        let silent: BTreeSet<&String> = topology
            .edges
            .iter()
            .flat_map(|(from, to)| [from, to])
            .filter(|n| !measured.contains(*n))
            .collect();
        scene.nodes.extend(silent.into_iter().cloned());
        let index: HashMap<String, usize> =
            scene.nodes.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect();
        let (here, there) = (columns(&self.file), columns(self.normal_file.as_ref().unwrap_or(&self.file)));
        for name in names {
            let (node, metric) = split(name);
            if self.target.as_ref() == Some(name) {
                scene.symptom = Some(scene.signals.len());
            }
            let stretches = [
                pick(there.get(name.as_str()), &self.normal),
                pick(here.get(name.as_str()), &self.recent),
                pick(here.get(name.as_str()), &self.window),
            ];
            scene.signals.push(Signal::named(index[&node], &metric, stretches));
        }
        let at = |rows: &[usize]| rows.iter().map(|row| self.file.times[*row]).collect();
        (scene.recent_at_s, scene.window_at_s) = (at(&self.recent), at(&self.window));
        scene.links = links(topology, &scene, &index);
        scene
    }
}

/// Rows of the fault. A file that only holds the fault may have times too coarse to compare.
fn during(case: &Case, times: &[f64]) -> Vec<usize> {
    let (from, to) = match case.anomalous_window {
        Some([from, to]) => (from.max(case.fault_time), to),
        None => (case.fault_time, f64::INFINITY),
    };
    let ascending = times.windows(2).all(|pair| pair[0] < pair[1]);
    let rows = (0..times.len()).filter(|row| times[*row] >= from && times[*row] <= to);
    if case.normal_file.is_some() && !ascending { (0..times.len()).collect() } else { rows.collect() }
}

/// Rows of normal times in the fault's own file: outside of what the manifest excludes, or before the fault.
fn usual(case: &Case, times: &[f64], window: &[usize], excluded: &[[f64; 2]]) -> Vec<usize> {
    let inside = |row: usize, spans: &[[f64; 2]]| {
        spans.iter().any(|[from, to]| times[row] >= *from && times[row] <= *to)
    };
    let rows = (0..times.len()).filter(|row| !window.contains(row));
    match &case.normal_windows {
        Some(spans) => rows.filter(|row| inside(*row, spans)).collect(),
        None if excluded.is_empty() => rows.filter(|row| times[*row] < case.fault_time).collect(),
        None => rows.filter(|row| !inside(*row, excluded)).collect(),
    }
}

/// The rows just before the first of the fault.
fn before(times: &[f64], first: usize) -> Vec<usize> {
    let earlier = &times[..first];
    let mut steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_by(f64::total_cmp);
    let step = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
    let near = |row: &usize| times[first] - times[*row] <= RECENT_STEPS * step;
    (earlier.len().saturating_sub(RECENT)..earlier.len()).filter(near).collect()
}

fn columns(table: &Table) -> HashMap<&str, &[f64]> {
    table.names.iter().map(String::as_str).zip(table.columns.iter().map(Vec::as_slice)).collect()
}

/// Rows of a column; what a file does not have is missing.
fn pick(column: Option<&&[f64]>, rows: &[usize]) -> Vec<f64> {
    rows.iter().map(|row| column.map_or(f64::NAN, |column| column[*row])).collect()
}

/// What nothing is measured of, what calls nothing, and what is used by pods that report their machine's load, is that
/// machine; every other edge is a call.
fn links(topology: &Topology, scene: &Scene, index: &HashMap<String, usize>) -> Vec<Link> {
    let reports =
        |node: usize| scene.signals.iter().any(|signal| signal.node == node && is_shared(&signal.metric));
    let measured = |node: usize| scene.signals.iter().any(|signal| signal.node == node);
    let link = |(from, to): &(String, String)| {
        let (from, to) = (*index.get(from)?, *index.get(to)?);
        let machine = !measured(to) && (reports(from) || !measured(from));
        Some(Link { from, to, relation: if machine { Relation::RunsOn } else { Relation::Calls } })
    };
    topology.edges.iter().filter_map(link).collect()
}
