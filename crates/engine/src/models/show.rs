//! One version in full: where it came from, what it looks at, what it does with every metric.

use std::collections::BTreeSet;

use foretwin_learn::{Gain, Model, Provenance, Transform, Trial};
use serde::Serialize;

use crate::Error;
use crate::forecast::LeadView;
use crate::handle::Handle;
use crate::models::ModelLine;
use crate::registry::ModelEntry;

/// Influences that are shown.
const INFLUENCES: usize = 20;

/// A version in full.
#[derive(Debug, Clone, Serialize)]
pub struct ModelView {
    /// At a glance.
    #[serde(flatten)]
    pub entry: ModelEntry,
    /// The schema's id, in hexadecimal digits.
    pub schema: String,
    /// `champion`, `challenger`, `reference`, and `judging` while it judges.
    pub roles: Vec<&'static str>,
    /// Sampling interval that it was trained at.
    pub step_s: f64,
    /// Where it came from.
    pub provenance: Provenance,
    /// What was tried while it was fitted, and what came of it on held-out data.
    pub trials: Vec<Trial>,
    /// What an LSTM was worth on held-out data.
    pub gain: Gain,
    /// What repeats, if something does.
    pub cycle: Option<CycleView>,
    /// The recipe: what becomes of every metric.
    pub features: Vec<FeatureView>,
    /// Whose past helps to expect whom, strongest first.
    pub influences: Vec<InfluenceView>,
    /// Which ways its forecaster uses at which distance; empty without one.
    pub forecasts: Vec<LeadView>,
}

/// What repeats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CycleView {
    /// Its length in seconds.
    pub period_s: f64,
    /// Keys of the metrics that follow it.
    pub metrics: Vec<String>,
}

/// What a model does with one metric.
#[derive(Debug, Clone, Serialize)]
pub struct FeatureView {
    /// Its key.
    pub metric: String,
    /// How its samples become numbers.
    pub transform: Transform,
    /// The metric that it is a ratio to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// `modelled`, `input`, `constant`, `duplicate`, `ignored`.
    pub duty: serde_json::Value,
    /// Mean after the transform.
    pub center: f64,
    /// What one standardised unit is worth.
    pub scale: f64,
    /// Whether the LSTM corrects its expectation.
    pub corrected: bool,
}

/// One metric's past in another's expectation.
#[derive(Debug, Clone, Serialize)]
pub struct InfluenceView {
    /// Whose past helps.
    pub source: String,
    /// Who is expected.
    pub target: String,
    /// The part of the squared one-step error that it takes away, 0 to 1.
    pub gain: f64,
}

impl Handle {
    /// One version in full.
    ///
    /// # Errors
    /// If there is no such version, or its file is damaged.
    pub fn model(&self, of: &ModelLine, version: u64) -> Result<ModelView, Error> {
        let line = self.pipeline.line(of)?;
        let manifest = self.pipeline.registry.line(&line)?;
        let (model, provenance) = Model::decode_with(&self.pipeline.registry.file(&line, version)?)?;
        let roles = [
            ("champion", manifest.champion() == Some(version)),
            ("challenger", manifest.challengers.contains(&version)),
            ("reference", manifest.reference == Some(version)),
            ("judging", self.pipeline.judging(&line) == Some(version)),
        ];
        let keys = self.pipeline.keys(&model, &provenance.metrics);
        let influence = |one: foretwin_learn::Influence| InfluenceView {
            source: keys[one.source].clone(),
            target: keys[one.target].clone(),
            gain: one.gain,
        };
        Ok(ModelView {
            entry: manifest.entry(version)?.clone(),
            schema: line.schema.to_string(),
            roles: roles.into_iter().filter(|(_, has)| *has).map(|(role, _)| role).collect(),
            step_s: model.step_s(),
            trials: model.trials().iter().chain(&provenance.log).cloned().collect(),
            gain: model.gain(),
            cycle: cycle(&model, &keys),
            features: features(&model, &keys),
            influences: strongest(&model).map(influence).collect(),
            forecasts: self.pipeline.leads(&line, manifest.entry(version)?, &model),
            provenance,
        })
    }
}

/// The influences with the largest gain, largest first.
fn strongest(model: &Model) -> impl Iterator<Item = foretwin_learn::Influence> {
    let mut found = model.influences().to_vec();
    found.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    found.into_iter().take(INFLUENCES)
}

fn cycle(model: &Model, keys: &[String]) -> Option<CycleView> {
    let (period_s, columns) = model.cycle()?;
    Some(CycleView {
        period_s,
        metrics: columns.iter().map(|&column| keys[column as usize].clone()).collect(),
    })
}

fn features(model: &Model, keys: &[String]) -> Vec<FeatureView> {
    let corrected: BTreeSet<usize> = model.corrected().into_iter().collect();
    let feature = |(column, feature): (usize, &foretwin_learn::Feature)| FeatureView {
        metric: keys[column].clone(),
        transform: feature.transform,
        limit: match feature.transform {
            Transform::Ratio { limit } => keys.get(limit).cloned(),
            _ => None,
        },
        // A duty is a name, or a name with a column.
        duty: serde_json::to_value(feature.duty).unwrap_or_default(),
        center: feature.center,
        scale: feature.scale,
        corrected: corrected.contains(&column),
    };
    model.recipe().features.iter().enumerate().map(feature).collect()
}
