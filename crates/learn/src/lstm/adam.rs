//! The optimiser: Adam (Kingma and Ba, 2015) with the gradient's norm held down.

use super::level::{Kernel, Level};
use super::vector::Vector;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
/// Longer gradients are shortened to this (Pascanu et al., 2013).
const LONGEST: f32 = 1.0;

/// Moments of a parameter vector.
pub(super) struct Adam {
    level: Level,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Adam {
    pub fn new(parameters: usize, level: Level) -> Self {
        Self { level, first: vec![0.0; parameters], second: vec![0.0; parameters], steps: 0 }
    }

    /// Moves `values` against `gradient`; a gradient that is not finite is ignored.
    pub fn descend(&mut self, values: &mut [f32], gradient: &[f32], rate: f32) {
        let norm = sum_of_squares(self.level, gradient).sqrt();
        if !norm.is_finite() {
            return;
        }
        self.steps += 1;
        let (fix1, fix2) = (1.0 - BETA1.powi(self.steps), 1.0 - BETA2.powi(self.steps));
        let (first, second) = (&mut self.first[..], &mut self.second[..]);
        self.level.run(Descent {
            values,
            gradient,
            moments: [first, second],
            shorten: if norm > LONGEST { LONGEST / norm } else { 1.0 },
            // rate (first / fix1) / (sqrt(second / fix2) + epsilon), both sides times sqrt(fix2).
            rate: rate * fix2.sqrt() / fix1,
            epsilon: EPSILON * fix2.sqrt(),
        });
    }
}

pub(super) fn sum_of_squares(level: Level, values: &[f32]) -> f32 {
    let mut sum = 0.0;
    level.run(Square { values, sum: &mut sum });
    sum
}

struct Square<'a> {
    values: &'a [f32],
    sum: &'a mut f32,
}

impl Kernel for Square<'_> {
    #[inline(always)]
    fn run<V: Vector>(self, v: V) {
        let mut sums = v.splat(0.0);
        let whole = self.values.len() / V::LANES * V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            let x = v.read(self.values, at);
            sums = v.fma(x, x, sums);
        }
        *self.sum = v.sum(sums) + self.values[whole..].iter().map(|x| x * x).sum::<f32>();
    }
}

struct Descent<'a> {
    values: &'a mut [f32],
    gradient: &'a [f32],
    moments: [&'a mut [f32]; 2],
    shorten: f32,
    rate: f32,
    epsilon: f32,
}

impl Kernel for Descent<'_> {
    /// Plain code, which the compiler vectorises for the level it is compiled for.
    #[inline(always)]
    fn run<V: Vector>(self, _v: V) {
        let [first, second] = self.moments;
        let moments = first.iter_mut().zip(second);
        for ((value, gradient), (first, second)) in self.values.iter_mut().zip(self.gradient).zip(moments) {
            let g = gradient * self.shorten;
            *first += (1.0 - BETA1) * (g - *first);
            *second += (1.0 - BETA2) * (g * g - *second);
            *value -= self.rate * *first / (second.sqrt() + self.epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bowl_is_descended_and_infinite_gradients_are_ignored() {
        for level in Level::all() {
            let (mut adam, mut at) = (Adam::new(2, level), [3.0f32, -2.0]);
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

    #[test]
    fn every_square_is_summed() {
        let x: Vec<f32> = (1..=37).map(|n| n as f32).collect();
        for level in Level::all() {
            assert_eq!(sum_of_squares(level, &x), (1..=37).map(|n| (n * n) as f32).sum::<f32>());
        }
    }
}
