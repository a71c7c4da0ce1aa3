//! One possible future of a growth, and when it reaches a height: under what is, and under what if.

use foretwin_core::Rng;

use crate::growth::bins::Bins;
use crate::growth::fit::{Component, Course};
use crate::growth::load::{Load, Wave};
use crate::math::first_passage;

/// How one future moves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Motion {
    /// Not at all.
    Ended,
    /// By so much per second.
    Even(f64),
    /// By so much per unit of work, with this load.
    Worked(f64, Wave),
    /// By so much per second now, as this power of the time since the beginning.
    Faster(f64, f64),
    /// By so much per second now, decaying with a time constant in seconds.
    Slower(f64, f64),
    /// In jumps: moments and heights reached.
    Jumps(Vec<(f64, f64)>),
}

/// One future: state and noise inferred from the present, kept so that every intervention meets the same ones (common
/// random numbers).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draw {
    pub(crate) motion: Motion,
    /// Seconds since this growth began.
    pub(crate) lasted_s: f64,
    /// Height per root second of the noise.
    sigma: f64,
    /// The noise, standard normal.
    z: f64,
    /// Uniform: how long the growth lasts at all.
    pub(crate) fate: f64,
}

/// What is changed about a future.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Turn {
    /// Load times this.
    pub(crate) load: f64,
    /// The growth begins anew, as after a restart.
    pub(crate) anew: bool,
}

impl Default for Turn {
    fn default() -> Self {
        Self { load: 1.0, anew: false }
    }
}

impl Draw {
    /// Draws the parameters of a component.
    pub(crate) fn new(one: &Component, bins: &Bins, (load, work): (&Load, f64), rng: &mut Rng) -> Self {
        // Student's t: the normal over the root of chi² by its freedom, which is drawn by Wilson and Hilferty (1931).
        let ninth = 2.0 / (9.0 * one.freedom);
        let chi = (1.0 - ninth + rng.normal() * ninth.sqrt()).powi(3).max(0.05);
        let factor = one.factor + one.factor_sd * rng.normal() / chi.sqrt();
        let rate = factor.max(0.02 * one.factor) * bins.scale;
        let motion = match one.course {
            Course::Ended => Motion::Ended,
            Course::Even => Motion::Even(rate),
            Course::Worked if work > 0.0 => Motion::Worked(rate / work, load.draw(rng)),
            Course::Worked => Motion::Even(rate),
            Course::Faster(power) => Motion::Faster(rate, power),
            Course::Slower(constant) => {
                Motion::Slower(rate * (-1.0 / constant).exp(), constant * one.lasted_s)
            }
        };
        let sigma = one.noise * bins.scale * bins.span_s.sqrt() / chi.sqrt();
        Self { motion, lasted_s: one.lasted_s, sigma, z: rng.normal(), fate: rng.uniform() }
    }

    /// The number of the last family.
    pub(crate) const FAMILIES: u8 = 5;

    /// The family of shapes it was drawn from.
    pub(crate) fn family(&self) -> u8 {
        match self.motion {
            Motion::Ended => 0,
            Motion::Even(_) => 1,
            Motion::Worked(..) => 2,
            Motion::Faster(..) => 3,
            Motion::Slower(..) => 4,
            Motion::Jumps(_) => Self::FAMILIES,
        }
    }

    /// A future of which only the pace is known.
    pub(crate) fn even(rate: f64, lasted_s: f64) -> Self {
        Self { motion: Motion::Even(rate), lasted_s, sigma: 0.0, z: 0.0, fate: 0.5 }
    }

    /// A future in jumps.
    pub(crate) fn jumping(jumps: Vec<(f64, f64)>, lasted_s: f64, fate: f64) -> Self {
        Self { motion: Motion::Jumps(jumps), lasted_s, sigma: 0.0, z: 0.0, fate }
    }

    /// Seconds until it has risen by `height`, infinite if it never does.
    pub(crate) fn arrival(&self, height: f64, turn: Turn) -> f64 {
        if height <= 0.0 {
            return 0.0;
        }
        let undisturbed = self.passage(height, turn);
        if self.sigma == 0.0 || !undisturbed.is_finite() {
            return undisturbed;
        }
        // Noise moves the path by about this much by then; what it moves the passage by follows from the path itself.
        let moved = self.sigma * undisturbed.sqrt() * self.z;
        self.passage((height - moved).max(0.02 * height), turn)
    }

    /// Probability to have risen by `height` within `t`, which it `reached` by itself: in closed form where the drift is
    /// even.
    pub(crate) fn within(&self, t: f64, height: f64, reached: f64) -> f64 {
        match self.motion {
            Motion::Even(rate) => first_passage(t, height, rate, self.sigma),
            _ => f64::from(u8::from(reached <= t)),
        }
    }

    fn passage(&self, height: f64, turn: Turn) -> f64 {
        match &self.motion {
            Motion::Ended => f64::INFINITY,
            Motion::Even(rate) => height / rate,
            Motion::Worked(per_unit, wave) => wave.when(height / (per_unit * turn.load)),
            Motion::Faster(rate, power) => self.faster(height, *rate, *power, turn.anew),
            Motion::Slower(rate, constant_s) => {
                let rate = if turn.anew { rate * (self.lasted_s / constant_s).exp() } else { *rate };
                let left = 1.0 - height / (rate * constant_s);
                if left <= 0.0 { f64::INFINITY } else { -constant_s * left.ln() }
            }
            Motion::Jumps(jumps) => {
                let reached = jumps.iter().find(|(_, risen)| *risen >= height);
                reached.map_or(f64::INFINITY, |(at, _)| *at)
            }
        }
    }

    /// Solves ∫ rate (1 + v/T)^p dv = height over v from 0, or from −T when it begins anew.
    fn faster(&self, height: f64, rate: f64, power: f64, anew: bool) -> f64 {
        let age = self.lasted_s;
        let risen = height * (power + 1.0) / (rate * age);
        if anew {
            return age * risen.powf(1.0 / (power + 1.0));
        }
        age * ((1.0 + risen).powf(1.0 / (power + 1.0)) - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(motion: Motion) -> Draw {
        Draw { motion, lasted_s: 10.0, sigma: 0.0, z: 0.0, fate: 0.5 }
    }

    #[test]
    fn passages_are_exact_without_noise() {
        let now = Turn::default();
        assert_eq!(draw(Motion::Even(2.0)).arrival(8.0, now), 4.0);
        assert_eq!(draw(Motion::Ended).arrival(8.0, now), f64::INFINITY);
        // x = t² from t = 10 where the rate is 20: 100 to 400 takes 10 s; anew, 400 takes 20 s.
        let parabola = draw(Motion::Faster(20.0, 1.0));
        assert!((parabola.arrival(300.0, now) - 10.0).abs() < 1e-9);
        assert!((parabola.arrival(400.0, Turn { anew: true, ..now }) - 20.0).abs() < 1e-9);
        // 50 (1 - exp(-t/10)) is left to rise.
        let approach = draw(Motion::Slower(5.0, 10.0));
        assert!((approach.arrival(25.0, now) - 10.0 * 2f64.ln()).abs() < 1e-9);
        assert_eq!(approach.arrival(51.0, now), f64::INFINITY);
        assert_eq!(draw(Motion::Jumps(vec![(3.0, 5.0), (7.0, 9.0)])).arrival(6.0, now), 7.0);
    }

    #[test]
    fn noise_is_paired_and_monotone_in_the_height() {
        let noisy = Draw { sigma: 0.5, z: -1.0, ..draw(Motion::Even(2.0)) };
        assert!(noisy.arrival(8.0, Turn::default()) > 4.0);
        assert!(noisy.arrival(12.0, Turn::default()) > noisy.arrival(8.0, Turn::default()));
        assert!((noisy.within(4.0, 8.0, 4.1) - 0.5).abs() < 0.05);
    }
}
