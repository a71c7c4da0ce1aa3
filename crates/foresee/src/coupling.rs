//! The futures of one growth, held to the probabilities that a prediction states of it.
//!
//! A future is a course (when the growth arrives at a height) and a fate (how long the growth goes on at all). The
//! prediction averages over both by formulas of its own, is moved by what recorded failures taught, and so states another
//! curve than the futures alone give. An intervention is asked of the futures; what it changes must be counted from what
//! was stated. So they are held to it, once, as things are:
//!
//! 1. *Fates* lean: one amount is added to the log odds that every growth goes on, the least amount with which as many
//!    futures fail as was stated. That is how what was learned moves a prediction, too ([`blend`](crate::blend())).
//!    Where more fail than have a course that ever arrives, courses that do take the place of those that do not: what
//!    was stated says that the growth is none of the others.
//! 2. *Courses* stretch: the futures that fail are brought, in their order, between the stated horizons and quantiles, and
//!    no further than that needs. The factor by which the time of a future is longer than its course stays with it, as
//!    in accelerated failure time models (Wei, "The accelerated failure time model", Statistics in Medicine 11, 1992).
//!
//! Under an intervention every future keeps its fate, its stretch and its noise (common random numbers), and only the
//! height, the load or the begin of its course are others.

use std::borrow::Cow;

use crate::Config;
use crate::curve::{Curve, hold};
use crate::growth::{Draw, Growth, Turn};
use crate::persist::Persistence;

/// Futures that are replayed; as many as a growth draws.
pub(crate) const FUTURES: usize = 256;
/// Odds of going on are believed between these probabilities.
const SURE: f64 = 1e-9;
/// Futures of different growths are paired at these strides, so that any two of them are nearly independent: together
/// they fill the unit square to within 1.4 % (a lattice rule: Niederreiter, "Random Number Generation and Quasi-Monte
/// Carlo Methods", 1992, chapter 5).
pub(crate) const STRIDES: [usize; 6] = [1, 95, 75, 47, 67, 121];

/// One future.
#[derive(Debug, Clone)]
struct Future<'a> {
    draw: Cow<'a, Draw>,
    /// Uniform: how long the growth goes on.
    fate: f64,
    /// Seconds from the last sample until it would arrive as things are, if it goes on.
    arrival: f64,
    /// Its time over that of its course.
    stretch: f64,
    /// Seconds from now until it fails as things are.
    before: f64,
}

/// The futures of a growth, in the order of their failing as things are.
#[derive(Debug, Clone)]
pub(crate) struct Coupled<'a> {
    growth: &'a Growth,
    config: &'a Config,
    futures: Vec<Future<'a>>,
    /// Added to the log odds of going on.
    lean: f64,
}

impl<'a> Coupled<'a> {
    /// Draws of a growth as futures, held to what is stated of it if anything is.
    pub(crate) fn new(growth: &'a Growth, config: &'a Config) -> Self {
        let headroom = growth.headroom();
        let future = |draw: Cow<'a, Draw>, fate: f64| {
            let arrival = draw.arrival(headroom, Turn::default());
            Future { draw, fate, arrival, stretch: 1.0, before: f64::INFINITY }
        };
        let count = growth.draws.len();
        let drawn = (0..FUTURES).filter_map(|index| growth.draws.get(index * count / FUTURES));
        let futures = drawn.map(|draw| future(Cow::Borrowed(draw), draw.fate)).collect();
        let mut coupled = Self { growth, config, futures, lean: 0.0 };
        if let Some(curve) = growth.stated.as_ref().filter(|_| headroom > 0.0) {
            if coupled.futures.is_empty() {
                let fate = |index: usize| ((index * STRIDES[1]) % FUTURES) as f64 + 0.5;
                let even = |index| future(Cow::Owned(even(growth, curve)), fate(index) / FUTURES as f64);
                coupled.futures = (0..FUTURES).map(even).collect();
            }
            coupled.agree(curve);
        }
        for index in 0..coupled.futures.len() {
            coupled.futures[index].before = coupled.fails_s(index, headroom, (Turn::default(), false));
        }
        coupled.futures.sort_by(|a, b| a.before.total_cmp(&b.before));
        coupled
    }

    /// Whether nothing is known that may come.
    pub(crate) fn is_empty(&self) -> bool {
        self.futures.is_empty()
    }

    /// The growth.
    pub(crate) fn growth(&self) -> &'a Growth {
        self.growth
    }

    /// Seconds from now until future `index` fails as things are.
    pub(crate) fn before_s(&self, index: usize) -> f64 {
        self.futures[index].before
    }

    /// The family of shapes of future `index`.
    pub(crate) fn family(&self, index: usize) -> u8 {
        self.futures[index].draw.family()
    }

    /// Seconds from now until future `index` has risen by `room`, infinite if it never does. Where a change `eases` it is
    /// no sooner than as things are: noise that is drawn once must not say that more room is reached earlier.
    pub(crate) fn fails_s(&self, index: usize, room: f64, (turn, eases): (Turn, bool)) -> f64 {
        let future = &self.futures[index];
        let arrival = future.draw.arrival(room, turn);
        let arrival = if eases { arrival.max(future.arrival) } else { arrival };
        if !arrival.is_finite() || self.margin(future, arrival) >= self.lean {
            return f64::INFINITY;
        }
        (arrival * future.stretch - self.growth.age_s).max(0.0)
    }

    /// Probability that the growth of a future goes on for `t` seconds.
    fn lasts(&self, future: &Future<'_>, t: f64) -> f64 {
        match &self.growth.lasting {
            Some(persistence) => persistence.lasts(t),
            None => {
                self.growth.passing() * Persistence::steady(future.draw.lasted_s, self.config).survival(t)
            }
        }
    }

    /// By how much the log odds of going on for `t` seconds fall short of this future's fate; below zero it goes on.
    fn margin(&self, future: &Future<'_>, t: f64) -> f64 {
        log_odds(future.fate) - log_odds(self.lasts(future, t))
    }

    fn agree(&mut self, curve: &Curve) {
        let failing = curve.failing(self.futures.len());
        self.supply(curve, failing);
        self.lean = self.least_lean(failing);
        self.stretch(curve);
    }

    /// Has at least so many futures arrive.
    fn supply(&mut self, curve: &Curve, failing: usize) {
        let arrives = |future: &Future<'_>| future.arrival.is_finite();
        let donors: Vec<Future<'_>> = self.futures.iter().filter(|one| arrives(one)).cloned().collect();
        let missing = failing.saturating_sub(donors.len());
        let idle = self.futures.iter_mut().filter(|one| !arrives(one));
        for (n, future) in idle.take(missing).enumerate() {
            future.draw = match donors.get(n * donors.len() / missing) {
                Some(donor) => donor.draw.clone(),
                None => Cow::Owned(even(self.growth, curve)),
            };
            future.arrival = future.draw.arrival(self.growth.headroom(), Turn::default());
        }
    }

    /// The amount nearest to nothing with which so many futures fail.
    fn least_lean(&self, failing: usize) -> f64 {
        let arriving = self.futures.iter().filter(|one| one.arrival.is_finite());
        let mut margins: Vec<f64> = arriving.map(|one| self.margin(one, one.arrival)).collect();
        margins.sort_by(f64::total_cmp);
        let last = failing.checked_sub(1).and_then(|last| margins.get(last));
        let last = last.copied().unwrap_or(f64::NEG_INFINITY);
        let next = margins.get(failing).copied().unwrap_or(f64::INFINITY);
        if last < 0.0 && next > 0.0 {
            0.0
        } else if last >= 0.0 {
            0.5 * (last + next.min(last + 1.0))
        } else {
            0.5 * (next + last.max(next - 1.0))
        }
    }

    /// Brings the failing futures to the stated times.
    fn stretch(&mut self, curve: &Curve) {
        let age_s = self.growth.age_s;
        let fails = |index: &usize| {
            let future = &self.futures[*index];
            future.arrival.is_finite() && self.margin(future, future.arrival) < self.lean
        };
        let mut failing: Vec<usize> = (0..self.futures.len()).filter(fails).collect();
        failing.sort_by(|&a, &b| self.futures[a].arrival.total_cmp(&self.futures[b].arrival));
        let natural = |index: &usize| (self.futures[*index].arrival - age_s).max(0.0);
        let mut moments: Vec<f64> = failing.iter().map(natural).collect();
        hold(curve, &mut moments, self.futures.len());
        let factor =
            |(&index, moment): (&usize, f64)| (moment + age_s) / self.futures[index].arrival.max(1e-9);
        let stretches: Vec<f64> = failing.iter().zip(moments).map(factor).collect();
        // Who does not fail as things are has no time to go by, and takes the middle one.
        let mut ascending = stretches.clone();
        ascending.sort_by(f64::total_cmp);
        let middle = ascending.get(ascending.len() / 2).copied().unwrap_or(1.0);
        self.futures.iter_mut().for_each(|future| future.stretch = middle);
        failing.into_iter().zip(stretches).for_each(|(index, one)| self.futures[index].stretch = one);
    }
}

/// A course for what is stated of a growth that has none which arrives: even, and in time.
fn even(growth: &Growth, curve: &Curve) -> Draw {
    let middle_s = curve.middle_s() + growth.age_s;
    Draw::even(growth.headroom() / middle_s, growth.lasted_s.max(middle_s))
}

fn log_odds(p: f64) -> f64 {
    let p = p.clamp(SURE, 1.0 - SURE);
    (p / (1.0 - p)).ln()
}
