//! Which metric's past helps to predict which: the joint part of the linear expectation, read out.

use serde::Serialize;

use crate::model::Model;

/// One metric's past in another's expectation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Influence {
    /// Column whose past helps.
    pub source: usize,
    /// Column that is expected.
    pub target: usize,
    /// Root of the summed squares of its weights over all lags, both on the common scale.
    pub strength: f64,
}

impl Model {
    /// The strongest influences of other metrics, strongest first, at most `most`. Only metrics whose held-out error
    /// fell when they were explained by others are in it: what an individual weight says is a hint, that there are
    /// weights at all was tested.
    #[must_use]
    pub fn influences(&self, most: usize) -> Vec<Influence> {
        let shape = &self.header.shape;
        let (inputs, joint) = (shape.inputs.len(), shape.joint.len());
        let weight = |lag: usize, input: usize, j: usize| {
            self.linear.others.get((lag * inputs + input) * joint + j).copied().map_or(0.0, f64::from)
        };
        let mut found = Vec::new();
        for (j, &target) in shape.joint.iter().enumerate() {
            let target = shape.targets[target as usize] as usize;
            for (input, &source) in shape.inputs.iter().enumerate() {
                let strength = (0..shape.lags).map(|lag| weight(lag, input, j).powi(2)).sum::<f64>().sqrt();
                if source as usize != target && strength > 0.0 {
                    found.push(Influence { source: source as usize, target, strength });
                }
            }
        }
        found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
        found.truncate(most);
        found
    }
}
