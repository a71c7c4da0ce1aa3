//! Models as people and programs handle them: listed, shown, compared, switched, exported, imported, pruned.
//!
//! Versions count within a line, an instance and a schema. A question that names no schema means the line of the feed
//! with the most series, or where none is current, the one trained last.

mod borrowed;
mod compare;
mod import;
mod show;
mod vectors;

use foretwin_core::{InstanceId, SchemaId, Timestamp};
use foretwin_learn::Model;
use serde::Serialize;

use crate::Error;
use crate::handle::Handle;
use crate::pipeline::Pipeline;
use crate::registry::{Line, Manifest, ModelChange, ModelEntry, Seated};

pub use compare::{ModelComparison, ModelOnWindow};
pub use show::{CycleView, FeatureView, InfluenceView, ModelView};
pub use vectors::Vectors;

/// Whose models are meant, and by which schema; none: the instance's main one.
#[derive(Debug, Clone)]
pub struct ModelLine {
    /// Whose.
    pub instance: InstanceId,
    /// By which schema.
    pub schema: Option<SchemaId>,
}

/// All versions of one instance and schema.
#[derive(Debug, Clone, Serialize)]
pub struct ModelLineView {
    /// Whose.
    pub instance: String,
    /// The schema's id, in hexadecimal digits.
    pub schema: String,
    /// Whether questions that name no schema mean this one.
    pub main: bool,
    /// The champion.
    pub champion: Option<u64>,
    /// The version that judges now; another than the champion until the next frame after a change, or where the
    /// instance began with a model of its workload.
    pub judging: Option<u64>,
    /// Where it is judged by a version that was made for all of its workload: whose that is. It has no versions of its own
    /// then, or they do not judge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged_for_all: Option<String>,
    /// The frozen reference.
    pub reference: Option<u64>,
    /// Versions that wait to be compared with the champion.
    pub challengers: Vec<u64>,
    /// Where a rollback leads.
    pub rollback_to: Option<u64>,
    /// Its versions, oldest first.
    pub versions: Vec<ModelEntry>,
    /// What happened lately, oldest first.
    pub changes: Vec<ModelChange>,
}

/// The answer to a change of champion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Switched {
    /// Whose.
    pub instance: String,
    /// The schema's id, in hexadecimal digits.
    pub schema: String,
    /// The champion before.
    pub from: Option<u64>,
    /// The champion now.
    pub to: u64,
}

impl Handle {
    /// All lines of an instance, the main one first.
    ///
    /// # Errors
    /// If nobody knows the instance, or manifests cannot be read.
    pub fn models(&self, id: &InstanceId) -> Result<Vec<ModelLineView>, Error> {
        let pipeline = &self.pipeline;
        let lines = pipeline.registry.lines(id);
        if lines.is_empty() {
            pipeline.known(id)?;
            return Ok(pipeline.borrowed(id));
        }
        let main = pipeline.line(&ModelLine { instance: id.clone(), schema: None })?;
        let view = |line: &Line| view(pipeline, line, *line == main);
        let mut views = lines.iter().map(view).collect::<Result<Vec<_>, Error>>()?;
        views.sort_by_key(|view| !view.main);
        Ok(views)
    }

    /// Makes a version the champion; it judges from the next frame on.
    ///
    /// # Errors
    /// If there is no such version, or the change cannot be made durable: nothing has changed then.
    pub fn promote_model(&self, of: &ModelLine, version: u64, reason: &str) -> Result<Switched, Error> {
        self.switch(of, |pipeline, line| pipeline.registry.promote(line, version, reason))
    }

    /// Makes the champion before this one champion again; it judges from the next frame on.
    ///
    /// # Errors
    /// If there is none, or the change cannot be made durable: nothing has changed then.
    pub fn rollback_model(&self, of: &ModelLine, reason: &str) -> Result<Switched, Error> {
        self.switch(of, |pipeline, line| pipeline.registry.rollback(line, reason))
    }

    fn switch(
        &self,
        of: &ModelLine,
        change: impl FnOnce(&Pipeline, &Line) -> Result<Seated, Error>,
    ) -> Result<Switched, Error> {
        let line = self.pipeline.line(of)?;
        let from = self.pipeline.registry.line(&line)?.champion();
        let seated = change(&self.pipeline, &line)?;
        let to = seated.model.version();
        self.pipeline.install(&of.instance, line.schema, seated);
        Ok(Switched { instance: line.instance, schema: line.schema.to_string(), from, to })
    }

    /// Freezes a version as the reference that slow drift is measured against.
    ///
    /// # Errors
    /// If there is no such version, or the change cannot be made durable.
    pub fn set_reference_model(&self, of: &ModelLine, version: u64, reason: &str) -> Result<(), Error> {
        let line = self.pipeline.line(of)?;
        let model = self.pipeline.registry.model(&line, version)?;
        self.pipeline.registry.set_reference(&line, version, reason)?;
        let mut shard = self.pipeline.shard(of.instance.partition());
        let watched = shard.watched.get_mut(&of.instance);
        if let Some(feed) = watched.and_then(|watched| watched.feed_of(line.schema)) {
            feed.refer_to(model);
        }
        Ok(())
    }

    /// Says that a challenger is of no use.
    ///
    /// # Errors
    /// If there is no such version, or the change cannot be made durable.
    pub fn dismiss_model(&self, of: &ModelLine, version: u64, reason: &str) -> Result<(), Error> {
        self.pipeline.registry.dismiss(&self.pipeline.line(of)?, version, reason)
    }

    /// Keeps a version from pruning, or no longer.
    ///
    /// # Errors
    /// If there is no such version, or the change cannot be made durable.
    pub fn pin_model(&self, of: &ModelLine, version: u64, pinned: bool) -> Result<(), Error> {
        self.pipeline.registry.pin(&self.pipeline.line(of)?, version, pinned)
    }

    /// Lets go of all versions but the champion, the `keep` champions before it, the latest `keep` challengers, the
    /// reference, the pinned and the newest. Gives those that went.
    ///
    /// # Errors
    /// If there are no models, or the change cannot be made durable.
    pub fn prune_models(&self, of: &ModelLine, keep: usize) -> Result<Vec<u64>, Error> {
        self.pipeline.registry.prune(&self.pipeline.line(of)?, keep)
    }

    /// The safetensors file of a version.
    ///
    /// # Errors
    /// If there is no such version, or its file is damaged.
    pub fn export_model(&self, of: &ModelLine, version: u64) -> Result<Vec<u8>, Error> {
        self.pipeline.registry.file(&self.pipeline.line(of)?, version)
    }
}

fn view(pipeline: &Pipeline, line: &Line, main: bool) -> Result<ModelLineView, Error> {
    let manifest = pipeline.registry.line(line)?;
    let before = manifest.champions.len().checked_sub(2).map(|at| manifest.champions[at]);
    Ok(ModelLineView {
        main,
        champion: manifest.champion(),
        judging: pipeline.judging(line),
        judged_for_all: None,
        rollback_to: before,
        schema: line.schema.to_string(),
        instance: manifest.instance,
        reference: manifest.reference,
        challengers: manifest.challengers,
        versions: manifest.versions,
        changes: manifest.changes,
    })
}

impl Pipeline {
    /// The line that is meant.
    fn line(&self, of: &ModelLine) -> Result<Line, Error> {
        let lines = self.registry.lines(&of.instance);
        let unknown = || Error::UnknownModel { instance: of.instance.as_str().to_owned(), version: None };
        if let Some(schema) = of.schema {
            return lines.into_iter().find(|line| line.schema == schema).ok_or_else(unknown);
        }
        let main = self.with(&of.instance, |watched| watched.main().map(|feed| feed.schema.id()));
        let main = main.ok().flatten().map(|schema| Line::new(&of.instance, schema));
        if let Some(main) = main.filter(|main| lines.contains(main)) {
            return Ok(main);
        }
        if lines.is_empty() {
            self.known(&of.instance)?;
        }
        let renewed =
            |line: &Line| self.registry.line(line).ok().and_then(|manifest| Manifest::renewed(&manifest));
        lines.into_iter().max_by_key(renewed).ok_or_else(unknown)
    }

    /// The version that judges a line's frames now.
    fn judging(&self, line: &Line) -> Option<u64> {
        let judging = self.with(&InstanceId::new(&line.instance), |watched| {
            let feed = watched.feeds.iter().find(|feed| feed.schema.id() == line.schema)?;
            feed.model().map(|(model, _)| model.version())
        });
        judging.ok().flatten()
    }

    /// Keys of the metrics that a model's columns are: as its provenance says, or else as its schema does.
    fn keys(&self, model: &Model, said: &[String]) -> Vec<String> {
        let width = model.recipe().features.len();
        let schema = || self.schema(model.schema()).filter(|schema| schema.width() == width);
        if said.len() == width {
            said.to_vec()
        } else if let Some(schema) = schema() {
            schema.metrics().iter().map(foretwin_core::Metric::key).collect()
        } else {
            (0..width).map(|column| format!("column {column}")).collect()
        }
    }
}

/// Where a span of an instance's history ends that models are tried on: at its newest frame of a schema.
fn newest(pipeline: &Pipeline, line: &Line) -> Timestamp {
    let id = InstanceId::new(&line.instance);
    let fed = pipeline.with(&id, |watched| {
        watched.feeds.iter().find(|feed| feed.schema.id() == line.schema).map(|feed| feed.last)
    });
    let stored = || pipeline.store.instance_span(&id).ok().flatten().map(|(_, last)| last);
    fed.ok().flatten().or_else(stored).unwrap_or_default()
}
