//! An intervention asked about, and what it would change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::instance::InstanceId;
use crate::risk::Quantiles;
use crate::time::Timestamp;

/// A change of an amount, written `1.5x`, `512MiB` or `2000`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Change {
    /// To this multiple of what it is.
    Times(f64),
    /// To this amount, in the metric's unit.
    To(f64),
}

impl Change {
    /// The amount after the change.
    #[must_use]
    pub fn of(self, amount: f64) -> f64 {
        match self {
            Self::Times(factor) => factor * amount,
            Self::To(amount) => amount,
        }
    }
}

/// Units of bytes, the longer name first.
const UNITS: [(&str, f64); 9] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("B", 1.0),
];

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let number = |digits: &str, scale: f64| {
            let value: f64 = digits.trim().parse().ok()?;
            let value = value * scale;
            (value.is_finite() && value > 0.0).then_some(value)
        };
        let change = if let Some(factor) = text.strip_suffix(['x', 'X']) {
            number(factor, 1.0).map(Self::Times)
        } else {
            let unit = UNITS.iter().find_map(|&(name, scale)| Some((text.strip_suffix(name)?, scale)));
            let (digits, scale) = unit.unwrap_or((text, 1.0));
            number(digits, scale).map(Self::To)
        };
        change.ok_or_else(|| {
            format!("{text:?} is no change: give a factor such as 1.5x, or an amount such as 512MiB or 2000")
        })
    }
}

impl TryFrom<String> for Change {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Change> for String {
    fn from(change: Change) -> Self {
        change.to_string()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(factor) => write!(f, "{factor}x"),
            Self::To(amount) => write!(f, "{amount}"),
        }
    }
}

/// Interventions that are made together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// What it is called in the answer; without one it is described.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Of the memory limit, swap included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Change>,
    /// Of the processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Change>,
    /// Of file systems, bytes and inodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Change>,
    /// Of descriptors, processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<Change>,
    /// Of the load, as a factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Replicas that share the load: before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<(u32, u32)>,
    /// Moved to this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<InstanceId>,
    /// Restarted now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
    /// The suspected leak is fixed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fix: bool,
}

impl Scenario {
    /// Its name, or what it changes.
    #[must_use]
    pub fn title(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let amounts = [
            ("memory", self.memory),
            ("cpu", self.cpu),
            ("disk", self.disk),
            ("descriptors", self.descriptors),
        ];
        let mut parts: Vec<String> =
            amounts.iter().filter_map(|(name, change)| Some(format!("{name} {}", (*change)?))).collect();
        parts.extend(self.load.map(|factor| format!("load {factor}x")));
        parts.extend(self.replicas.map(|(before, after)| format!("replicas {before} to {after}")));
        parts.extend(self.host.as_ref().map(|host| format!("host {host}")));
        parts.extend(self.restart.then(|| "restart".to_owned()));
        parts.extend(self.fix.then(|| "fix of the leak".to_owned()));
        if parts.is_empty() { "nothing changed".into() } else { parts.join(", ") }
    }

    /// What is wrong with it: the field, and what it must be.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.load.is_some_and(|load| !(load.is_finite() && load > 0.0)) {
            return Err(("load", "a factor above 0"));
        }
        if self.replicas.is_some_and(|(before, after)| before == 0 || after == 0) {
            return Err(("replicas", "two numbers of at least 1: before and after"));
        }
        Ok(())
    }
}

/// A number with the interval that holds it eight times in ten.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The median.
    pub value: f64,
    /// One in ten lies below.
    pub low: f64,
    /// One in ten lies above; missing beyond all numbers.
    pub high: Option<f64>,
}

/// What is expected with or without an intervention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Probability of failure within the asked horizon.
    pub probability: f64,
    /// The same at the standard horizons: seconds and probability.
    pub within: Vec<(f64, f64)>,
    /// Time to failure.
    pub time_to_failure: Quantiles,
    /// Probability that it never fails as now foreseen.
    pub never: f64,
}

/// What an intervention is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Benefit {
    /// Nothing is at risk before and after.
    NoRisk,
    /// The failure is unlikely to come at all.
    Cures,
    /// The failure comes later.
    DelaysDoesNotCure,
    /// Nothing changes that matters.
    NoEffect,
    /// The failure comes sooner, or is likelier.
    Hastens,
}

/// The effect of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The scenario in words.
    pub title: String,
    /// As asked.
    pub scenario: Scenario,
    /// Without it.
    pub before: Expected,
    /// With it.
    pub after: Expected,
    /// Change of the probability at the asked horizon, paired.
    pub probability_change: Estimate,
    /// Seconds by which the failure comes later, paired, of futures that fail without it; missing where none does.
    pub delay_s: Option<Estimate>,
    /// In one word.
    pub verdict: Benefit,
    /// What is left of the target host's room, where one was asked for: used and limit after the move, by metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_host: Vec<(String, f64, f64)>,
    /// What the answer rests on.
    pub assumptions: Vec<String>,
    /// Where it goes beyond what was ever seen.
    pub beyond_experience: Vec<String>,
}

/// Several scenarios side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhatIf {
    /// Of whom.
    pub instance: InstanceId,
    /// When.
    #[serde(rename = "at_us")]
    pub at: Timestamp,
    /// Asked horizon in seconds.
    pub horizon_s: f64,
    /// One per scenario, in the order asked.
    pub effects: Vec<Effect>,
    /// Why nothing should be concluded, where that is so.
    pub abstains: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_written_as_people_write_them() {
        assert_eq!("1.5x".parse(), Ok(Change::Times(1.5)));
        assert_eq!("512MiB".parse(), Ok(Change::To(536_870_912.0)));
        assert_eq!("2000".parse(), Ok(Change::To(2000.0)));
        for bad in ["", "x", "-2x", "0", "muchMB", "infx"] {
            assert!(bad.parse::<Change>().is_err(), "{bad}");
        }
        assert_eq!((Change::Times(2.0).of(3.0), Change::To(5.0).of(3.0)), (6.0, 5.0));
    }

    #[test]
    fn scenarios_are_titled_and_checked() {
        let scenario: Scenario = serde_json::from_str(r#"{"memory": "1.5x", "restart": true}"#).unwrap();
        assert_eq!(scenario.title(), "memory 1.5x, restart");
        assert!(serde_json::from_str::<Scenario>(r#"{"memroy": "2x"}"#).is_err());
        assert_eq!(Scenario { load: Some(0.0), ..Scenario::default() }.check().unwrap_err().0, "load");
        assert_eq!(
            serde_json::from_str::<Scenario>(&serde_json::to_string(&scenario).unwrap()).unwrap(),
            scenario
        );
    }
}
