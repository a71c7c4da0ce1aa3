//! A cohort's network in a file of its own, and members' models that name it instead of holding a copy.
//!
//! The file of a network is a safetensors file too: the tensors are named as in a model, `format` is
//! `foretwin.network`, `header` says of what columns it takes and gives. It is named by the hash of its bytes. A model
//! that uses such a network may be written *apart* from it (format version 3): without the tensors of the network, and
//! with its name as the text `network`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use foretwin_core::SchemaId;
use serde::{Deserialize, Serialize};

use crate::cohort::Cohort;
use crate::file::{self, MODEL, wrong};
use crate::lstm::{Packed, Size, Weights};
use crate::model::Model;
use crate::network::Gain;
use crate::safetensors::{Container, Tensor};
use crate::{Error, Provenance};

const FORMAT: &str = "foretwin.network";
const VERSION: &str = "1";
const OBJECT: &str = "network";

/// The name of a cohort's network: the FNV-1a hash of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NetworkId(pub u64);

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for NetworkId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16);
        number.map(Self).ok_or_else(|| format!("{text} is not a network's name of 16 hexadecimal digits"))
    }
}

impl From<NetworkId> for String {
    fn from(id: NetworkId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for NetworkId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What is known of a network beside its tensors.
#[derive(Serialize, Deserialize)]
struct Header {
    schema: SchemaId,
    inputs: Vec<u32>,
    daily: bool,
    outputs: Vec<u32>,
    size: Size,
    errors: Vec<f64>,
}

/// Name and shape of a network's tensors, as `torch.nn.LSTM` and `torch.nn.Linear` have them.
pub(crate) fn plan(size: Size) -> [(&'static str, Vec<usize>); 6] {
    let gates = 4 * size.hidden;
    [
        ("lstm.weight_ih_l0", vec![gates, size.inputs]),
        ("lstm.weight_hh_l0", vec![gates, size.hidden]),
        ("lstm.bias_ih_l0", vec![gates]),
        ("lstm.bias_hh_l0", vec![gates]),
        ("head.weight", vec![size.outputs, size.hidden]),
        ("head.bias", vec![size.outputs]),
    ]
}

/// One of these tensors; none for another name. Torch adds two biases: ours is the first, the second is zero.
pub(crate) fn tensor(weights: &Weights, name: &str) -> Option<Vec<f32>> {
    let size = weights.size;
    let range = match name {
        "lstm.weight_ih_l0" => size.ih(),
        "lstm.weight_hh_l0" => size.hh(),
        "lstm.bias_ih_l0" => size.bias(),
        "lstm.bias_hh_l0" => return Some(vec![0.0; size.bias().len()]),
        "head.weight" => size.out(),
        "head.bias" => size.out_bias(),
        _ => return None,
    };
    Some(weights.values[range].to_vec())
}

/// A network from its tensors, which `take` gives by name.
pub(crate) fn network(size: Size, take: &mut dyn FnMut(&str) -> Vec<f32>) -> Arc<Packed<f32>> {
    let mut values = take("lstm.weight_ih_l0");
    values.extend(take("lstm.weight_hh_l0"));
    let biases = take("lstm.bias_ih_l0").into_iter().zip(take("lstm.bias_hh_l0"));
    values.extend(biases.map(|(input, hidden)| input + hidden));
    values.extend(take("head.weight"));
    values.extend(take("head.bias"));
    Arc::new(Packed::new(&Weights { size, values }))
}

impl Cohort {
    /// The network's file and its name.
    ///
    /// # Errors
    /// If a number in its header cannot be written as JSON.
    pub fn encode(&self) -> Result<(NetworkId, Vec<u8>), Error> {
        let failed = |source| Error::Encode { object: OBJECT, source };
        let weights = self.network.weights();
        let header = Header {
            schema: self.schema,
            inputs: self.inputs.clone(),
            daily: self.daily,
            outputs: self.outputs.clone(),
            size: weights.size,
            errors: self.errors.clone(),
        };
        let of = |(name, shape): (&str, Vec<usize>)| {
            Tensor::new(name, &shape, tensor(&weights, name).unwrap_or_default())
        };
        let tensors = plan(weights.size).into_iter().map(of).collect();
        let mut container = Container { tensors, ..Container::default() };
        let mut say = |key: &str, text| container.metadata.insert(key.into(), text);
        say("format", FORMAT.into());
        say("format_version", VERSION.into());
        say("header", serde_json::to_string(&header).map_err(failed)?);
        let bytes = container.encode().map_err(failed)?;
        Ok((NetworkId(foretwin_core::fnv64(&bytes)), bytes))
    }

    /// A network from its file.
    ///
    /// # Errors
    /// [`Error::Decode`] for anything that is not a whole network of finite numbers.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let failed = |problem: String| Error::Decode { object: OBJECT, problem };
        let mut container = Container::decode(bytes).map_err(failed)?;
        let text = |key: &str| container.metadata.get(key).map_or("", String::as_str);
        if (text("format"), text("format_version")) != (FORMAT, VERSION) {
            return Err(failed(format!("it is not {FORMAT} of format version {VERSION}")));
        }
        let header: Header =
            serde_json::from_str(text("header")).map_err(|error| failed(format!("its header: {error}")))?;
        let Header { schema, inputs, daily, outputs, size, errors } = header;
        let fits = [size.inputs, size.hidden, size.outputs].iter().all(|&n| n <= 1 << 16)
            && size.hidden > 0
            && size.inputs == inputs.len() + 2 * usize::from(daily)
            && size.outputs == outputs.len()
            && size.outputs == errors.len()
            && outputs.is_sorted_by(|a, b| a < b);
        if !fits {
            return Err(failed("its header contradicts itself".into()));
        }
        let mut found = Vec::new();
        for (name, shape) in plan(size) {
            found.push((name, container.take(name, &shape).map_err(failed)?));
        }
        let mut take = |wanted: &str| {
            let at = found.iter().position(|(name, _)| *name == wanted);
            at.map(|at| found.swap_remove(at).1).unwrap_or_default()
        };
        Ok(Self { schema, inputs, daily, outputs, network: network(size, &mut take), errors })
    }
}

impl Model {
    /// The model's file without the network of its cohort ([`Cohort::encode`]), which it names; for a model that has none
    /// the whole file, as [`Model::encode_with`] gives it.
    ///
    /// # Errors
    /// If a number in a header cannot be written as JSON, or the model contradicts itself.
    pub fn encode_apart(&self, provenance: &Provenance) -> Result<Vec<u8>, Error> {
        let id = self.cohort.as_ref().map(|cohort| cohort.encode()).transpose()?.map(|(id, _)| id);
        self.encode_as(provenance, id)
    }

    /// A model and its provenance from a file of any format; `find` gives the network that a file of
    /// [`Model::encode_apart`] names.
    ///
    /// # Errors
    /// [`Error::Decode`] for anything that is not a whole model of finite numbers, or if its network is not found.
    pub fn decode_apart(
        bytes: &[u8],
        find: &mut dyn FnMut(NetworkId) -> Result<Arc<Cohort>, Error>,
    ) -> Result<(Self, Provenance), Error> {
        if !file::is_apart(bytes) {
            return Self::decode_with(bytes);
        }
        let container = Container::decode(bytes).map_err(wrong)?;
        let name = container.metadata.get(file::NETWORK).map_or("", String::as_str);
        let id: NetworkId = name.parse().map_err(|problem: String| wrong(problem))?;
        let (header, provenance) = file::texts(&container).map_err(wrong)?;
        let cohort = find(id)?;
        Ok((file::assemble(header, container, Some(cohort)).map_err(wrong)?, provenance))
    }

    /// The cohort whose network it uses, or was tried with and helped nothing.
    #[must_use]
    pub fn cohort(&self) -> Option<&Arc<Cohort>> {
        self.cohort.as_ref()
    }

    /// The same model with the numbers by which its weights were chosen, where its own fit did not measure them anew.
    #[must_use]
    pub fn chosen_by(mut self, decided: Gain) -> Self {
        let gain = &mut self.header.gain;
        (gain.own, gain.cohort) = (gain.own.or(decided.own), gain.cohort.or(decided.cohort));
        gain.epochs = gain.epochs.max(decided.epochs);
        self
    }

    /// Whether it corrects by its cohort's network.
    pub(crate) fn borrows(&self) -> bool {
        self.header.gain.shared && self.cohort.is_some()
    }

    /// Bytes of its numbers, without a network that it shares: about what it takes in memory.
    #[must_use]
    pub fn own_bytes(&self) -> usize {
        let own = if self.cohort.is_some() { None } else { self.network.as_ref() };
        let lookback = self.lookback.as_ref().map_or(0, |back| back.own.len() + 2 * back.calm.len());
        let profile = self.profile.as_ref().map_or(0, |profile| profile.values.len());
        let numbers = self.linear.own.len() + self.linear.others.len() + 3 * self.deviation.len();
        let features =
            size_of_val(&self.header.recipe.features[..]) + size_of_val(&self.header.influences[..]);
        size_of::<Self>()
            + 4 * (numbers + lookback + profile + self.unit.len())
            + features
            + own.map_or(0, |network| network.bytes())
    }
}

/// Refuses a file that cannot be read without its network.
pub(crate) fn whole(bytes: &[u8]) -> Result<(), Error> {
    if !file::is_apart(bytes) {
        return Ok(());
    }
    Err(Error::Decode {
        object: MODEL,
        problem: "its network stands in a file of its own: export the version, which gives one whole file"
            .into(),
    })
}
