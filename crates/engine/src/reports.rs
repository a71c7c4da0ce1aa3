//! Operating information reports: made here or handed in, kept as immutable documents, held against the known issues.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foretwin_core::{
    Action, FailureProbability, Flag, InstanceId, Learning, Phase, Prediction, REPORT_VERSION, ReportId,
    Severity, Timestamp, fnv64,
};
use foretwin_disk::Disk;
use foretwin_foresee::{Issues, Rule, recurrence};
use foretwin_store::Blobs;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Error;
use crate::handle::Handle;
use crate::past::Past;

/// The folder of reports below the data directory.
const FOLDER: &str = "reports";

/// Reports whose known issues are signs after a start: reading more would delay it.
const RECALLED: usize = 200;

/// What is known of issues, and how many reports are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directory of rule files (`*.toml`) beside those that come with Foretwin; empty: none.
    pub rules_dir: PathBuf,
    /// Reports that are kept; beyond it the oldest go.
    pub keep: usize,
    /// A report of the node's own machine is made every so many seconds, the first ten minutes after a start; 0: only when
    /// one is asked for.
    pub every_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { rules_dir: PathBuf::new(), keep: 1000, every_s: 86_400 }
    }
}

impl Config {
    /// The known issues, those of the operator's files among them.
    ///
    /// # Errors
    /// If a file cannot be read or used.
    pub fn issues(&self) -> Result<Issues, Error> {
        let mut texts = Vec::new();
        if self.rules_dir != Path::new("") {
            let failed = |path: &Path| {
                let path = path.to_path_buf();
                |source| Error::File { operation: "reading the rules in", path, source }
            };
            for entry in fs::read_dir(&self.rules_dir).map_err(failed(&self.rules_dir))?.flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|ends| ends == "toml") {
                    let text = fs::read_to_string(&path).map_err(failed(&path))?;
                    texts.push((path.display().to_string(), text));
                }
            }
        }
        texts.sort();
        Ok(Issues::new(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))?)
    }
}

/// A report with what was found in it.
#[derive(Debug, Clone, Serialize)]
pub struct ReportView {
    /// Its name.
    pub id: ReportId,
    /// Of whom it is.
    pub instance: InstanceId,
    /// When it was made.
    pub at_us: Timestamp,
    /// Known issues in it, worst first.
    pub flags: Vec<Flag>,
    /// What it says.
    pub document: Value,
}

/// A known issue at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct IssueView {
    /// The rule's name.
    pub id: String,
    /// What it says is wrong.
    pub title: String,
    /// How bad it says that is.
    pub severity: Severity,
}

/// The reports of a node.
pub(crate) struct Reports {
    blobs: Blobs,
    issues: Issues,
    keep: usize,
}

impl Reports {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, config: &Config) -> Result<Self, Error> {
        let blobs = Blobs::new(disk, dir);
        blobs.sweep(FOLDER)?;
        Ok(Self { blobs, issues: config.issues()?, keep: config.keep.max(1) })
    }

    /// Keeps a document. Its name begins with its time, so that names sort by it.
    fn keep(&self, document: &Value) -> Result<ReportView, Error> {
        let (instance, at) = head(document)?;
        let text = document.to_string();
        let id = ReportId(format!("{:016x}-{:016x}", at.0.max(0), fnv64(text.as_bytes())));
        // The same report handed in again is the same report.
        let _is_new = self.blobs.create(&format!("{FOLDER}/{id}"), text.as_bytes())?;
        self.prune()?;
        Ok(ReportView {
            flags: self.issues.flags(document),
            id,
            instance,
            at_us: at,
            document: document.clone(),
        })
    }

    fn prune(&self) -> Result<(), Error> {
        let names = self.names()?;
        for old in &names[..names.len().saturating_sub(self.keep)] {
            self.blobs.delete(&format!("{FOLDER}/{old}"))?;
        }
        Ok(())
    }

    /// Has `past` know what the latest reports flag; one that cannot be read flags nothing.
    pub(crate) fn recall(&self, past: &Past) -> Result<(), Error> {
        for name in self.names()?.into_iter().rev().take(RECALLED) {
            if let Ok(view) = self.get(&ReportId(name)) {
                past.report(&view.instance, view.at_us, &view.flags);
            }
        }
        Ok(())
    }

    /// Oldest first.
    fn names(&self) -> Result<Vec<String>, Error> {
        let prefix = format!("{FOLDER}/");
        let names = self.blobs.list(&prefix)?;
        Ok(names.iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    fn get(&self, id: &ReportId) -> Result<ReportView, Error> {
        let unknown = || Error::UnknownReport(id.clone());
        // A name from outside must not lead out of the folder.
        let is_name = id.0.len() == 33 && id.0.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let bytes = if is_name { self.blobs.read(&format!("{FOLDER}/{id}"))? } else { None };
        let document: Value = serde_json::from_slice(&bytes.ok_or_else(unknown)?).map_err(|_| unknown())?;
        let (instance, at_us) = head(&document)?;
        Ok(ReportView { id: id.clone(), flags: self.issues.flags(&document), instance, at_us, document })
    }
}

/// Of whom a document is, and when it was made.
fn head(document: &Value) -> Result<(InstanceId, Timestamp), Error> {
    let refused = |text: &str| Error::Refused(text.into());
    if document["version"].as_u64() != Some(u64::from(REPORT_VERSION)) {
        return Err(Error::Refused(format!("version: reports of version {REPORT_VERSION} are read here")));
    }
    let instance = document["instance"].as_str().filter(|name| !name.is_empty() && name.len() <= 512);
    let instance =
        instance.ok_or_else(|| refused("instance: the name of the instance it is of is missing"))?;
    let at = document["at_us"].as_i64().filter(|at| *at > 0);
    let at = at.ok_or_else(|| refused("at_us: when it was made, in microseconds since 1970, is missing"))?;
    Ok((InstanceId::new(instance), Timestamp(at)))
}

/// The answer where there is no telemetry.
fn from_report_alone(
    report: &ReportView,
    horizon_s: f64,
    config: &foretwin_foresee::Config,
) -> Result<Prediction, Error> {
    let (probability, failures) = recurrence(&report.document, horizon_s);
    let config = config.clone().with_horizon(horizon_s);
    let at = |horizon_s: f64| FailureProbability {
        horizon_s,
        probability: recurrence(&report.document, horizon_s).0,
    };
    Ok(Prediction {
        instance: report.instance.clone(),
        at: report.at_us,
        horizon_s,
        failure_probability: probability,
        // One moment and a count are little to go by, and say nothing of how things move.
        confidence: 0.1,
        root_causes: Vec::new(),
        recommended_actions: Vec::new(),
        probabilities: config.horizons_s.iter().map(|&horizon_s| at(horizon_s)).collect(),
        risks: Vec::new(),
        anomaly: None,
        learning: Learning {
            phase: Phase::Gathering,
            progress: 0.0,
            model_version: 0,
            message: format!("no telemetry: from {failures:.0} failures in the week before the report"),
        },
        contrast: None,
        calibration: None,
        report_id: None,
        flags: Vec::new(),
    })
}

impl Handle {
    /// Makes a report of the machine this node runs on, and keeps it. Takes a second and more.
    ///
    /// # Errors
    /// If the node does not collect, or the disk refuses.
    pub fn make_report(&self) -> Result<ReportView, Error> {
        self.make_report_telling(&|_| ())
    }

    /// The same, telling how far it is.
    pub(crate) fn make_report_telling(&self, told: &dyn Fn(f64)) -> Result<ReportView, Error> {
        let host = self.own_host()?;
        let mut document = foretwin_collect::report::gather_telling(host.as_str(), self.now(), told);
        document["telemetry"] = self.summary(&host);
        self.keep_report(&document)
    }

    /// Takes a report that was made elsewhere.
    ///
    /// # Errors
    /// If it does not say of whom and when it is, or the disk refuses.
    pub fn submit_report(&self, mut document: Value) -> Result<ReportView, Error> {
        foretwin_collect::report::redact(&mut document);
        self.keep_report(&document)
    }

    /// Keeps a report; what it flags is a sign for what learns from failures.
    fn keep_report(&self, document: &Value) -> Result<ReportView, Error> {
        let view = self.reports.keep(document)?;
        self.pipeline.past.report(&view.instance, view.at_us, &view.flags);
        Ok(view)
    }

    /// A report by its name.
    ///
    /// # Errors
    /// If there is none.
    pub fn report(&self, id: &ReportId) -> Result<ReportView, Error> {
        self.reports.get(id)
    }

    /// What a report says will fail: what telemetry says, where the instance has any, else how often it has failed lately;
    /// known issues of the report stand beside it, and what to do about them.
    ///
    /// # Errors
    /// If there is no such report.
    pub fn predict_report(&self, id: &ReportId, horizon_s: f64) -> Result<Prediction, Error> {
        let report = self.report(id)?;
        let mut prediction = match self.predict(&report.instance, horizon_s) {
            Ok(prediction) => prediction,
            Err(Error::UnknownInstance(_)) => {
                from_report_alone(&report, horizon_s, &self.pipeline.config.foresee)?
            }
            Err(error) => return Err(error),
        };
        let actions = report.flags.iter().map(|flag| Action {
            action: flag.rule.clone(),
            description: flag.solution.clone(),
            expected_effect: format!("averts: {}", flag.risk),
        });
        prediction.recommended_actions.extend(actions);
        (prediction.report_id, prediction.flags) = (Some(report.id), report.flags);
        Ok(prediction)
    }

    /// Names of the reports kept, newest first.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn reports(&self) -> Result<Vec<ReportId>, Error> {
        Ok(self.reports.names()?.into_iter().rev().map(ReportId).collect())
    }

    /// The known issues that reports are held against.
    #[must_use]
    pub fn issues(&self) -> Vec<IssueView> {
        let view = |rule: &Rule| IssueView {
            id: rule.id().to_owned(),
            title: rule.title().to_owned(),
            severity: rule.severity(),
        };
        self.reports.issues.rules().iter().map(view).collect()
    }

    fn own_host(&self) -> Result<InstanceId, Error> {
        let host = self.pipeline.config.collect.host.clone();
        let name = if host.is_empty() { foretwin_collect::machine::host_name() } else { Ok(host) };
        let name = name.map_err(|source| Error::Collect { source })?;
        if !self.collects {
            let advice = "this node does not collect: hand in a report with `foretwin report --server`";
            return Err(Error::Refused(advice.into()));
        }
        Ok(InstanceId::new(&name))
    }

    /// What its telemetry says at the same moment.
    fn summary(&self, id: &InstanceId) -> Value {
        let Ok(view) = self.instance(id) else { return json!({}) };
        json!({
            "score": view.score,
            "failure_probability_1h": view.failure_probability,
            "learning": view.learning,
            "contributions": view.judgement.map(|judged| judged.contributions),
        })
    }
}

#[cfg(test)]
mod tests {
    use foretwin_disk::SimDisk;

    use super::*;

    fn reports(keep: usize) -> Reports {
        let config = Config { keep, ..Config::default() };
        Reports::open(Arc::new(SimDisk::new(1)), Path::new("/data"), &config).unwrap()
    }

    fn document(at_us: i64, zombies: u32) -> Value {
        json!({"version": 1, "instance": "web-1", "at_us": at_us, "processes": {"zombies": zombies}})
    }

    #[test]
    fn reports_are_kept_flagged_and_pruned_oldest_first() {
        let reports = reports(2);
        let first = reports.keep(&document(1_000, 0)).unwrap();
        assert!(first.flags.is_empty());
        let second = reports.keep(&document(2_000, 900)).unwrap();
        assert_eq!(second.flags[0].rule, "zombie-storm");
        assert_eq!(reports.keep(&document(2_000, 900)).unwrap().id, second.id, "the same again");
        reports.keep(&document(3_000, 0)).unwrap();
        assert!(matches!(reports.get(&first.id), Err(Error::UnknownReport(_))));
        assert_eq!(reports.get(&second.id).unwrap().document, document(2_000, 900));
    }

    #[test]
    fn names_lead_nowhere_else_and_documents_say_what_they_lack() {
        let reports = reports(2);
        for name in ["../../../etc/passwd", "", "00000000000000010-0000000000000000", "é"] {
            assert!(matches!(reports.get(&ReportId(name.into())), Err(Error::UnknownReport(_))), "{name}");
        }
        for (field, value) in [("version", json!(7)), ("instance", json!("")), ("at_us", json!("now"))] {
            let mut broken = document(5, 0);
            broken[field] = value;
            let error = reports.keep(&broken).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
        assert!(reports.keep(&json!([])).is_err());
    }
}
