//! Judges what a replay of recorded runs would have said: would it have warned, when, of what, and with what advice?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use super::poll::{Aim, Told};
use super::score::{self, Foreseen, Part};
use super::{keep, recordings};
use crate::record::read_runs;
use crate::run::Ending;
use crate::scenario::{FailureKind, Scenario};

/// What the judge of replays does.
#[derive(Debug, Clone, clap::Args)]
pub struct ReplaysConfig {
    /// Directory with telemetry.parquet and runs.csv, as `campaign` leaves it
    #[arg(long)]
    pub runs: PathBuf,
    /// The Foretwin that replays
    #[arg(long, default_value = "foretwin")]
    pub foretwin: PathBuf,
    /// Where recordings, predictions and the judgement go
    #[arg(long)]
    pub out: PathBuf,
}

/// What was found of one run.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// What happened in it.
    pub scenario: Scenario,
    /// How its end was foreseen.
    #[serde(flatten)]
    pub foreseen: Foreseen,
    /// Seconds from the first alert about the failure that came to that failure.
    pub alert_lead_s: Option<f64>,
    /// Seconds from the onset to that alert.
    pub alert_after_onset_s: Option<f64>,
    /// Alerts about something else, or before the onset.
    pub other_alerts: usize,
    /// Kinds of all alerts with the seconds since the run's start.
    pub alerts: Vec<(String, f64)>,
    /// Class and first action of the first alert about the failure.
    pub class: Option<String>,
    pub action: Option<String>,
    /// Whether they are what the failure asks for.
    pub class_right: Option<bool>,
    pub action_right: Option<bool>,
}

/// All runs of one kind in a few numbers; pairs are "how many, of how many".
#[derive(Debug, Clone, Serialize)]
pub struct Kind {
    pub scenario: Scenario,
    /// Runs, and how many of them failed as meant.
    pub runs: usize,
    pub failed: usize,
    /// Of those that failed, with an alert about it before.
    pub warned: usize,
    /// Median and least lead of those alerts, seconds.
    pub alert_lead_median_s: Option<f64>,
    pub alert_lead_min_s: Option<f64>,
    /// Median lead of a probability that stayed above 0.9, and how many had one.
    pub sure: usize,
    pub sure_lead_median_s: Option<f64>,
    /// Of all statements after the onset, how many had the death between p10 and p90.
    pub covered: Part,
    /// Of the alerts, how many had the right class and first action.
    pub class_right: Part,
    pub action_right: Part,
    /// Runs with an alert that nothing asked for.
    pub falsely_alerted: usize,
}

/// What the judge of replays found.
#[derive(Debug, Clone, Serialize)]
pub struct Replays {
    pub kinds: Vec<Kind>,
    pub runs: Vec<Verdict>,
}

/// Makes recordings of recorded runs, has them replayed, and judges what was said.
///
/// # Errors
/// If the runs cannot be read, Foretwin fails, or nothing can be written.
pub fn judge_replays(config: &ReplaysConfig) -> Result<Replays> {
    let endings = read_runs(&config.runs.join("runs.csv"))?;
    let dir = config.out.join("recordings");
    let written = recordings::write(&config.runs, &endings, &dir)?;
    ensure!(!written.is_empty(), "{}: no run with telemetry", config.runs.display());
    let endings: Vec<&Ending> = endings.iter().filter(|end| written.contains_key(&end.rid)).collect();
    let files: Vec<PathBuf> = endings.iter().map(|end| dir.join(format!("{}.csv", end.rid))).collect();
    let predictions = config.out.join("predictions.jsonl");
    let answer = replay(&config.foretwin, &files, &predictions)?;
    let told = told(&predictions, &endings)?;
    let documents = match &answer["recordings"] {
        Value::Array(all) => all.clone(),
        _ => vec![answer],
    };
    ensure!(
        documents.len() == endings.len(),
        "foretwin told of {} of {} runs",
        documents.len(),
        endings.len()
    );
    let none = Vec::new();
    let mut runs: Vec<Verdict> = endings
        .iter()
        .zip(&documents)
        .map(|(end, document)| verdict(end, told.get(&end.rid).unwrap_or(&none), document))
        .collect();
    runs.sort_by(|a, b| a.foreseen.rid.cmp(&b.foreseen.rid));
    let replays = Replays { kinds: kinds(&runs), runs };
    keep(&config.out, &replays)?;
    Ok(replays)
}

/// Has Foretwin replay recordings; its answer.
fn replay(foretwin: &Path, files: &[PathBuf], predictions: &Path) -> Result<Value> {
    let mut command = Command::new(foretwin);
    command.arg("replay").arg("--json").arg("--predictions").arg(predictions).args(files);
    let done = command.output().with_context(|| format!("starting {}", foretwin.display()))?;
    let words = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{} replay: {}", foretwin.display(), words.trim());
    serde_json::from_slice(&done.stdout).context("foretwin replay spoke no JSON")
}

/// What was said of every run, in order of time.
fn told(path: &Path, endings: &[&Ending]) -> Result<BTreeMap<String, Vec<Told>>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let aims: BTreeMap<&str, Aim> =
        endings.iter().map(|end| (end.rid.as_str(), Aim::of(end.scenario, None))).collect();
    let mut all: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for line in text.lines() {
        let answer: Value = serde_json::from_str(line).context("a prediction is no JSON")?;
        let (Some(instance), Some(at_us)) = (answer["instance"].as_str(), answer["at_us"].as_f64()) else {
            continue;
        };
        let Some(aim) = aims.get(instance) else { continue };
        let one = Told::read(at_us / 1e6, instance, (&answer, aim));
        all.entry(instance.to_owned()).or_default().extend(one);
    }
    Ok(all)
}

fn verdict(end: &Ending, told: &[Told], document: &Value) -> Verdict {
    let foreseen = score::foresee(end, told);
    let alerts = document["alerts"].as_array().map_or(&[][..], Vec::as_slice);
    let since = |alert: &Value| alert["opened_us"].as_f64().unwrap_or(f64::NAN) / 1e6 - end.start_unix;
    let meant = end.scenario.meant();
    let is_meant =
        |alert: &&Value| meant.mode().is_some_and(|mode| alert["mode"] == mode) && since(alert) >= end.onset;
    let right = alerts.iter().find(is_meant);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let class = right.and_then(|alert| text(&alert["class"]));
    let action = right.and_then(|alert| text(&alert["action"]["action"]));
    let failed = end.failure == meant && meant != FailureKind::None;
    let asked = failed || end.scenario == Scenario::FixedLeak;
    Verdict {
        scenario: end.scenario,
        alert_lead_s: right.filter(|_| failed).map(|alert| end.event_time - since(alert)),
        alert_after_onset_s: right.map(|alert| since(alert) - end.onset),
        other_alerts: alerts.iter().filter(|alert| !(asked && is_meant(alert))).count(),
        alerts: alerts.iter().map(|alert| (alert["kind"].to_string(), since(alert))).collect(),
        class_right: right.map(|_| meant.class() == class.as_deref()),
        action_right: right.map(|_| action.as_deref().is_some_and(|name| meant.actions().contains(&name))),
        class,
        action,
        foreseen,
    }
}

/// Sums up by what happened.
fn kinds(runs: &[Verdict]) -> Vec<Kind> {
    let mut names: Vec<Scenario> = runs.iter().map(|run| run.scenario).collect();
    names.sort_by_key(|scenario| scenario.as_str());
    names.dedup();
    names.into_iter().map(|scenario| kind(scenario, runs)).collect()
}

fn kind(scenario: Scenario, runs: &[Verdict]) -> Kind {
    let runs: Vec<&Verdict> = runs.iter().filter(|run| run.scenario == scenario).collect();
    let meant = scenario.meant();
    let failed: Vec<&Verdict> = runs
        .iter()
        .copied()
        .filter(|run| meant != FailureKind::None && run.foreseen.failure == meant.as_str())
        .collect();
    let sorted = |leads: Vec<f64>| {
        let mut leads = leads;
        leads.sort_by(f64::total_cmp);
        leads
    };
    let leads = sorted(failed.iter().filter_map(|run| run.alert_lead_s).collect());
    let sure = sorted(failed.iter().filter_map(|run| run.foreseen.lead_s).collect());
    let sum = |of: fn(&Foreseen) -> usize| failed.iter().map(|run| of(&run.foreseen)).sum();
    Kind {
        scenario,
        runs: runs.len(),
        failed: failed.len(),
        warned: leads.len(),
        alert_lead_median_s: score::median(&leads),
        alert_lead_min_s: leads.first().copied(),
        sure: sure.len(),
        sure_lead_median_s: score::median(&sure),
        covered: (sum(|one| one.origins_covered), sum(|one| one.origins)),
        class_right: score::part(failed.iter().filter_map(|run| run.class_right)),
        action_right: score::part(failed.iter().filter_map(|run| run.action_right)),
        falsely_alerted: runs.iter().filter(|run| run.other_alerts > 0).count(),
    }
}

impl Replays {
    /// As a table, a line for each kind.
    pub fn text(&self) -> String {
        let or_none = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.0}"));
        let part = |(of, all): Part| if all == 0 { "-".into() } else { format!("{of}/{all}") };
        let share = |(of, all): Part| {
            if all == 0 { "-".into() } else { format!("{:.0} %", 100.0 * of as f64 / all as f64) }
        };
        let mut text = String::from(
            "kind             failed warned  lead s (least)  above .9 (lead s)  covered  class   action  false alerts\n",
        );
        for kind in &self.kinds {
            text += &format!(
                "{:<16} {:>6} {:>6} {:>7} {:>7} {:>9} {:>8} {:>9} {:>6} {:>8} {:>9}\n",
                kind.scenario,
                part((kind.failed, kind.runs)),
                kind.warned,
                or_none(kind.alert_lead_median_s),
                format!("({})", or_none(kind.alert_lead_min_s)),
                kind.sure,
                format!("({})", or_none(kind.sure_lead_median_s)),
                share(kind.covered),
                part(kind.class_right),
                part(kind.action_right),
                part((kind.falsely_alerted, kind.runs)),
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fake;
    use serde_json::json;

    fn alert(mode: &str, second: f64, class: &str, action: &str) -> Value {
        json!({"kind": mode, "mode": mode, "opened_us": (1000.0 + second) * 1e6, "class": class,
            "action": {"action": action}})
    }

    #[test]
    fn the_first_alert_about_the_failure_counts_and_what_nothing_asked_for_does_not() {
        let document = json!({"alerts": [
            alert("memory_exhaustion", 5.0, "leak", "restart"),
            alert("disk_full", 50.0, "growth", "free_space"),
            alert("memory_exhaustion", 60.0, "leak", "free_space"),
        ]});
        let run = verdict(&fake::ending(), &[], &document);
        assert_eq!((run.alert_lead_s, run.alert_after_onset_s), (Some(160.0), Some(40.0)));
        assert_eq!((run.class_right, run.action_right), (Some(true), Some(false)));
        assert_eq!(run.other_alerts, 2, "one before the onset, one about a disk");
        let kinds = kinds(&[run]);
        assert_eq!((kinds[0].failed, kinds[0].warned, kinds[0].falsely_alerted), (1, 1, 1));
        let healthy = Ending { scenario: Scenario::Plateau, failure: FailureKind::None, ..fake::ending() };
        let quiet = verdict(&healthy, &[], &json!({"alerts": []}));
        let loud = verdict(&healthy, &[], &document);
        assert_eq!((quiet.other_alerts, loud.other_alerts, loud.alert_lead_s), (0, 3, None));
    }
}
