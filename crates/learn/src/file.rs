//! Models as files: safetensors with the names of `torch.nn.LSTM` and `torch.nn.Linear`, and a versioned header.
//!
//! Which tensors there are, under which name and of which shape, is said once, in [`plan`]; [`Model::tensors`] and
//! [`assemble`] follow it. The texts beside them: `format` is `foretwin.model`, `format_version` a number, `header` the
//! model's [`Header`] and `provenance` its [`Provenance`], both JSON. Fields may be added to either (with a default)
//! without a new version; a tensor, or another meaning of one, is a new version, and readers of old ones stay. Version 3
//! is a model without the network of its cohort, which it names: see [`crate::apart`].

use std::sync::Arc;

use crate::apart::{self, NetworkId};
use crate::codec::{is_first_format, read_first_format};
use crate::cohort::Cohort;
use crate::cycle::Profile;
use crate::feature::{Duty, Transform};
use crate::linear::Linear;
use crate::lookback::Lookback;
use crate::model::{Header, Model};
use crate::safetensors::{Container, Tensor};
use crate::{Error, Provenance};

const FORMAT: &str = "foretwin.model";
const VERSION: u32 = 2;
/// Of a model apart from its cohort's network.
const APART: u32 = 3;
/// The text that names that network.
pub(crate) const NETWORK: &str = "network";
pub(crate) const MODEL: &str = "model";

/// Name and shape of every tensor of a model with this header.
pub(crate) fn plan(header: &Header) -> Result<Vec<(&'static str, Vec<usize>)>, String> {
    check(header)?;
    let (shape, targets) = (&header.shape, header.shape.targets.len());
    let mut plan = vec![("skip.own", vec![targets, shape.lags + 1])];
    if !shape.joint.is_empty() {
        plan.push(("skip.others", vec![shape.regressors(), shape.joint.len()]));
    }
    plan.extend([("deviation", vec![targets]), ("calm", vec![targets])]);
    if header.lookback {
        plan.extend([
            ("lookback.own", vec![targets, shape.lags + 1]),
            ("lookback.deviation", vec![targets]),
            ("lookback.calm", vec![targets]),
        ]);
    }
    if let Some(cycle) = &header.cycle {
        plan.push(("cycle", vec![cycle.bins, cycle.columns.len()]));
    }
    if let Some(recurrent) = &header.recurrent {
        plan.extend(apart::plan(recurrent.size));
        plan.push(("unit", vec![recurrent.size.outputs]));
    }
    Ok(plan)
}

impl Model {
    /// The model as a safetensors file that does not say where it came from.
    ///
    /// # Errors
    /// If a number in its header cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.encode_with(&Provenance::default())
    }

    /// The model and its provenance as a safetensors file.
    ///
    /// # Errors
    /// If a number in a header cannot be written as JSON, or the model contradicts itself.
    pub fn encode_with(&self, provenance: &Provenance) -> Result<Vec<u8>, Error> {
        self.encode_as(provenance, None)
    }

    /// The file of a model, whole or apart from the network with this name.
    pub(crate) fn encode_as(
        &self,
        provenance: &Provenance,
        apart: Option<NetworkId>,
    ) -> Result<Vec<u8>, Error> {
        let failed = |source| Error::Encode { object: MODEL, source };
        let mut tensors = self.tensors()?;
        if apart.is_some() && self.borrows() {
            tensors.retain(|tensor| !is_network(&tensor.name));
        }
        let mut container = Container { tensors, ..Container::default() };
        let mut say = |key: &str, text| container.metadata.insert(key.into(), text);
        say("format", FORMAT.into());
        say("format_version", apart.map_or(VERSION, |_| APART).to_string());
        if let Some(id) = apart {
            say(NETWORK, id.to_string());
        }
        say("header", serde_json::to_string(&self.header).map_err(failed)?);
        say("provenance", serde_json::to_string(provenance).map_err(failed)?);
        container.encode().map_err(failed)
    }

    /// A model from bytes, whichever format they are.
    ///
    /// # Errors
    /// [`Error::Decode`] for anything that is not a whole model of finite numbers.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::decode_with(bytes).map(|(model, _)| model)
    }

    /// A model and its provenance, which files of the first format do not have.
    ///
    /// # Errors
    /// [`Error::Decode`] for anything that is not a whole model of finite numbers: names what is wrong, and the remedy.
    pub fn decode_with(bytes: &[u8]) -> Result<(Self, Provenance), Error> {
        if is_first_format(bytes) {
            let (header, container) = read_first_format(bytes)?;
            let model = assemble(header, container, None).map_err(wrong)?;
            return Ok((model, Provenance::default()));
        }
        apart::whole(bytes)?;
        let container = Container::decode(bytes).map_err(wrong)?;
        let (header, provenance) = texts(&container).map_err(wrong)?;
        Ok((assemble(header, container, None).map_err(wrong)?, provenance))
    }

    /// The tensors in the order of the plan.
    fn tensors(&self) -> Result<Vec<Tensor>, Error> {
        let weights = self.network.as_ref().map(|network| network.weights());
        let values = |name: &str| -> Vec<f32> {
            match name {
                "skip.own" => self.linear.own.clone(),
                "skip.others" => self.linear.others.clone(),
                "deviation" => self.deviation.clone(),
                "calm" => self.calm.clone(),
                "lookback.own" => self.lookback.as_ref().map_or(Vec::new(), |back| back.own.clone()),
                "lookback.deviation" => {
                    self.lookback.as_ref().map_or(Vec::new(), |back| back.deviation.clone())
                }
                "lookback.calm" => self.lookback.as_ref().map_or(Vec::new(), |back| back.calm.clone()),
                "cycle" => self.profile.as_ref().map_or(Vec::new(), |profile| profile.values.clone()),
                "unit" => self.unit.clone(),
                _ => weights.as_ref().and_then(|weights| apart::tensor(weights, name)).unwrap_or_default(),
            }
        };
        let plan = plan(&self.header).map_err(wrong)?;
        Ok(plan.into_iter().map(|(name, shape)| Tensor::new(name, &shape, values(name))).collect())
    }
}

pub(crate) fn wrong(problem: impl Into<String>) -> Error {
    Error::Decode { object: MODEL, problem: problem.into() }
}

fn is_network(tensor: &str) -> bool {
    tensor.starts_with("lstm.") || tensor.starts_with("head.")
}

/// Whether bytes are a model apart from its network.
pub(crate) fn is_apart(bytes: &[u8]) -> bool {
    !is_first_format(bytes)
        && Container::decode(bytes).is_ok_and(|container| container.metadata.contains_key(NETWORK))
}

/// Header and provenance.
pub(crate) fn texts(container: &Container) -> Result<(Header, Provenance), String> {
    let text = |key: &str| {
        let found = container.metadata.get(key);
        found.ok_or_else(|| format!("__metadata__ has no {key}: start from a file that Foretwin exported"))
    };
    if text("format")? != FORMAT {
        return Err(format!("__metadata__ says that the format is not {FORMAT}"));
    }
    let version = text("format_version")?;
    let expected = if container.metadata.contains_key(NETWORK) { APART } else { VERSION };
    if version.parse() != Ok(expected) {
        return Err(format!(
            "format version {version} is unknown, this program reads 1 to {APART}: update it"
        ));
    }
    let header = serde_json::from_str(text("header")?);
    let provenance = container.metadata.get("provenance").map_or(Ok(Provenance::default()), |text| {
        serde_json::from_str(text).map_err(|error| format!("__metadata__.provenance: {error}"))
    });
    Ok((header.map_err(|error| format!("__metadata__.header: {error}"))?, provenance?))
}

/// A model from its header and its tensors, which must be those of the plan; those of its network may be a cohort's.
pub(crate) fn assemble(
    header: Header,
    mut container: Container,
    cohort: Option<Arc<Cohort>>,
) -> Result<Model, String> {
    let mut found = Vec::new();
    let borrows = cohort.is_some() && header.gain.shared;
    for (name, shape) in plan(&header)? {
        if borrows && is_network(name) {
            continue;
        }
        found.push((name, container.take(name, &shape)?));
    }
    if let Some(tensor) = container.tensors.first() {
        return Err(format!("tensor {} is not part of a model with this header: leave it out", tensor.name));
    }
    let mut take = |wanted: &str| {
        let at = found.iter().position(|(name, _)| *name == wanted);
        at.map(|at| found.swap_remove(at).1).unwrap_or_default()
    };
    let (deviation, calm) = (take("deviation"), take("calm"));
    if deviation.iter().any(|&deviation| deviation <= 0.0) {
        return Err("tensor deviation: every standard deviation must be above zero".into());
    }
    let network = match (&header.recurrent, &cohort) {
        (None, _) => None,
        (Some(recurrent), Some(cohort)) if borrows => {
            if cohort.network.size() != recurrent.size || cohort.schema != header.schema {
                return Err("the network that it names is of another shape or schema".into());
            }
            Some(cohort.network.clone())
        }
        (Some(recurrent), _) => Some(apart::network(recurrent.size, &mut take)),
    };
    let linear = Linear { shape: header.shape.clone(), own: take("skip.own"), others: take("skip.others") };
    let lookback = header.lookback.then(|| Lookback {
        own: take("lookback.own"),
        deviation: take("lookback.deviation"),
        calm: take("lookback.calm"),
    });
    if lookback.iter().flat_map(|back| &back.deviation).any(|&deviation| deviation <= 0.0) {
        return Err("tensor lookback.deviation: every standard deviation must be above zero".into());
    }
    let profile = header.cycle.clone().map(|cycle| Profile { cycle, values: take("cycle") });
    Ok(Model { linear, deviation, calm, lookback, profile, network, cohort, unit: take("unit"), header })
}

/// Whether a header makes sense: every index in range, every size within reason.
fn check(header: &Header) -> Result<(), &'static str> {
    let (shape, width) = (&header.shape, header.recipe.features.len());
    let within = |indices: &[u32], end: usize| indices.iter().all(|&index| (index as usize) < end);
    let mut columns =
        within(&shape.targets, width) && within(&shape.inputs, width) && within(&header.constants, width);
    columns &= within(&shape.known, width);
    for feature in &header.recipe.features {
        columns &= match feature.transform {
            Transform::Ratio { limit } => limit < width,
            _ => true,
        };
        columns &= !matches!(feature.duty, Duty::Duplicate { of } if of >= width);
    }
    if !columns || !within(&shape.joint, shape.targets.len()) {
        return Err("a column lies outside the schema");
    }
    if !(1..=32).contains(&shape.lags)
        || shape.inputs.len().max(shape.known.len()) > width
        || shape.joint.len() > shape.targets.len()
    {
        return Err("a size is out of range");
    }
    let positive = |x: f64| x.is_finite() && x > 0.0;
    if !positive(header.step_s) || !positive(header.judge.threshold) || header.judge.believed <= 0.0 {
        return Err("a step, threshold or bound is not above zero");
    }
    if header.recipe.features.iter().any(|feature| !positive(feature.scale)) {
        return Err("a scale is not above zero");
    }
    if header.cycle.as_ref().is_some_and(|cycle| {
        !positive(cycle.period_s) || !(1..=1 << 16).contains(&cycle.bins) || !within(&cycle.columns, width)
    }) {
        return Err("the cycle does not fit the features");
    }
    let targets = shape.targets.len();
    if !header.growth.as_ref().is_none_or(|growth| growth.is_sound(targets))
        || !header.rhythm.as_ref().is_none_or(|rhythm| rhythm.is_sound(2 * targets + header.constants.len()))
    {
        return Err("what is known of later steps or of the clock does not fit the targets");
    }
    if header.tail.as_ref().is_some_and(|tail| !tail.is_sound()) {
        return Err("the tail is out of range");
    }
    let Some(recurrent) = &header.recurrent else { return Ok(()) };
    let size = recurrent.size;
    let fits = [size.inputs, size.hidden, size.outputs].iter().all(|&n| n <= 1 << 16)
        && size.hidden > 0
        && size.outputs == recurrent.outputs.len()
        && size.inputs == recurrent.inputs.len() + 2 * usize::from(recurrent.daily);
    if !fits || !within(&recurrent.inputs, width) || !within(&recurrent.outputs, shape.targets.len()) {
        return Err("the network does not fit the features");
    }
    Ok(())
}
