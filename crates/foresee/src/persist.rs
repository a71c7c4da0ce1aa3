//! How long a trend goes on: most do not.
//!
//! A trend seen for T seconds outlasts another u with probability
//!
//! S(u) = l / (1 + u / 10T) + (1 - l) / (1 + (u / T)^c / A),
//!
//! mostly a log-logistic distribution of the remaining over the elapsed time: scale-free as Lindy's law and Gott's
//! argument ("Implications of the Copernican principle for our future prospects", Nature 363, 1993) say it should be
//! for something whose age is all that is known. A is the odds that a trend of this age and steadiness lasts as long
//! again: it grows with the age relative to an ordinary transient, as a leak is told from a start by outlasting it,
//! and shrinks with every sign that the growth is noise, known ground or already over. The share l are the trends
//! that only a limit ends. The constants were tuned on real processes run to failure and on synthetic workloads that
//! fail or stay well.

use crate::Config;
use crate::climb::Climb;
use crate::shape::{Fits, Line};

/// Exponent c: how sharply trust falls with the ratio of the time ahead to the time seen.
const SHARPNESS: f64 = 4.0;
/// Odds that a steady trend of the age of an ordinary transient lasts as long again.
const ODDS: f64 = 0.13;
/// How the odds grow with the age in units of the transient's.
const AGE_POWER: f64 = 1.9;
/// Age, in transients, beyond which it adds no trust.
const AGE_MOST: f64 = 12.0;
/// Certainty of the rise, in standard deviations, that halves the odds.
const CERTAINTY_HALF: f64 = 2.0;
/// Certainty of the rise at which it is as likely noise as a trend.
const CERTAINTY_REAL: f64 = 1.5;
/// Odds left where the whole rise is over known ground.
const KNOWN_GROUND: f64 = 0.04;
/// Probability to pass a peak at which growth ended before: by Laplace's rule, one success against none.
const HELD_BEFORE: f64 = 1.0 / 3.0;
/// Spread of a running trend's rate over a sixteenth to a quarter of its age, beyond what its bins show.
const RATE_DRIFT: f64 = 0.3;
/// Relative rate that a series still shows after its trend has ended.
const STOPPED_RATE: f64 = 0.08;
/// Prior probability that a trend ended within the window it was seen in.
const ENDED: f64 = 0.12;

/// How long one climb is expected to go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Persistence {
    /// Age T in seconds.
    lasted_s: f64,
    /// Odds A.
    odds: f64,
    /// Share l.
    lasting: f64,
    /// Probability that it has not ended already.
    pub(crate) alive: f64,
}

impl Persistence {
    /// Judges a climb.
    pub(crate) fn new(climb: &Climb, fits: &Fits, config: &Config) -> Self {
        let age = (climb.lasted_s / config.transient_s).min(AGE_MOST);
        let certainty = (fits.best().certainty() / CERTAINTY_HALF).powi(2);
        let steady = certainty / (1.0 + certainty);
        let one_way = climb.efficiency.sqrt();
        let ground = KNOWN_GROUND + (1.0 - KNOWN_GROUND) * climb.new_ground;
        let odds = ODDS * age.powf(AGE_POWER) * steady * one_way * ground;
        let standing = (1.0 - climb.fallen).powi(2);
        let real = (fits.best().certainty() / CERTAINTY_REAL).powi(3);
        let held = (HELD_BEFORE + 5.0 * climb.new_ground).min(1.0);
        let alive = alive(climb, &fits.even) * standing * held * real / (1.0 + real);
        let lasting = config.lasting_share * age / (1.0 + age) * steady * ground;
        Self { lasted_s: climb.lasted_s, odds, lasting, alive }
    }

    /// What a steady trend over new ground is trusted with that has lasted `lasted_s` and has not ended.
    pub(crate) fn steady(lasted_s: f64, config: &Config) -> Self {
        let age = (lasted_s / config.transient_s).min(AGE_MOST);
        let lasting = config.lasting_share * age / (1.0 + age);
        Self { lasted_s: lasted_s.max(1e-3), odds: ODDS * age.powf(AGE_POWER), lasting, alive: 1.0 }
    }

    /// Probability that the trend, if it has not ended, goes on for another `u` seconds.
    pub(crate) fn survival(&self, u: f64) -> f64 {
        let ratio = u / self.lasted_s;
        let passing = 1.0 / (1.0 + ratio.powf(SHARPNESS) / self.odds.max(1e-12));
        self.lasting / (1.0 + 0.1 * ratio) + (1.0 - self.lasting) * passing
    }

    /// Probability that the trend has not ended and goes on for another `u` seconds.
    pub(crate) fn lasts(&self, u: f64) -> f64 {
        self.alive * self.survival(u)
    }
}

/// Probability that the climb has not just ended: the last bins under "as before" against "stopped", for one, two
/// and four bins; the least counts. Bursty growth has wide bins and so forgives a pause, even growth does not.
fn alive(climb: &Climb, even: &Line) -> f64 {
    let mean = climb.rate();
    let n = climb.rates.len();
    if paused_longer_before(&climb.rates, 0.25 * mean) {
        return 1.0;
    }
    let mut least = 1.0f64;
    for bins in [1, 2, 4] {
        let (before, last) = climb.rates.split_at(n - bins);
        if before.is_empty() {
            continue;
        }
        let usual = before.iter().sum::<f64>() / before.len() as f64;
        let variance = before.iter().map(|rate| (rate - usual).powi(2)).sum::<f64>() / before.len() as f64;
        let clumping = (1.0 + even.memory) / (1.0 - even.memory);
        let spread = (variance * clumping / bins as f64 + (RATE_DRIFT * usual).powi(2)).sqrt();
        let now = last.iter().sum::<f64>() / bins as f64;
        let going = normal_density(now, usual, spread);
        let stopped = normal_density(now, 0.0, STOPPED_RATE * mean);
        let ended = ENDED * bins as f64 / n as f64;
        let odds = going * (1.0 - ended) / (stopped * ended).max(f64::MIN_POSITIVE);
        // Faster than usual is not over.
        let p = if now >= 0.7 * usual { 1.0 } else { odds / (1.0 + odds) };
        least = least.min(p);
    }
    least
}

/// Whether at least two earlier pauses, in bins below `slow`, were as long as the one at the end: then that is no news.
fn paused_longer_before(rates: &[f64], slow: f64) -> bool {
    let last = rates.iter().rev().take_while(|&&rate| rate < slow).count();
    let earlier = rates[..rates.len() - last].split(|&rate| rate >= slow).filter(|pause| pause.len() >= last);
    last > 0 && earlier.count() >= 2
}

fn normal_density(x: f64, mean: f64, sd: f64) -> f64 {
    let z = (x - mean) / sd;
    (-0.5 * z * z).exp() / sd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rates: &[f64], lasted_s: f64) -> Persistence {
        let climb = Climb {
            lasted_s,
            rise: rates.iter().sum(),
            bin_s: lasted_s / rates.len() as f64,
            rates: rates.to_vec(),
            efficiency: 1.0,
            new_ground: 1.0,
            fallen: 0.0,
        };
        Persistence::new(&climb, &Fits::new(&climb), &Config::default())
    }

    #[test]
    fn age_earns_trust_and_distance_loses_it() {
        let (young, old) = (judged(&[1.0; 15], 40.0), judged(&[1.0; 15], 196.0));
        assert!(old.survival(60.0) > 0.95 && old.survival(60.0) > old.survival(400.0));
        assert!(young.survival(2000.0) < 0.01 && young.survival(60.0) < 0.2);
    }

    #[test]
    fn an_even_climb_that_pauses_is_over_a_bursty_one_is_not() {
        let mut even = vec![1.0; 14];
        even.push(0.0);
        let bursty = [0.0, 3.0, 0.0, 0.0, 2.0, 0.0, 4.0, 0.0, 3.0, 0.0, 0.0, 3.0, 0.0, 2.0, 0.0];
        assert!(judged(&even, 100.0).alive < 0.2);
        assert!(judged(&bursty, 100.0).alive > 0.5);
    }
}
