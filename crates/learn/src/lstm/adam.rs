//! The optimiser: Adam (Kingma and Ba, 2015) with the gradient's norm held down.

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
/// Longer gradients are shortened to this (Pascanu et al., 2013).
const LONGEST: f32 = 1.0;

/// Moments of a parameter vector.
pub(super) struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Adam {
    pub fn new(parameters: usize) -> Self {
        Self { first: vec![0.0; parameters], second: vec![0.0; parameters], steps: 0 }
    }

    /// Moves `values` against `gradient`.
    pub fn descend(&mut self, values: &mut [f32], gradient: &[f32], rate: f32) {
        let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
        if !norm.is_finite() {
            return;
        }
        let shorten = if norm > LONGEST { LONGEST / norm } else { 1.0 };
        self.steps += 1;
        let (fix1, fix2) = (1.0 - BETA1.powi(self.steps), 1.0 - BETA2.powi(self.steps));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            let g = gradient * shorten;
            *first += (1.0 - BETA1) * (g - *first);
            *second += (1.0 - BETA2) * (g * g - *second);
            *value -= rate * (*first / fix1) / ((*second / fix2).sqrt() + EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bowl_is_descended_and_infinite_gradients_are_ignored() {
        let (mut adam, mut at) = (Adam::new(2), [3.0f32, -2.0]);
        for _ in 0..2000 {
            let gradient = at.map(|x| 2.0 * x);
            adam.descend(&mut at, &gradient, 0.01);
        }
        assert!(at.iter().all(|x| x.abs() < 0.01), "{at:?}");
        let before = at;
        adam.descend(&mut at, &[f32::INFINITY, 0.0], 0.01);
        assert_eq!(at, before);
    }
}
