//! The safetensors container: named tensors of `f32` and a map of texts, as PyTorch and everybody else reads them.
//!
//! `header length u64 | header, JSON | tensors`, all little endian. The header says of each tensor its type, shape and
//! the span of its bytes; the spans must fill the rest without holes and in any order. Source: the format's
//! specification, <https://github.com/huggingface/safetensors>. Reading is strict and bounded: nothing is allocated from
//! a length that was not first compared with the bytes that are there.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest header read, as in the reference implementation.
const MOST_HEADER_BYTES: u64 = 100_000_000;
/// Tensors begin at a multiple of this, so that a reader may map them.
const ALIGNMENT: usize = 8;
const METADATA: &str = "__metadata__";

/// A tensor of single precision, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Tensor {
    /// A tensor from its rows.
    pub fn new(name: &str, shape: &[usize], values: Vec<f32>) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), values }
    }
}

/// What a container holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Container {
    pub metadata: BTreeMap<String, String>,
    pub tensors: Vec<Tensor>,
}

/// What the header says of a tensor.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl Container {
    /// The container as bytes.
    ///
    /// # Errors
    /// If the header cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut header = serde_json::Map::new();
        header.insert(METADATA.into(), serde_json::to_value(&self.metadata)?);
        let mut end = 0;
        for tensor in &self.tensors {
            let start = end;
            end += 4 * tensor.values.len() as u64;
            let shape = tensor.shape.iter().map(|&size| size as u64).collect();
            let entry = Entry { dtype: "F32".into(), shape, data_offsets: [start, end] };
            header.insert(tensor.name.clone(), serde_json::to_value(entry)?);
        }
        let mut header = serde_json::to_vec(&header)?;
        // The specification allows spaces behind the header, and nothing else.
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(self.tensors.iter().flat_map(|tensor| &tensor.values).flat_map(|x| x.to_le_bytes()));
        Ok(bytes)
    }

    /// A container from bytes. The error says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (length, rest) =
            bytes.split_first_chunk::<8>().ok_or("it is shorter than its header's length")?;
        let length = u64::from_le_bytes(*length);
        if length > MOST_HEADER_BYTES {
            return Err(format!(
                "its header says to be {length} bytes long, {MOST_HEADER_BYTES} are allowed"
            ));
        }
        let (header, data) =
            rest.split_at_checked(length as usize).ok_or("its header is cut off: copy the file again")?;
        if header.first() != Some(&b'{') {
            return Err("its header does not begin with {: is it a safetensors file?".into());
        }
        let header: BTreeMap<String, Value> =
            serde_json::from_slice(header).map_err(|error| format!("its header is not JSON: {error}"))?;
        let mut container = Self::default();
        let mut spans: Vec<Range<usize>> = Vec::new();
        for (name, value) in header {
            if name == METADATA {
                container.metadata =
                    serde_json::from_value(value).map_err(|_| "its __metadata__ is not a map of texts")?;
                continue;
            }
            let (tensor, span) = tensor(name, value, data)?;
            container.tensors.push(tensor);
            spans.push(span);
        }
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        let filled = spans.iter().try_fold(0, |end, span| (span.start == end).then_some(span.end));
        if filled != Some(data.len()) {
            return Err("its tensors overlap, leave holes, or do not end where the file does".into());
        }
        Ok(container)
    }

    /// Takes a tensor out, which must have this shape. The error names it and says what to do.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let Some(at) = self.tensors.iter().position(|tensor| tensor.name == name) else {
            return Err(format!("tensor {name} is missing: write it with shape {shape:?}"));
        };
        let tensor = self.tensors.swap_remove(at);
        if tensor.shape != shape {
            return Err(format!(
                "tensor {name} has shape {:?}, the header asks for {shape:?}: change the one or the other",
                tensor.shape
            ));
        }
        Ok(tensor.values)
    }
}

/// One tensor and where its bytes lie.
fn tensor(name: String, value: Value, data: &[u8]) -> Result<(Tensor, Range<usize>), String> {
    let entry: Entry = serde_json::from_value(value)
        .map_err(|error| format!("tensor {name} is described wrongly: {error}"))?;
    if entry.dtype != "F32" {
        return Err(format!("tensor {name} is of type {}: save it as F32 (tensor.float())", entry.dtype));
    }
    let [start, end] = entry.data_offsets;
    let size = entry.shape.iter().try_fold(4u64, |size, &side| size.checked_mul(side));
    if end.checked_sub(start) != size || size.is_none() {
        return Err(format!("tensor {name}: its shape and its bytes differ in length"));
    }
    let span = usize::try_from(start).and_then(|start| Ok(start..usize::try_from(end)?));
    let span = span.map_err(|_| format!("tensor {name} lies outside of the file"))?;
    let bytes = data.get(span.clone()).ok_or_else(|| format!("tensor {name} lies outside of the file"))?;
    let (numbers, _) = bytes.as_chunks::<4>();
    let values: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!(
            "tensor {name} holds {} at element {at}: every number must be finite",
            values[at]
        ));
    }
    // The sides' product was compared with bytes that are there; only a side beside a zero may be larger than that.
    let shape = entry.shape.iter().map(|&side| usize::try_from(side).unwrap_or(usize::MAX)).collect();
    Ok((Tensor { name, shape, values }, span))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Container {
        let mut container = Container::default();
        container.metadata.insert("format".into(), "a \"test\" of ünïcode".into());
        container.tensors.push(Tensor::new("a.weight", &[2, 3], vec![1.0, -2.0, 3.5, 0.0, -0.0, f32::MIN]));
        container.tensors.push(Tensor::new("empty", &[0, 7], vec![]));
        container.tensors.push(Tensor::new("scalar", &[], vec![7.0]));
        container
    }

    fn sorted(mut container: Container) -> Container {
        container.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        container
    }

    #[test]
    fn what_is_written_is_read_and_tensors_are_aligned() {
        let bytes = sample().encode().unwrap();
        assert_eq!(sorted(Container::decode(&bytes).unwrap()), sorted(sample()));
        assert_eq!(u64::from_le_bytes(bytes[..8].try_into().unwrap()) % 8, 0);
    }

    fn raw(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    /// Every refusal names its reason; what the reference implementation accepts, tensors in any order, is accepted.
    #[test]
    fn wrong_headers_are_refused_by_reason() {
        let entry = |shape: &str, offsets: &str| {
            format!(r#"{{"x":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        let cases = [
            (raw(&entry("[2]", "[0,4]"), &[0; 8]), "differ in length"),
            (raw(&entry("[2]", "[8,0]"), &[0; 8]), "differ in length"),
            (raw(&entry("[4294967296,4294967296,4]", "[0,0]"), &[]), "differ in length"),
            (raw(&entry("[2]", "[4,12]"), &[0; 8]), "outside"),
            (raw(&entry("[1]", "[0,4]"), &[0; 8]), "do not end"),
            (raw(&entry("[1]", "[4,8]"), &[0; 8]), "holes"),
            (raw(&entry("[1]", "[0,4]").replace("F32", "BF16"), &[0; 4]), "BF16"),
            (raw(&entry("[-1]", "[0,4]"), &[0; 4]), "described wrongly"),
            (raw(&entry("[1]", "[0,4]"), &f32::NAN.to_le_bytes()), "finite"),
            (raw("[]", &[]), "begin with"),
            (raw("{", &[]), "JSON"),
            (raw(r#"{"__metadata__":{"a":1}}"#, &[]), "map of texts"),
            (u64::MAX.to_le_bytes().to_vec(), "allowed"),
            (1000u64.to_le_bytes().to_vec(), "cut off"),
            (vec![1, 2], "shorter"),
        ];
        for (bytes, reason) in cases {
            let said = Container::decode(&bytes).unwrap_err();
            assert!(said.contains(reason), "{said}, expected {reason}");
        }
        let swapped = r#"{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  "#;
        let data = [1.0f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat();
        assert_eq!(Container::decode(&raw(swapped, &data)).unwrap().take("b", &[1]).unwrap(), [2.0]);
    }

    #[test]
    fn a_tensor_is_asked_for_by_name_and_shape() {
        assert!(sample().take("b", &[1]).unwrap_err().contains("tensor b is missing"));
        assert!(sample().take("a.weight", &[3, 2]).unwrap_err().contains("[2, 3]"));
        assert_eq!(sample().take("scalar", &[]).unwrap(), [7.0]);
    }

    proptest! {
        /// Noise, and files with a changed byte or a cut end: an error or a container whose numbers are finite and
        /// whose shapes fit, never a panic. (An allocation beyond the file would show as a killed test.)
        #[test]
        fn damage_is_an_error_or_a_container(
            noise in proptest::collection::vec(any::<u8>(), 0..120), at: usize, byte: u8, cut: usize,
        ) {
            let mut bytes = sample().encode().unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            let cut = cut % (bytes.len() + 1);
            for bytes in [&noise[..], &raw(&String::from_utf8_lossy(&noise), &noise), &bytes, &bytes[..cut]] {
                let Ok(container) = Container::decode(bytes) else { continue };
                for tensor in container.tensors {
                    prop_assert_eq!(tensor.shape.iter().product::<usize>(), tensor.values.len());
                    prop_assert!(tensor.values.iter().all(|value| value.is_finite()));
                }
            }
        }

        #[test]
        fn any_tensors_come_back(values in proptest::collection::vec(-1e30f32..1e30, 0..50), names in 1usize..5) {
            let mut container = Container::default();
            for n in 0..names {
                container.tensors.push(Tensor::new(&format!("t{n}"), &[values.len()], values.clone()));
            }
            prop_assert_eq!(Container::decode(&container.encode().unwrap()).unwrap(), container);
        }
    }
}
