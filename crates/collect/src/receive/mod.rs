//! Metrics that others send (remote write, OTLP, line protocol), as frames of instances.
//!
//! Samples arrive in any order and in any company; a frame has one time and all values of a schema. So series of an
//! instance that come together are a block with a schema; blocks are merged into one when nothing new comes. A sample
//! belongs to the frame of its time; parts that come later complete the frame, which is handed on again as a whole, and
//! stands in the store for the one before. Nothing here reads a clock or a disk: what was stored before is a [`Past`].

mod block;
mod config;
mod families;
mod identity;
mod intake;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foretwin_core::{HOUR_US, Instance, InstanceId, Metric, Schema, SchemaId, Timestamp, Value};
use foretwin_wire::series::{Arrival, Nature, Series};

use crate::sink::Sink;
use families::Families;
use intake::Intake;

pub use block::{SAMPLES, is_received};
pub use config::Config;
pub use identity::RECEIVED;

/// How far ahead of this node's clock a sample may be.
const AHEAD_US: i64 = HOUR_US;
/// Instances that say nothing for so long make room for others; their history stays.
const SILENT_US: i64 = HOUR_US;
/// Limits of what a sender may call things.
const MOST_LABELS: usize = 64;
const LONGEST_NAME: usize = 256;
const LONGEST_VALUE: usize = 2048;

/// How metrics arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Prometheus remote write.
    Prometheus,
    /// The OpenTelemetry protocol.
    Otlp,
    /// The InfluxDB line protocol.
    Influx,
}

impl Protocol {
    /// Its name in labels and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Otlp => "otlp",
            Self::Influx => "influx",
        }
    }
}

/// What was stored before: the node's store, or none in a test.
pub trait Past {
    /// Schemas of an instance, each with the time of its newest frame.
    fn schemas(&self, instance: &InstanceId) -> Vec<(Arc<Schema>, Timestamp)>;
    /// The frame of one moment.
    fn frame(&self, instance: &InstanceId, schema: SchemaId, at: Timestamp) -> Option<Vec<Value>>;
    /// Whether somebody else says what this instance is.
    fn describes(&self, instance: &InstanceId) -> bool;
}

/// What became of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Samples that are new.
    pub stored: usize,
    /// Samples that were there before.
    pub duplicates: usize,
    /// Samples without a number: NaN, infinity, marks of an end.
    pub not_numbers: usize,
    /// Samples beyond a limit, or of a time or name that cannot be.
    pub refused: usize,
    /// Why the first of those was refused.
    pub why: Option<String>,
    /// Names this taking to [`Receiver::settle`].
    taking: u64,
    touched: Vec<InstanceId>,
}

impl Taken {
    fn refuse(&mut self, samples: usize, why: impl FnOnce() -> String) {
        self.refused += samples;
        self.why.get_or_insert_with(why);
    }
}

/// One series of a request, as its instance takes it.
struct Incoming {
    key: String,
    metric: Metric,
    /// Whether samples are differences.
    delta: bool,
    points: Vec<(Timestamp, f64)>,
}

/// What taking depends on.
struct Context<'a> {
    config: &'a Config,
    families: &'a Families,
    past: &'a dyn Past,
    now: Timestamp,
    taking: u64,
    /// Series that may still come.
    room: usize,
}

/// Everything under reception.
#[derive(Debug)]
pub struct Receiver {
    config: Config,
    intakes: HashMap<InstanceId, Intake>,
    families: Families,
    /// Of all instances.
    series: usize,
    takings: u64,
}

impl Receiver {
    /// Receives nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, intakes: HashMap::new(), families: Families::default(), series: 0, takings: 0 }
    }

    /// How many instances and series there are.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.intakes.len(), self.series)
    }

    /// Takes a request and hands on the frames that change. When they are durable, [`Receiver::settle`] must be told;
    /// until then a sample that is sent again is handed on again.
    pub fn take(
        &mut self,
        (protocol, arrival): (Protocol, Arrival),
        now: Timestamp,
        past: &dyn Past,
        sink: &mut dyn Sink,
    ) -> Taken {
        self.takings += 1;
        let mut taken = Taken { taking: self.takings, ..Taken::default() };
        let Arrival { origins, families, .. } = arrival;
        self.families.learn(families);
        let mut sent: HashMap<InstanceId, (Instance, Vec<Incoming>)> = HashMap::new();
        for origin in &origins {
            for series in &origin.series {
                let identified = check(series, now)
                    .and_then(|()| identity::identify(protocol, (origin, series), &self.config));
                match identified {
                    Ok((instance, labels)) => {
                        let metric = self.families.metric(series, labels);
                        let (delta, points) = (series.nature == Nature::Delta, series.points.clone());
                        let points = points.into_iter().map(|(at, value)| (or_now(at, now), value)).collect();
                        let one = Incoming { key: metric.key(), metric, delta, points };
                        sent.entry(instance.id.clone()).or_insert((instance, Vec::new())).1.push(one);
                    }
                    Err(why) => taken.refuse(series.points.len(), || why),
                }
            }
        }
        for (id, (instance, incoming)) in sent {
            self.hand_on((instance, incoming), (now, past), (&mut taken, &mut *sink));
            taken.touched.push(id);
        }
        taken
    }

    fn hand_on(
        &mut self,
        (instance, incoming): (Instance, Vec<Incoming>),
        (now, past): (Timestamp, &dyn Past),
        (taken, sink): (&mut Taken, &mut dyn Sink),
    ) {
        if self.intakes.len() >= self.config.most_instances && !self.intakes.contains_key(&instance.id) {
            self.intakes.retain(|_, intake| now.0.saturating_sub(intake.heard.0) < SILENT_US);
            self.series = self.intakes.values().map(Intake::series).sum();
        }
        let room = self.config.most_series.saturating_sub(self.series);
        let full = self.intakes.len() >= self.config.most_instances;
        let intake = match self.intakes.entry(instance.id.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if full => {
                let most = self.config.most_instances;
                let why = || format!("more than {most} instances (collect.receive.most_instances)");
                return taken.refuse(incoming.iter().map(|one| one.points.len()).sum(), why);
            }
            Entry::Vacant(vacant) => {
                let intake = vacant.insert(Intake::new(instance, past));
                self.series += intake.series();
                intake
            }
        };
        let (config, families, taking) = (&self.config, &self.families, self.takings);
        let context = Context { config, families, past, now, taking, room };
        let before = intake.series();
        intake.take(&incoming, &context, (taken, sink));
        self.series = self.series + intake.series() - before;
    }

    /// What a taking handed on is durable.
    pub fn settle(&mut self, taken: &Taken) {
        for instance in &taken.touched {
            if let Some(intake) = self.intakes.get_mut(instance) {
                intake.settle(taken.taking);
            }
        }
    }
}

/// A sample without a time is of now.
fn or_now(at: Timestamp, now: Timestamp) -> Timestamp {
    if at.0 == 0 { now } else { at }
}

/// Whether a series can be meant.
fn check(series: &Series, now: Timestamp) -> Result<(), String> {
    let name: String = series.name.chars().take(80).collect();
    if series.name.is_empty() || series.name.len() > LONGEST_NAME {
        return Err(format!("{name:?}: a metric's name has 1 to {LONGEST_NAME} bytes"));
    }
    if series.labels.len() > MOST_LABELS {
        return Err(format!("{name}: more than {MOST_LABELS} labels"));
    }
    let long = |(label, value): &&(String, String)| label.len() > LONGEST_NAME || value.len() > LONGEST_VALUE;
    if let Some((label, _)) = series.labels.iter().find(long) {
        let label: String = label.chars().take(80).collect();
        return Err(format!(
            "{name}: label {label:?} is longer than {LONGEST_NAME} bytes, or its value than {LONGEST_VALUE}"
        ));
    }
    match series.points.iter().find(|(at, _)| at.0 > now.0 + AHEAD_US || at.0 < 0) {
        Some((at, _)) => {
            Err(format!("{name}: a sample of {at} is ahead of this node's clock by an hour, or before 1970"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
