//! What surprises by the clock: a job that runs every day at six raises no alarm at six, and does at three.
//!
//! The surprises of the training window are gathered by time of day, and by time of week once two weeks were seen. A
//! visit is one passage through an interval of the clock; an interval has an effect only if most of its visits agree,
//! so that a single incident teaches nothing. Two effects: a *widening* of the scale where the largest surprises of most
//! visits are far above those of ordinary intervals, and a *shift* of the mean where it is off in the same direction on
//! most visits, and correcting it helps on the last visit, which is held out. Scales are never narrowed.

use foretwin_core::{DAY_US, Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::model::Model;
use crate::span::{Span, contains, merged};
use crate::state::Arrival;

/// Intervals of a day; fewer where frames are rarer.
const PER_DAY: i64 = 288;
/// Widening below this is none.
const LEAST: f32 = 1.4;
/// A widening or shift must be this many standard errors from none.
const CERTAIN: f32 = 3.0;
/// The largest widening.
const WIDEST: f32 = 100.0;
/// A shift must cut the squared mean surprise of the last visits by this part.
const WORTH: f32 = 0.05;
/// Standard deviations per median absolute deviation, for a normal distribution.
const PER_MAD: f32 = 1.4826;

/// An effect on one target in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Effect {
    target: u32,
    /// In deviations.
    shift: f32,
    /// Factor of the deviation, at least 1.
    widening: f32,
}

/// A period of the calendar and its effects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cycle {
    length_us: i64,
    intervals: u32,
    /// Per interval with effects, in ascending order.
    effects: Vec<(u32, Vec<Effect>)>,
}

/// What is known of surprises by the clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rhythm {
    cycles: Vec<Cycle>,
}

/// One passage through an interval: per target the largest and the mean surprise.
struct Visit {
    interval: i64,
    peaks: Vec<f32>,
    means: Vec<f32>,
    counts: Vec<u32>,
}

/// Gathers surprises in order of time.
pub(crate) struct Gatherer {
    step_us: i64,
    interval_us: i64,
    visits: Vec<Visit>,
    span: Option<(Timestamp, Timestamp)>,
}

impl Gatherer {
    /// For frames `step_s` apart.
    pub fn new(step_s: f64) -> Self {
        let step_us = ((step_s * 1e6) as i64).max(1);
        let intervals = (DAY_US / step_us).clamp(1, PER_DAY);
        Self { step_us, interval_us: DAY_US / intervals, visits: Vec::new(), span: None }
    }

    /// Takes the surprises of a frame: per target, in deviations; NaN where there was none.
    pub fn take(&mut self, at: Timestamp, surprises: impl Iterator<Item = f32> + Clone) {
        self.span = Some((self.span.map_or(at, |(first, _)| first), at));
        let interval = at.0.div_euclid(self.interval_us);
        if self.visits.last().is_none_or(|visit| visit.interval != interval) {
            let width = surprises.clone().count();
            let (peaks, means, counts) = (vec![0.0; width], vec![0.0; width], vec![0; width]);
            self.visits.push(Visit { interval, peaks, means, counts });
        }
        let Some(visit) = self.visits.last_mut() else { return };
        for (n, surprise) in surprises.enumerate().filter(|(_, surprise)| !surprise.is_nan()) {
            visit.counts[n] += 1;
            visit.peaks[n] = visit.peaks[n].max(surprise.abs());
            visit.means[n] += (surprise - visit.means[n]) / visit.counts[n] as f32;
        }
    }

    /// What was learned; nothing before two full days, or where no interval differs from the others.
    pub fn finish(&self) -> Option<Rhythm> {
        let (first, last) = self.span?;
        let span_us = last.0 - first.0;
        let seen = |length: &i64| span_us + self.step_us >= 2 * length;
        let cycles: Vec<Cycle> =
            [DAY_US, 7 * DAY_US].into_iter().filter(seen).map(|us| self.cycle(us)).collect();
        cycles.iter().any(|cycle| !cycle.effects.is_empty()).then_some(Rhythm { cycles })
    }

    fn cycle(&self, length_us: i64) -> Cycle {
        let intervals = (length_us / self.interval_us) as usize;
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); intervals];
        for (n, visit) in self.visits.iter().enumerate() {
            places[visit.interval.rem_euclid(intervals as i64) as usize].push(n);
        }
        let mut found: Vec<Vec<Effect>> = vec![Vec::new(); intervals];
        for target in 0..self.visits.first().map_or(0, |visit| visit.peaks.len()) {
            let shifts = self.shifts(target, &places);
            let widenings = self.widenings(target, &places, &shifts);
            for (interval, (&shift, &widening)) in shifts.iter().zip(&widenings).enumerate() {
                if shift != 0.0 || widening > 1.0 {
                    found[interval].push(Effect { target: target as u32, shift, widening });
                }
            }
        }
        let effects = found.into_iter().enumerate().filter(|(_, effects)| !effects.is_empty());
        let effects = effects.map(|(interval, effects)| (interval as u32, effects)).collect();
        Cycle { length_us, intervals: intervals as u32, effects }
    }

    /// The visits of an interval that saw a target.
    fn seen(&self, target: usize, place: &[usize]) -> impl Iterator<Item = &Visit> {
        place.iter().map(|&n| &self.visits[n]).filter(move |visit| visit.counts[target] > 0)
    }

    /// Per interval, how far the mean is off on most visits; 0 where that is not certain or did not help.
    fn shifts(&self, target: usize, places: &[Vec<usize>]) -> Vec<f32> {
        let means = |place: &[usize]| -> Vec<f32> {
            self.seen(target, place).map(|visit| visit.means[target].clamp(-WIDEST, WIDEST)).collect()
        };
        let spread = deviation(&places.iter().flat_map(|place| means(place)).collect::<Vec<_>>());
        let certain = |means: &[f32]| {
            let (Some(median), count) = (middle(means), means.len() as f32) else { return 0.0 };
            let most = means.iter().filter(|mean| (**mean > 0.0) == (median > 0.0)).count() as f32;
            let clear = median.abs() > CERTAIN * 1.25 * spread / count.sqrt() && most > 0.7 * count;
            if count >= 2.0 && clear { median } else { 0.0 }
        };
        let (mut with, mut without) = (0.0, 1e-9);
        for place in places {
            let means = means(place);
            if let Some((last, earlier)) = means.split_last().filter(|(_, earlier)| earlier.len() >= 2) {
                let shift = certain(earlier);
                with += if shift == 0.0 { 0.0 } else { (last - shift).powi(2) };
                without += if shift == 0.0 { 0.0 } else { last.powi(2) };
            }
        }
        if with < (1.0 - WORTH) * without && without > 1e-6 {
            places.iter().map(|place| certain(&means(place))).collect()
        } else {
            vec![0.0; places.len()]
        }
    }

    /// Per interval, how much wider surprises are on most visits than in ordinary intervals, at least 1.
    fn widenings(&self, target: usize, places: &[Vec<usize>], shifts: &[f32]) -> Vec<f32> {
        // Where an interval has a frame or two, the mean says what the shift leaves of the peak.
        let single = 2 * self.step_us >= self.interval_us;
        let peak = |visit: &Visit, shift: f32| {
            let peak = if single { (visit.means[target] - shift).abs() } else { visit.peaks[target] };
            peak.clamp(0.05, WIDEST).ln()
        };
        let peaks: Vec<Vec<f32>> = places
            .iter()
            .zip(shifts)
            .map(|(place, &shift)| self.seen(target, place).map(|visit| peak(visit, shift)).collect())
            .collect();
        let all: Vec<f32> = peaks.iter().flatten().copied().collect();
        let (Some(ordinary), spread) = (middle(&all), deviation(&all)) else {
            return vec![1.0; places.len()];
        };
        let wider: Vec<f32> = peaks
            .iter()
            .map(|peaks| {
                let (Some(median), count) = (middle(peaks), peaks.len() as f32) else { return 1.0 };
                let clear = median - ordinary > CERTAIN * 1.25 * spread / count.sqrt();
                let widening = (median - ordinary).exp();
                if count >= 2.0 && clear && widening > LEAST { widening } else { 1.0 }
            })
            .collect();
        if single {
            return wider;
        }
        // A job that starts a little earlier or later, and the evidence that it leaves behind, cross the border.
        let near = |n: usize, by: usize| wider[(n + by) % wider.len()];
        (0..wider.len()).map(|n| near(n, wider.len() - 1).max(near(n, 0)).max(near(n, 1))).collect()
    }
}

impl Rhythm {
    /// Learns from surprises in order of time: `frames` gives the moment of each and, per target, the surprise in
    /// deviations.
    #[cfg(test)]
    pub fn fit(step_s: f64, frames: impl Iterator<Item = (Timestamp, Vec<f32>)>) -> Option<Self> {
        let mut gatherer = Gatherer::new(step_s);
        frames.for_each(|(at, surprises)| gatherer.take(at, surprises.iter().copied()));
        gatherer.finish()
    }

    /// Whether it makes sense for so many targets.
    pub fn is_sound(&self, targets: usize) -> bool {
        let sound = |effect: &Effect| {
            (effect.target as usize) < targets && effect.widening >= 1.0 && effect.shift.is_finite()
        };
        self.cycles.len() <= 2
            && self.cycles.iter().all(|cycle| {
                cycle.intervals > 0
                    && cycle.length_us >= i64::from(cycle.intervals)
                    && cycle.effects.iter().all(|(_, effects)| effects.iter().all(sound))
            })
    }

    /// The effects at a moment: those of the week where they are wider.
    pub fn at(&self, at: Timestamp) -> Moment<'_> {
        let mut moment = Moment::default();
        for (place, cycle) in moment.cycles.iter_mut().zip(&self.cycles) {
            let interval =
                at.0.rem_euclid(cycle.length_us) / (cycle.length_us / i64::from(cycle.intervals)).max(1);
            let known = cycle.effects.binary_search_by_key(&(interval as u32), |(interval, _)| *interval);
            *place = known.map_or(&[][..], |n| &cycle.effects[n].1);
        }
        moment
    }
}

impl Model {
    /// What is usual at a moment.
    pub(crate) fn usual(&self, at: Timestamp) -> Moment<'_> {
        self.header.rhythm.as_ref().map(|rhythm| rhythm.at(at)).unwrap_or_default()
    }

    /// Learns what is usual by the clock from the model's own surprises over a whole window: a thinned one would miss
    /// most visits. What is left out of learning is left out here too. Nothing before two full days.
    pub(crate) fn rhythm(&self, window: &Window, left_out: &[Span]) -> Option<Rhythm> {
        let (&first, &last) = window.times.first().zip(window.times.last())?;
        if last.0 - first.0 < 2 * DAY_US - (self.header.step_s * 1e6) as i64 {
            return None;
        }
        let (mut state, mut gatherer) = (self.start(), Gatherer::new(self.header.step_s));
        let (recipe, left_out) = (&self.header.recipe, merged(left_out));
        for (row, &at) in window.times.iter().enumerate().filter(|(_, at)| !contains(&left_out, **at)) {
            match state.clock.arrive(at, self.header.step_s) {
                Arrival::Late => continue,
                Arrival::Gap(steps) => self.pause(&mut state, steps),
                Arrival::Next => {}
            }
            for (column, feature) in recipe.features.iter().enumerate() {
                let get = |other: usize| window.columns[other][row];
                let number = recipe.transformed(column, at, get, &mut state.readings[column]);
                state.scratch.z[column] = feature.standardised(number);
            }
            self.settle(&mut state, at);
            if self.judge(&mut state, at) {
                let targets = self.header.shape.targets.iter().zip(&state.scratch.mean).zip(&self.deviation);
                let z = &state.scratch.z;
                gatherer.take(
                    at,
                    targets.map(|((&column, mean), deviation)| (z[column as usize] - mean) / deviation),
                );
            }
        }
        gatherer.finish()
    }
}

/// The effects of one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moment<'a> {
    cycles: [&'a [Effect]; 2],
}

impl Moment<'_> {
    /// Shift in deviations, and factor of the deviation, for a target.
    pub fn expect(&self, target: usize) -> (f32, f32) {
        let effects = self.cycles.iter().filter_map(|effects| {
            let known = effects.binary_search_by_key(&(target as u32), |effect| effect.target);
            known.ok().map(|n| effects[n])
        });
        let widest = effects.max_by(|a, b| a.widening.total_cmp(&b.widening));
        widest.map_or((0.0, 1.0), |effect| (effect.shift, effect.widening))
    }
}

/// The lower median.
fn middle(values: &[f32]) -> Option<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// The standard deviation of the bulk, by the median absolute deviation.
fn deviation(values: &[f32]) -> f32 {
    let Some(center) = middle(values) else { return 0.0 };
    let apart: Vec<f32> = values.iter().map(|value| (value - center).abs()).collect();
    (PER_MAD * middle(&apart).unwrap_or(0.0)).max(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    const HOUR_US: i64 = DAY_US / 24;

    fn week(step_s: i64, days: i64, loud: impl Fn(i64, i64) -> f32) -> Option<Rhythm> {
        let mut rng = Rng::new(1);
        let frames = (0..days * 86_400 / step_s).map(|n| {
            let at = Timestamp(n * step_s * 1_000_000);
            let size = loud(at.0.div_euclid(DAY_US), at.0.rem_euclid(DAY_US));
            (at, vec![rng.normal() as f32, size * rng.normal() as f32])
        });
        Rhythm::fit(step_s as f64, frames)
    }

    #[test]
    fn a_daily_job_widens_its_hour_and_nothing_else() {
        let job = |_, of_day: i64| {
            if (6 * HOUR_US..6 * HOUR_US + 90_000_000).contains(&of_day) { 20.0 } else { 1.0 }
        };
        let rhythm = week(10, 7, job).unwrap();
        let at = |us: i64| rhythm.at(Timestamp(9 * DAY_US + us)).expect(1).1;
        assert!(at(6 * HOUR_US) > 8.0 && at(6 * HOUR_US - 60_000_000) > 8.0, "{}", at(6 * HOUR_US));
        assert!((0..24).filter(|hour| *hour != 6).all(|hour| at(hour * HOUR_US) == 1.0));
        assert_eq!(rhythm.at(Timestamp(9 * DAY_US + 6 * HOUR_US)).expect(0), (0.0, 1.0), "another metric");
    }

    #[test]
    fn an_incident_teaches_nothing_and_neither_does_one_day() {
        let incident = |day, of_day: i64| if day == 3 && of_day < 2 * HOUR_US { 30.0 } else { 1.0 };
        assert_eq!(week(10, 7, incident), None);
        let job = |_, of_day: i64| if of_day < HOUR_US / 4 { 20.0 } else { 1.0 };
        assert_eq!(week(10, 1, job), None);
        assert!(week(10, 2, job).is_some());
    }

    #[test]
    fn what_happens_on_one_day_of_the_week_is_of_that_day() {
        let sunday = |day: i64, of_day: i64| {
            if day.rem_euclid(7) == 3 && (0..HOUR_US / 2).contains(&(of_day - 3 * HOUR_US)) {
                20.0
            } else {
                1.0
            }
        };
        let rhythm = week(60, 21, sunday).unwrap();
        let at = |day: i64| rhythm.at(Timestamp(day * DAY_US + 3 * HOUR_US + 600_000_000)).expect(1).1;
        assert!(at(31) > 5.0 && at(30) == 1.0, "{} {}", at(31), at(30));
    }

    #[test]
    fn rare_frames_get_shifts_where_they_help() {
        let mut rng = Rng::new(2);
        let frames = (0..14 * 24).map(|hour| {
            let jump = if hour % 24 == 6 { 5.0 } else { 0.0 };
            (Timestamp(hour * HOUR_US), vec![jump + rng.normal() as f32])
        });
        let rhythm = Rhythm::fit(3600.0, frames).unwrap();
        let (shift, widening) = rhythm.at(Timestamp(20 * DAY_US + 6 * HOUR_US)).expect(0);
        assert!((shift - 5.0).abs() < 1.0 && widening < 3.0, "{shift} {widening}");
        assert_eq!(rhythm.at(Timestamp(20 * DAY_US + 7 * HOUR_US)).expect(0).0, 0.0);
    }
}
