//! Demand that resembles the original, from its profile and a seed.

use std::sync::Arc;

use super::fit::cholesky;
use super::{Demand, Profile, normal, quantiles};
use crate::rng::Rng;
use crate::time::Timestamp;

/// State of one track: noise, short and slow memory, each of variance 1.
type Parts = [f64; 3];

/// Walks through a profile. The same profile, seed and moments give the same demand.
#[derive(Debug, Clone)]
pub struct Generator {
    profile: Arc<Profile>,
    /// Turns independent innovations into correlated ones: tracks × tracks, lower triangle.
    lower: Vec<f64>,
    parts: Vec<Parts>,
    rng: Rng,
    last: Option<Timestamp>,
    /// When the noise was drawn: it holds for a step of the profile.
    drawn: Timestamp,
}

impl Generator {
    /// Begins at rest with a state drawn from the long run.
    #[must_use]
    pub fn new(profile: Arc<Profile>, seed: u64) -> Self {
        let count = profile.tracks.len();
        let independent =
            || (0..count * count).map(|at| f64::from(u8::from(at / count == at % count))).collect();
        let lower = cholesky(&profile.correlation, count).unwrap_or_else(independent);
        let parts = vec![[0.0; 3]; count];
        let mut made =
            Self { profile, lower, parts, rng: Rng::new(seed), last: None, drawn: Timestamp(i64::MIN) };
        made.walk(f64::INFINITY, true);
        made
    }

    /// The profile that it follows.
    #[must_use]
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// The demand at a moment, not before the one asked for last. Dimensions that the profile does not know are 0.
    pub fn next(&mut self, at: Timestamp) -> Demand {
        let passed_s = self.last.map_or(0.0, |last| at.since(last).max(0.0));
        let step_us = (f64::from(self.profile.step_s) * 1e6) as i64;
        let is_due = at.0.saturating_sub(self.drawn.0) >= step_us;
        if is_due {
            self.drawn = at;
        }
        self.walk(passed_s, is_due);
        self.last = Some(at);
        let mut demand = Demand::NONE;
        for (track, parts) in self.profile.tracks.iter().zip(&self.parts) {
            let shares = track.transition.parts(1.0);
            let score: f64 = shares.iter().zip(parts).map(|((share, _), part)| share.sqrt() * part).sum();
            let value = quantiles::value(&track.at(self.profile.cycle, at), normal::cdf(score));
            demand.0[track.dimension.index()] = value.max(0.0);
        }
        demand
    }

    /// Lets the memories fade over some seconds, and drives them with correlated innovations.
    fn walk(&mut self, seconds: f64, draws_noise: bool) {
        let count = self.parts.len();
        for part in 0..3 {
            if part == 0 && !draws_noise {
                continue;
            }
            let independent: Vec<f64> = (0..count).map(|_| self.rng.normal()).collect();
            for track in 0..count {
                let row = &self.lower[track * count..=track * count + track];
                let driven: f64 = row.iter().zip(&independent).map(|(l, x)| l * x).sum();
                let (_, kept) = self.profile.tracks[track].transition.parts(seconds)[part];
                let state = &mut self.parts[track][part];
                *state = kept * *state + (1.0 - kept * kept).sqrt() * driven;
            }
        }
    }
}
