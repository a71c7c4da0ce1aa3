//! Asks a running Foretwin what it foresees, and keeps every answer.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http::Server;
use crate::scenario::{FailureKind, Scenario};

/// One prediction as it was told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// When it was asked for, seconds since the epoch.
    pub at: f64,
    /// Of whom.
    pub instance: String,
    /// Probability of failing by any mode within the default horizon.
    pub probability: f64,
    /// How much supports it.
    pub confidence: f64,
    /// The mode looked at: that of the scenario where there is such a risk, otherwise the likeliest.
    pub mode: String,
    /// Its metric.
    pub metric: String,
    /// Where that stands.
    pub used: f64,
    /// Its limit.
    pub limit: f64,
    /// Seconds until one in ten fails; nothing for never.
    pub p10: Option<f64>,
    /// Seconds until half fail.
    pub p50: Option<f64>,
    /// Seconds until nine in ten fail.
    pub p90: Option<f64>,
    /// Probability that it never fails.
    pub never: f64,
    /// Horizons and probabilities, `60:0.1;300:0.2`.
    pub within: String,
    /// Class of the likeliest cause, and the first action; empty where none is told.
    pub cause: String,
    pub action: String,
}

/// Which of the risks of an instance is looked at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aim {
    /// Its mode; where there is no such risk, the likeliest counts.
    mode: Option<&'static str>,
    /// What its metric has to hold, for a resource that an instance shares with others.
    place: Option<String>,
}

impl Aim {
    /// At how a scenario fails, in a place where it is not the instance's own resource.
    pub fn of(scenario: Scenario, place: Option<String>) -> Self {
        Self { mode: scenario.meant().mode(), place }
    }

    /// Memory of the instance itself.
    pub fn memory() -> Self {
        Self { mode: FailureKind::Oom.mode(), place: None }
    }

    fn risk<'a>(&self, risks: &'a [Value]) -> Option<&'a Value> {
        let is_there = |risk: &&Value| {
            let metric = risk["metric"].as_str().unwrap_or_default();
            self.place.as_ref().is_none_or(|place| metric.contains(place.as_str()))
        };
        let found =
            risks.iter().filter(is_there).find(|risk| self.mode.is_some_and(|mode| risk["mode"] == mode));
        if self.place.is_some() { found } else { found.or(risks.first()) }
    }
}

impl Told {
    /// Reads what a prediction says at which risk is aimed; nothing if it states no probability.
    pub fn read(at: f64, instance: &str, (answer, aim): (&Value, &Aim)) -> Option<Self> {
        let stated = answer["failure_probability"].as_f64()?;
        let risks = answer["risks"].as_array().map_or(&[][..], Vec::as_slice);
        let nothing = Value::Null;
        let risk = aim.risk(risks).unwrap_or(&nothing);
        // Of an instance with resources of many, only the one in question speaks.
        let own = || horizon(&risk["within"], answer["horizon_s"].as_f64()?);
        let probability = if aim.place.is_some() { own().unwrap_or(0.0) } else { stated };
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let time = &risk["time_to_failure"];
        Some(Self {
            at,
            instance: instance.into(),
            probability,
            confidence: number(&answer["confidence"]),
            mode: text(&risk["mode"]),
            metric: text(&risk["metric"]),
            used: number(&risk["used"]),
            limit: number(&risk["limit"]),
            p10: time["p10"].as_f64(),
            p50: time["p50"].as_f64(),
            p90: time["p90"].as_f64(),
            never: number(&risk["never"]),
            within: horizons(&risk["within"]),
            cause: text(&answer["root_causes"][0]["class"]),
            action: text(&answer["recommended_actions"][0]["action"]),
        })
    }

    fn line(&self, phase: &str) -> String {
        let time = |quantile: Option<f64>| quantile.map_or("inf".into(), |seconds| format!("{seconds:.2}"));
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        [
            phase.into(),
            format!("{:.3}", self.at),
            quoted(&self.instance),
            format!("{:.6}", self.probability),
            self.confidence.to_string(),
            self.mode.clone(),
            quoted(&self.metric),
            self.used.to_string(),
            self.limit.to_string(),
            time(self.p10),
            time(self.p50),
            time(self.p90),
            self.never.to_string(),
            self.within.clone(),
            self.cause.clone(),
            self.action.clone(),
        ]
        .join(",")
    }
}

const HEADER: &str = "phase,unix_s,instance,failure_probability,confidence,mode,metric,used,limit,p10,p50,p90,never,within,cause,action";

/// The probability at a horizon that is stated.
fn horizon(within: &Value, horizon_s: f64) -> Option<f64> {
    let pairs = within.as_array()?.iter();
    pairs.filter(|pair| pair[0].as_f64() == Some(horizon_s)).find_map(|pair| pair[1].as_f64())
}

fn horizons(within: &Value) -> String {
    let pairs = within.as_array().map_or(&[][..], Vec::as_slice);
    pairs.iter().map(|pair| format!("{}:{}", pair[0], pair[1])).collect::<Vec<_>>().join(";")
}

/// A Foretwin, and the file that keeps what it told.
pub struct Oracle {
    server: Server,
    kept: Mutex<File>,
}

/// Seconds since the epoch.
pub fn unix_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl Oracle {
    /// Begins `predictions.csv` in a directory.
    ///
    /// # Errors
    /// If the file cannot be made, or the server does not answer.
    pub fn open(server: Server, out: &Path) -> Result<Self> {
        std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
        let path = out.join("predictions.csv");
        let mut kept = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        writeln!(kept, "{HEADER}").with_context(|| format!("writing {}", path.display()))?;
        let oracle = Self { server, kept: Mutex::new(kept) };
        oracle.instances()?;
        Ok(oracle)
    }

    /// Names of all watched instances.
    ///
    /// # Errors
    /// If the server does not tell.
    pub fn instances(&self) -> Result<Vec<String>> {
        let body = self.server.get("/api/v1/instances")?.success()?;
        let list = [&body, &body["instances"], &body["items"]].into_iter().find_map(Value::as_array);
        let list = list.context("GET /api/v1/instances gave no list")?;
        let name = |one: &Value| {
            one.as_str().or(one["id"].as_str()).or(one["instance"]["id"].as_str()).map(Into::into)
        };
        Ok(list.iter().filter_map(name).collect())
    }

    /// The prediction of one instance, which is kept; nothing while it is unknown.
    ///
    /// # Errors
    /// If the server fails, or the answer cannot be kept.
    pub fn ask(&self, phase: &str, (instance, aim): (&str, &Aim)) -> Result<Option<Told>> {
        let at = unix_s();
        let answer = self.server.post("/api/v1/twin/predict", &json!({ "instance": instance }))?;
        if answer.status == 404 {
            return Ok(None);
        }
        let Some(told) = Told::read(at, instance, (&answer.success()?, aim)) else { return Ok(None) };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(kept, "{}", told.line(phase)).context("writing predictions.csv")?;
        Ok(Some(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fake;

    #[test]
    fn predictions_are_read_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let url = fake::serve(|path, body| match path {
            "/api/v1/instances" => {
                (200, json!({"instances": [{"id": "h"}, {"id": "h/foretwin-lab/linear-1"}]}))
            }
            _ if body.contains("nobody") => (404, json!({"code": "unknown_instance"})),
            _ => (200, fake::prediction(0.75, (10.0, 20.0, None))),
        });
        let oracle = Oracle::open(Server::parse(&url).unwrap(), dir.path()).unwrap();
        assert_eq!(oracle.instances().unwrap(), ["h", "h/foretwin-lab/linear-1"]);
        let told = oracle.ask("leak", ("h", &Aim::memory())).unwrap().unwrap();
        assert_eq!((told.probability, told.p10, told.p50, told.p90), (0.75, Some(10.0), Some(20.0), None));
        assert_eq!(told.mode, "memory_exhaustion");
        assert_eq!((told.cause.as_str(), told.action.as_str()), ("leak", "restart"));
        assert!(oracle.ask("leak", ("nobody", &Aim::memory())).unwrap().is_none());
        let kept = std::fs::read_to_string(dir.path().join("predictions.csv")).unwrap();
        let lines: Vec<&str> = kept.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].split(',').count(), lines[0].split(',').count());
        assert!(lines[1].contains(",10.00,20.00,inf,"));
    }

    #[test]
    fn a_shared_resource_speaks_for_itself_only() {
        let disk = |point: &str, p: f64| {
            json!({"mode": "disk_full", "metric": format!("system.filesystem.usage{{mountpoint={point}}}"),
                "within": [[3600.0, p]], "time_to_failure": {"p50": 9.0}})
        };
        let answer = json!({"failure_probability": 0.9, "horizon_s": 3600.0,
            "risks": [disk("/", 0.8), disk("/run/disk_fill-1.disk", 0.3)]});
        let aim = |place: &str| Aim::of(Scenario::DiskFill, Some(place.into()));
        let told = |aim: &Aim| Told::read(0.0, "h", (&answer, aim)).unwrap();
        assert_eq!(told(&aim("/disk_fill-1.disk")).probability, 0.3);
        let elsewhere = told(&aim("/disk_fill-2.disk"));
        assert_eq!((elsewhere.probability, elsewhere.p50), (0.0, None));
        assert_eq!(told(&Aim::memory()).mode, "disk_full", "without memory the likeliest counts");
        assert_eq!(told(&Aim::memory()).probability, 0.9);
    }
}
