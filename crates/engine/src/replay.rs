//! Recorded telemetry through the whole pipeline, on the clock of the recording.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use foretwin_core::{
    Batch, Instance, InstanceKind, Judgement, Position, Prediction, Record, SECOND_US, Timestamp, Window,
};
use foretwin_disk::{Disk, OsDisk};
use foretwin_store::Store;

use crate::Error;
use crate::config::Config;
use crate::forecast::{ForecastQuery, ForecastView};
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

/// A pipeline on a virtual clock: the same storing, training, judging and foreseeing as a live node, in one thread.
pub struct Replay {
    pipeline: Arc<Pipeline>,
}

impl Replay {
    /// A pipeline over an empty directory.
    ///
    /// # Errors
    /// If the directory cannot be used.
    pub fn new(config: &Config, dir: &Path) -> Result<Self, Error> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let (store, _) = Store::open(disk.clone(), &dir.join("store"), config.store.clone())?;
        let registry = Registry::open(disk, &dir.join("models"))?;
        Ok(Self { pipeline: Arc::new(Pipeline::new(config.clone(), Arc::new(store), registry)) })
    }

    /// Runs a recording, calling `each` after every row; training happens between rows as a live node would have had
    /// the time for it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn run(&self, recording: &Window, each: &mut dyn FnMut(usize, Replayed)) -> Result<(), Error> {
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
        let never = AtomicBool::new(false);
        let mut looked = Timestamp(i64::MIN);
        let mut values = Vec::new();
        for (row, &at) in recording.times.iter().enumerate() {
            recording.frame(row, &mut values);
            let mut batch = Batch::new(recording.schema.id(), recording.schema.width());
            // The window's frames have the width of its schema.
            if batch.push(id, at, &values).is_ok() {
                apply(Record::Batch(batch))?;
            }
            if at.0.saturating_sub(looked.0) >= SECOND_US {
                looked = at;
                if let Some(due) = self.pipeline.due() {
                    self.pipeline.train(&due, &Budget::new(&never, None))?;
                }
                self.pipeline.store.maintain(at)?;
            }
            each(row, self.replayed(recording, at)?);
        }
        Ok(())
    }

    fn replayed(&self, recording: &Window, at: Timestamp) -> Result<Replayed, Error> {
        self.pipeline.with(&recording.instance, |watched| Replayed {
            at,
            judgement: watched.judgement().filter(|judged| judged.at == at),
            failure_probability: watched.within_the_hour(),
        })
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
