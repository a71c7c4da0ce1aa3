//! Recorded telemetry through the whole pipeline, on the clock of the recording.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use foretwin_core::{
    Alert, Batch, Instance, InstanceKind, Judgement, Position, Prediction, Record, SECOND_US, Timestamp,
    Window,
};
use foretwin_disk::{Disk, OsDisk};
use foretwin_foresee::policy::Change;
use foretwin_store::Store;

use crate::Error;
use crate::alerts::{Alerts, Sentinel};
use crate::config::Config;
use crate::forecast::{ForecastQuery, ForecastView};
use crate::lessons;
use crate::node::{Node, Roles, open_dir};
use crate::pipeline::Pipeline;
use crate::registry::Registry;
use crate::trainer::Budget;

/// What a replay found, row by row.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The row's time.
    pub at: Timestamp,
    /// The verdict on it, once there was a model.
    pub judgement: Option<Judgement>,
    /// Probability of failing within an hour, as of then.
    pub failure_probability: f64,
}

/// An alert that a replay raised.
#[derive(Debug, Clone)]
pub struct ReplayedAlert {
    /// As it was told when it opened: probability, times and reasons are of that moment.
    pub opened: Alert,
    /// The metric that its likeliest member is about; nothing where no resource is.
    pub metric: Option<String>,
    /// As it stood at the end of the recording.
    pub at_end: Alert,
}

/// Failures that were told are learned from no sooner than so long after the time before.
const LEARN_S: f64 = 30.0;

/// A pipeline on a virtual clock: the same storing, training, judging, foreseeing and alerting as a live node, in one
/// thread.
pub struct Replay {
    pipeline: Arc<Pipeline>,
    alerts: Arc<Alerts>,
}

/// Once a second of the recording: what a node's threads do beside the flow of frames.
struct Aside<'a> {
    replay: &'a Replay,
    sentinel: Sentinel,
    looked: Timestamp,
    /// How many failures the last lesson knew, and when it was.
    learned: (usize, Timestamp),
    alerts: Vec<ReplayedAlert>,
}

impl Replay {
    /// A pipeline over an empty directory.
    ///
    /// # Errors
    /// If the directory cannot be used.
    pub fn new(config: &Config, dir: &Path) -> Result<Self, Error> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let (store, _) = Store::open(disk.clone(), &dir.join("store"), config.store.clone())?;
        let registry = Registry::open(disk.clone(), &dir.join("models"))?;
        let alerts = Arc::new(Alerts::open(disk, dir, &config.alerts)?);
        let pipeline = Arc::new(Pipeline::new(config.clone(), Arc::new(store), registry));
        Ok(Self { pipeline, alerts })
    }

    /// Runs a recording, calling `each` after every row; training happens between rows as a live node would have had
    /// the time for it. Returns the alerts that were raised, in the order of their opening.
    ///
    /// # Errors
    /// If the store fails.
    pub fn run(
        &self,
        recording: &Window,
        each: &mut dyn FnMut(usize, Replayed),
    ) -> Result<Vec<ReplayedAlert>, Error> {
        let id = &recording.instance;
        let instance = Instance::new(id.as_str(), InstanceKind::Application, id.as_str(), id.as_str());
        let mut offset = 0;
        let mut apply = |record: Record| {
            let position = Position { partition: id.partition(), offset };
            offset += 1;
            self.pipeline.apply(position, &record)
        };
        apply(Record::Instance(instance))?;
        apply(Record::Schema(recording.schema.clone()))?;
        let mut aside = Aside::of(self);
        let mut values = Vec::new();
        for (row, &at) in recording.times.iter().enumerate() {
            recording.frame(row, &mut values);
            let mut batch = Batch::new(recording.schema.id(), recording.schema.width());
            // The window's frames have the width of its schema.
            if batch.push(id, at, &values).is_ok() {
                apply(Record::Batch(batch))?;
            }
            aside.look(at, &mut apply)?;
            each(row, self.replayed(recording, at)?);
        }
        Ok(aside.alerts)
    }

    fn replayed(&self, recording: &Window, at: Timestamp) -> Result<Replayed, Error> {
        self.pipeline.with(&recording.instance, |watched| Replayed {
            at,
            judgement: watched.judgement().filter(|judged| judged.at == at),
            failure_probability: watched.within_the_hour(),
        })
    }

    /// The metric of the risk that an alert's likeliest member is about.
    fn metric(&self, alert: &Alert) -> Option<String> {
        let (member, mode) = (alert.members.first()?, alert.kind.mode()?);
        let metric = self.pipeline.with(&member.instance, |watched| {
            watched.risks.iter().find(|risk| risk.mode == mode).map(|risk| risk.metric.clone())
        });
        metric.ok().flatten()
    }

    /// A node over the same directory that goes on from where the replay ended, to look at what it saw. It collects nothing;
    /// what is older than its store keeps (`store.retention_days`) goes at its first look.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn into_node(self, config: &Config) -> Result<Node, Error> {
        let lock = open_dir(&config.data_dir)?;
        Node::around(self.pipeline, config, (Roles { collect: false }, lock))
    }

    /// Forecasts at the end of the recording, by forecasters that are learned now where a live node would have learned
    /// them by then.
    ///
    /// # Errors
    /// If nothing was replayed, or its history cannot be read.
    pub fn forecasts(&self, query: &ForecastQuery) -> Result<ForecastView, Error> {
        let never = AtomicBool::new(false);
        while let Some(due) = self.pipeline.due_outlook() {
            self.pipeline.learn_outlook(&due, &Budget::new(&never, None))?;
        }
        self.pipeline.forecasts(query)
    }

    /// The prediction at the end of the recording.
    ///
    /// # Errors
    /// If nothing was replayed.
    pub fn predict(&self, recording: &Window, horizon_s: f64) -> Result<Prediction, Error> {
        crate::handle::predict(&self.pipeline, &recording.instance, horizon_s)
    }
}

impl<'a> Aside<'a> {
    fn of(replay: &'a Replay) -> Self {
        let never = Timestamp(i64::MIN);
        let sentinel = Sentinel::new(replay.pipeline.clone(), replay.alerts.clone());
        Self { replay, sentinel, looked: never, learned: (0, never), alerts: Vec::new() }
    }

    /// Trains, keeps house and raises alerts if a second has passed since it last did.
    fn look(
        &mut self,
        at: Timestamp,
        apply: &mut dyn FnMut(Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Forwards a second; backwards a clock was set.
        if at >= self.looked && at.0.saturating_sub(self.looked.0) < SECOND_US {
            return Ok(());
        }
        self.looked = at;
        let (pipeline, never) = (&self.replay.pipeline, AtomicBool::new(false));
        if let Some(due) = pipeline.due() {
            pipeline.train(&due, &Budget::new(&never, None))?;
        }
        pipeline.store.maintain(at)?;
        let mut ingest = |records: Vec<Record>| records.into_iter().try_for_each(&mut *apply);
        for change in self.sentinel.look(at, &mut ingest) {
            self.note(change);
        }
        let (known, learned) = (self.sentinel.failures(), self.learned);
        if known != learned.0 && at.0.saturating_sub(learned.1.0) >= (LEARN_S * 1e6) as i64 {
            lessons::learn(pipeline, at, &never);
            self.learned = (known, at);
        }
        Ok(())
    }

    fn note(&mut self, change: Change) {
        let (Change::Opened(alert) | Change::Updated(alert) | Change::Resolved(alert)) = change;
        match self.alerts.iter_mut().find(|known| known.opened.id == alert.id) {
            Some(known) => known.at_end = alert,
            None => {
                let metric = self.replay.metric(&alert);
                self.alerts.push(ReplayedAlert { opened: alert.clone(), metric, at_end: alert });
            }
        }
    }
}
