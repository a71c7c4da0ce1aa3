//! Forecasters as bytes: JSON, checked when read, so that no damaged index is ever followed.

use super::Ahead;
use super::heads::{Head, Way};
use super::network::Correction;
use super::trace::{bases, features};
use crate::Error;

/// What errors name.
const OBJECT: &str = "forecaster";

impl Ahead {
    /// The forecaster as bytes.
    ///
    /// # Errors
    /// If a number in it cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|source| Error::Encode { object: OBJECT, source })
    }

    /// A forecaster from bytes.
    ///
    /// # Errors
    /// [`Error::Decode`] for anything that [`Ahead::encode`] did not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Decode { object: OBJECT, problem };
        let ahead: Self = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        ahead.check().map_err(|problem| wrong(problem.to_owned()))?;
        Ok(ahead)
    }

    /// Whether every index is in range and every size fits.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let width = self.columns.len();
        let within = |indices: &[u32], end: usize| indices.iter().all(|&index| (index as usize) < end);
        let ascending = |rows: &[usize]| rows.is_sorted_by(|a, b| a < b) && !rows.contains(&0);
        if self.step_us <= 0 || width == 0 || self.leads.is_empty() {
            return Err("it has no step, no metric or no lead");
        }
        let short = |rows: &[usize]| rows.iter().all(|&rows| rows < 1 << 24);
        if !ascending(&self.leads)
            || !ascending(&self.seasons)
            || !short(&self.leads)
            || !short(&self.seasons)
        {
            return Err("leads or periods do not ascend within bounds");
        }
        let whole =
            self.heads.len() == self.leads.len() && self.heads.iter().all(|heads| heads.len() == width);
        if !whole || !within(&self.inputs, width) {
            return Err("the heads do not fit the metrics and leads");
        }
        if !self.heads.iter().flatten().all(|head| self.is_sound(head)) {
            return Err("a head does not fit the features");
        }
        match &self.correction {
            Some(correction) if !correction.is_sound(width, self.leads.len()) => {
                Err("the network does not fit")
            }
            _ => Ok(()),
        }
    }

    fn is_sound(&self, head: &Head) -> bool {
        let (simple, seasons) = (bases(self.seasons.len()) as u32, self.seasons.len());
        let way = match head.way {
            Way::Base(base) => base < simple,
            Way::Own => true,
            Way::Joint => head.joint.len() == 2 * self.inputs.len(),
        };
        let finite = head.own.iter().chain(&head.joint).all(|weight| weight.is_finite());
        let tried = head.errors.len() <= simple as usize + 2;
        way && tried
            && finite
            && head.anchor < simple
            && head.own.len() == features(seasons)
            && head.scale > 0.0
    }
}

impl Correction {
    /// Whether it fits so many metrics and leads.
    fn is_sound(&self, width: usize, leads: usize) -> bool {
        let size = self.size;
        let outputs = self.leads.len() * width;
        let inputs = 2 * self.seen.len() + 4 * self.calendar.iter().filter(|&&on| on).count();
        let bounded = [size.inputs, size.hidden, size.outputs].iter().all(|&n| n > 0 && n <= 1 << 16);
        bounded
            && (size.inputs, size.outputs) == (inputs, outputs)
            && [self.unit.len(), self.left.len()] == [outputs; 2]
            && [0, outputs].contains(&self.left_absolute.len())
            && self.seen.iter().all(|&n| (n as usize) < width)
            && self.leads.iter().all(|&lead| lead < leads)
            && self.leads.is_sorted_by(|a, b| a < b)
            && !self.values.is_empty()
            && self.values.iter().all(|values| {
                values.len() == size.parameters() && values.iter().all(|value| value.is_finite())
            })
    }
}
