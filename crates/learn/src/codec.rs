//! States as bytes, and models as they were written until format 2: a mark, a version, a JSON header, tensors in little
//! endian, a checksum.
//!
//! `mark (4) | version u32 | header length u32 | header | tensors | FNV-1a u64 of all before`. The lengths of the
//! tensors follow from the header and must fill the rest exactly, so nothing is allocated for what is not there.
//! Readers of old versions stay: a version is only ever added.

use foretwin_core::{MISSING, Timestamp, Value, fnv64};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::adapt::Tail;
use crate::feature::Reading;
use crate::model::{Header, Model};
use crate::safetensors::{Container, Tensor};
use crate::state::{Clock, State, Watch};

const VERSION: u32 = 1;

/// A kind of object that is stored.
struct Format {
    mark: [u8; 4],
    object: &'static str,
}

const MODEL: Format = Format { mark: *b"FTwM", object: "model" };
const STATE: Format = Format { mark: *b"FTwS", object: "state" };
/// Tensors of the first model format in their order.
const FIRST_ORDER: [&str; 10] = [
    "skip.own",
    "skip.others",
    "deviation",
    "calm",
    "lstm.weight_ih_l0",
    "lstm.weight_hh_l0",
    "lstm.bias_ih_l0",
    "head.weight",
    "head.bias",
    "unit",
];
/// Torch has two biases of the gates, the first format had one.
const UNUSED_BIAS: &str = "lstm.bias_hh_l0";

/// Whether bytes begin as the first model format does.
pub(crate) fn is_first_format(bytes: &[u8]) -> bool {
    bytes.starts_with(&MODEL.mark)
}

impl Format {
    fn wrong(&self, problem: impl Into<String>) -> Error {
        Error::Decode { object: self.object, problem: problem.into() }
    }

    fn seal(&self, header: &impl Serialize, tensors: &[&[f32]]) -> Result<Vec<u8>, Error> {
        let header =
            serde_json::to_vec(header).map_err(|source| Error::Encode { object: self.object, source })?;
        let mut bytes = self.mark.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header);
        bytes.extend(tensors.iter().flat_map(|tensor| tensor.iter()).flat_map(|x| x.to_le_bytes()));
        bytes.extend(fnv64(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// Header and tensors, in one block.
    fn open<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<(T, Vec<f32>), Error> {
        let (body, sum) = bytes.split_last_chunk::<8>().ok_or_else(|| self.wrong("too short"))?;
        let (mark, rest) = body.split_first_chunk::<4>().ok_or_else(|| self.wrong("too short"))?;
        if *mark != self.mark {
            return Err(self.wrong("these bytes are something else"));
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| self.wrong("too short"))?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(self.wrong(format!("version {version} is unknown, this program reads {VERSION}")));
        }
        if fnv64(body) != u64::from_le_bytes(*sum) {
            return Err(self.wrong("the checksum does not match: the bytes were damaged"));
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| self.wrong("too short"))?;
        let (header, tensors) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or_else(|| self.wrong("the header is cut off"))?;
        let header = serde_json::from_slice(header).map_err(|error| self.wrong(error.to_string()))?;
        let (numbers, remainder) = tensors.as_chunks::<4>();
        if !remainder.is_empty() {
            return Err(self.wrong("the tensors are cut off"));
        }
        let numbers: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(self.wrong("a tensor holds what is not a number"));
        }
        Ok((header, numbers))
    }

    /// Cuts a block into tensors of the given lengths, which must fill it.
    fn cut<const N: usize>(&self, mut block: &[f32], lengths: [usize; N]) -> Result<[Vec<f32>; N], Error> {
        let total = lengths.iter().try_fold(0usize, |sum, &length| sum.checked_add(length));
        if total != Some(block.len()) {
            return Err(self.wrong("the tensors have other sizes than the header says"));
        }
        Ok(lengths.map(|length| {
            let (tensor, rest) = block.split_at(length);
            block = rest;
            tensor.to_vec()
        }))
    }
}

/// A model of format version 1: its header, and its tensors as they are named today.
pub(crate) fn read_first_format(bytes: &[u8]) -> Result<(Header, Container), Error> {
    let (header, block): (Header, _) = MODEL.open(bytes)?;
    let recurrent = header.recurrent.as_ref();
    let plan = crate::file::plan(&header).map_err(|problem| MODEL.wrong(problem))?;
    // There the gates' bias stood as one, and the network before its unit.
    let mut order: Vec<&(&str, Vec<usize>)> = plan.iter().filter(|(name, _)| *name != UNUSED_BIAS).collect();
    order.sort_by_key(|(name, _)| FIRST_ORDER.iter().position(|other| other == name));
    let mut rest = &block[..];
    let mut container = Container::default();
    for (name, shape) in order {
        let length = shape.iter().try_fold(1usize, |length, &side| length.checked_mul(side));
        let cut = length.and_then(|length| rest.split_at_checked(length));
        let (values, behind) =
            cut.ok_or_else(|| MODEL.wrong("the tensors have other sizes than the header says"))?;
        container.tensors.push(Tensor::new(name, shape, values.to_vec()));
        rest = behind;
    }
    if !rest.is_empty() {
        return Err(MODEL.wrong("the tensors have other sizes than the header says"));
    }
    if let Some(shape) = recurrent {
        let zeros = vec![0.0; 4 * shape.size.hidden];
        container.tensors.push(Tensor::new(UNUSED_BIAS, &[zeros.len()], zeros));
    }
    Ok((header, container))
}

/// What of a state is not a tensor.
#[derive(Serialize, Deserialize)]
struct StateHeader {
    model_version: u64,
    schema: u64,
    clock: Clock,
    age: u32,
    score: f64,
    newest: usize,
    #[serde(default)]
    tail: Option<Tail>,
    /// Column, bits and time of counters' latest samples.
    readings: Vec<(u32, u64, Timestamp)>,
}

impl State {
    /// The state as bytes, for a checkpoint. It belongs to `model`, the one that started it.
    ///
    /// # Errors
    /// If a number in its header cannot be written as JSON.
    pub fn encode(&self, model: &Model) -> Result<Vec<u8>, Error> {
        let readings = self.readings.iter().enumerate().filter(|(_, reading)| reading.value != MISSING);
        let header = StateHeader {
            model_version: model.version(),
            schema: model.schema().0,
            clock: self.clock,
            age: self.age,
            score: self.score,
            newest: self.past.newest,
            tail: self.tail.clone(),
            readings: readings.map(|(column, last)| (column as u32, last.value.0, last.at)).collect(),
        };
        let watches: Vec<f32> =
            self.watches.iter().flat_map(|watch| [watch.level, watch.habit, watch.evidence]).collect();
        let memory = [&self.memory.hidden[..], &self.memory.cell, &self.correction];
        let bias = [&self.far[..], &self.bias, &self.far_bias];
        let tensors = [&[&self.past.rows[..], &self.evidence, &watches], &memory[..], &bias].concat();
        STATE.seal(&header, &tensors)
    }

    /// A state from bytes, to go on with `model`.
    ///
    /// # Errors
    /// [`Error::Decode`] for damaged bytes, and for the state of another model: start afresh then.
    pub fn decode(bytes: &[u8], model: &Model) -> Result<Self, Error> {
        let (header, block): (StateHeader, _) = STATE.open(bytes)?;
        if header.model_version != model.version() || header.schema != model.schema().0 {
            return Err(STATE.wrong(format!("it belongs to model version {}", header.model_version)));
        }
        let mut state = model.start();
        let lengths = [
            state.past.rows.len(),
            state.evidence.len(),
            3 * state.watches.len(),
            state.memory.hidden.len(),
            state.memory.cell.len(),
            state.correction.len(),
            state.far.len(),
            state.bias.len(),
            state.far_bias.len(),
        ];
        let [past, evidence, watches, hidden, cell, correction, far, bias, far_bias] =
            STATE.cut(&block, lengths)?;
        if header.newest >= model.header.shape.lags + model.reach() || !header.score.is_finite() {
            return Err(STATE.wrong("its header is out of range"));
        }
        if header.tail.as_ref().is_some_and(|tail| !tail.is_sound()) {
            return Err(STATE.wrong("its tail is out of range"));
        }
        // A state of before thresholds followed the stream begins where training ended.
        state.tail = header.tail.or(state.tail);
        for (column, bits, at) in header.readings {
            let reading = state.readings.get_mut(column as usize);
            *reading.ok_or_else(|| STATE.wrong("no such column"))? = Reading { value: Value(bits), at };
        }
        (state.past.rows, state.past.newest, state.evidence) = (past, header.newest, evidence);
        let (watches, _) = watches.as_chunks::<3>();
        state.watches =
            watches.iter().map(|&[level, habit, evidence]| Watch { level, habit, evidence }).collect();
        (state.memory.hidden, state.memory.cell, state.correction) = (hidden, cell, correction);
        (state.far, state.bias, state.far_bias) = (far, bias, far_bias);
        (state.clock, state.age, state.score) = (header.clock, header.age, header.score);
        Ok(state)
    }
}
