//! What is measured: name, attributes, unit, and what the number means.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::hash::Fnv64;
use crate::risk::FailureMode;

/// Whether a series states a level or counts upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A level at the moment of reading.
    Gauge,
    /// A count since some start; only differences mean something, and a fall is a reset.
    Counter,
}

/// What a series says about its resource or service (the USE and RED methods).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Work done per time.
    Rate,
    /// How much of a resource is used.
    Utilization,
    /// Work that waits.
    Saturation,
    /// What went wrong.
    Errors,
    /// How long things take.
    Duration,
    /// A known input (commanded load): the model sees it, nobody scores it.
    Command,
    /// How much of a resource there is. Limits are series because they change; they are never scored.
    Limit,
}

/// How the 64 bits of a sample are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// Unsigned integer.
    U64,
    /// Signed integer.
    I64,
    /// IEEE 754 double.
    F64,
}

/// A series that runs against a limit: when `limit` is reached, `mode` happens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Capacity {
    /// Key of the limit's series in the same schema. While that series is missing there is no limit.
    pub limit: String,
    /// What running out means.
    pub mode: FailureMode,
}

/// One series of an instance, named by the OpenTelemetry semantic conventions where they have a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Metric {
    /// For instance `system.cpu.time`.
    pub name: String,
    /// Sorted name and value pairs, for instance `cpu.mode` = `user`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
    /// UCUM, as OpenTelemetry writes it: `By`, `s`, `1`, `{process}`.
    pub unit: String,
    /// Level or count.
    pub kind: Kind,
    /// What it says.
    pub role: Role,
    /// How samples are stored.
    pub storage: Storage,
    /// The limit it runs against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
}

impl Metric {
    /// A level stored as an unsigned integer.
    #[must_use]
    pub fn gauge(name: &str, unit: &str, role: Role) -> Self {
        Self {
            name: name.into(),
            attributes: Vec::new(),
            unit: unit.into(),
            kind: Kind::Gauge,
            role,
            storage: Storage::U64,
            capacity: None,
        }
    }

    /// A count stored as an unsigned integer.
    #[must_use]
    pub fn counter(name: &str, unit: &str, role: Role) -> Self {
        Self { kind: Kind::Counter, ..Self::gauge(name, unit, role) }
    }

    /// The same series with an attribute, kept in order of name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.attributes.push((name.into(), value.into()));
        self.attributes.sort();
        self
    }

    /// The same series stored another way.
    #[must_use]
    pub fn stored(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }

    /// The same series, running against the series with key `limit`.
    #[must_use]
    pub fn against(mut self, limit: &str, mode: FailureMode) -> Self {
        self.capacity = Some(Capacity { limit: limit.into(), mode });
        self
    }

    /// Name and attributes as one string, unique in a schema: `system.cpu.time{cpu.mode=user}`.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = self.name.clone();
        for (at, (name, value)) in self.attributes.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            // Writing to a string cannot fail.
            let _ = write!(key, "{open}{name}={value}");
        }
        if !self.attributes.is_empty() {
            key.push('}');
        }
        key
    }

    /// Whether the model may call it anomalous.
    #[must_use]
    pub fn is_scored(&self) -> bool {
        !matches!(self.role, Role::Command | Role::Limit)
    }

    /// Feeds everything that makes this metric what it is into a content hash.
    pub(crate) fn digest(&self, hash: Fnv64) -> Fnv64 {
        let kinds = [self.kind as u8, self.role as u8, self.storage as u8];
        let hash = hash.text(&self.key()).text(&self.unit).write(&kinds);
        match &self.capacity {
            Some(capacity) => hash.text(&capacity.limit).text(capacity.mode.as_str()),
            None => hash.write(&[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_orders_attributes() {
        let metric = Metric::counter("disk.io", "By", Role::Rate).with("device", "vda").with("a", "b");
        assert_eq!(metric.key(), "disk.io{a=b,device=vda}");
        assert_eq!(Metric::gauge("x", "1", Role::Rate).key(), "x");
    }

    #[test]
    fn inputs_and_limits_are_never_scored() {
        assert!(!Metric::gauge("x", "1", Role::Limit).is_scored());
        assert!(!Metric::gauge("x", "1", Role::Command).is_scored());
        assert!(Metric::gauge("x", "1", Role::Errors).is_scored());
    }
}
