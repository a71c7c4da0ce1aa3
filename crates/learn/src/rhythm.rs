//! What surprises by the clock: a job that runs every day at six raises no alarm at six, and does at three.
//!
//! Surprises are gathered by time of day, and by time of week once two weeks were seen. A visit is one passage through
//! an interval of the clock; an interval has an effect only if most of its visits agree, or the latest three do, so that
//! a single incident teaches nothing. Two effects: a *widening* of the scale where surprises of those visits are far
//! above those of ordinary intervals, and a *shift* of the mean where it is off in the same direction on most visits,
//! and correcting it helps on the last visit, which is held out. Scales are never narrowed.
//!
//! Surprises are numbered: those of the targets, of the targets' second look, of constants that moved.

use foretwin_core::{DAY_US, Timestamp};
use serde::{Deserialize, Serialize};

use crate::span::{Span, merged};

/// Intervals of a day; fewer where frames are rarer.
const PER_DAY: i64 = 288;
/// Widening below this is none.
const LEAST: f32 = 1.4;
/// A widening or shift must be this many standard errors from none.
const CERTAIN: f32 = 3.0;
/// The largest widening. A surprise is believed up to a bound only after it was divided by this.
const WIDEST: f32 = 1e4;
/// The largest mean surprise that can be a shift.
const FARTHEST: f32 = 100.0;
/// So many visits in a row are enough, whatever was before them: a job that is new on an instance that is not.
const LATEST: usize = 3;
/// Of the visits that agree, this part is not beyond the widening.
const UPPER: f32 = 0.75;
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

/// One passage through an interval: per target the largest, the mean and the mean squared surprise.
struct Visit {
    interval: i64,
    peaks: Vec<f32>,
    means: Vec<f32>,
    squares: Vec<f32>,
    counts: Vec<u32>,
}

impl Visit {
    fn new(interval: i64, width: usize) -> Self {
        let zeros = || vec![0.0; width];
        Self { interval, peaks: zeros(), means: zeros(), squares: zeros(), counts: vec![0; width] }
    }

    /// Takes what another one saw of the same passage.
    fn join(&mut self, other: &Self) {
        for n in 0..self.counts.len() {
            let all = (self.counts[n] + other.counts[n]).max(1) as f32;
            let part = other.counts[n] as f32 / all;
            self.peaks[n] = self.peaks[n].max(other.peaks[n]);
            self.means[n] += (other.means[n] - self.means[n]) * part;
            self.squares[n] += (other.squares[n] - self.squares[n]) * part;
            self.counts[n] += other.counts[n];
        }
    }
}

/// Gathers surprises.
pub(crate) struct Gatherer {
    step_us: i64,
    interval_us: i64,
    /// So many of the first can be shifted.
    shifted: usize,
    visits: Vec<Visit>,
    span: Option<(Timestamp, Timestamp)>,
}

impl Gatherer {
    /// For frames `step_s` apart. The first `shifted` surprises may have a shift, those behind are only widened.
    pub fn new(step_s: f64, shifted: usize) -> Self {
        let step_us = ((step_s * 1e6) as i64).max(1);
        let intervals = (DAY_US / step_us).clamp(1, PER_DAY);
        Self { step_us, interval_us: DAY_US / intervals, shifted, visits: Vec::new(), span: None }
    }

    /// Takes the surprises of a frame: per target, in deviations; NaN where there was none.
    pub fn take(&mut self, at: Timestamp, surprises: impl Iterator<Item = f32> + Clone) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
        let interval = at.0.div_euclid(self.interval_us);
        if self.visits.last().is_none_or(|visit| visit.interval != interval) {
            self.visits.push(Visit::new(interval, surprises.clone().count()));
        }
        let Some(visit) = self.visits.last_mut() else { return };
        for (n, surprise) in surprises.enumerate().filter(|(_, surprise)| !surprise.is_nan()) {
            visit.counts[n] += 1;
            visit.peaks[n] = visit.peaks[n].max(surprise.abs());
            visit.means[n] += (surprise - visit.means[n]) / visit.counts[n] as f32;
            visit.squares[n] += (surprise * surprise - visit.squares[n]) / visit.counts[n] as f32;
        }
    }

    /// What was learned; nothing before two full days, or where no interval differs from the others.
    pub fn finish(mut self) -> Option<Rhythm> {
        let (first, last) = self.span?;
        self.visits.sort_by_key(|visit| visit.interval);
        self.visits.dedup_by(|later, earlier| {
            let same = later.interval == earlier.interval;
            if same {
                earlier.join(later);
            }
            same
        });
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
            let shifts = match target < self.shifted {
                true => self.shifts(target, &places),
                false => vec![0.0; intervals],
            };
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
            self.seen(target, place).map(|visit| visit.means[target].clamp(-FARTHEST, FARTHEST)).collect()
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
        let off = |visit: &Visit, shift: f32| (visit.means[target] - shift).abs();
        let peak = |visit: &Visit, shift: f32| if single { off(visit, shift) } else { visit.peaks[target] };
        // What lasts fills the average of evidence, though no frame of it stands out among its own.
        let size = |visit: &Visit, _: f32| visit.squares[target].sqrt();
        let mut wider = self.wider(target, (places, shifts), peak);
        if single {
            return wider;
        }
        let sizes = self.wider(target, (places, shifts), size);
        wider.iter_mut().zip(sizes).for_each(|(wider, size)| *wider = wider.max(size));
        // A job that starts a little earlier or later, and the evidence that it leaves behind, cross the border.
        let near = |n: usize, by: usize| wider[(n + by) % wider.len()];
        (0..wider.len()).map(|n| near(n, wider.len() - 1).max(near(n, 0)).max(near(n, 1))).collect()
    }

    /// The same by one measure of a visit, given the shift of its interval.
    fn wider(
        &self,
        target: usize,
        (places, shifts): (&[Vec<usize>], &[f32]),
        measure: impl Fn(&Visit, f32) -> f32,
    ) -> Vec<f32> {
        let logarithm = |visit: &Visit, shift: f32| measure(visit, shift).clamp(0.05, WIDEST).ln();
        let places = places.iter().zip(shifts);
        let visits = places.map(|(place, &shift)| -> Vec<f32> {
            self.seen(target, place).map(|visit| logarithm(visit, shift)).collect()
        });
        let visits: Vec<Vec<f32>> = visits.collect();
        let all: Vec<f32> = visits.iter().flatten().copied().collect();
        // Constants that stay are many, and say nothing.
        if all.windows(2).all(|pair| pair[0].total_cmp(&pair[1]).is_eq()) {
            return vec![1.0; visits.len()];
        }
        let (Some(ordinary), spread) = (middle(&all), deviation(&all)) else {
            return vec![1.0; visits.len()];
        };
        let widening = |visits: &Vec<f32>| {
            let latest = visits.len().checked_sub(LATEST).map(|from| &visits[from..]);
            let least = latest.and_then(|latest| Some((lowest(latest)?, LATEST)));
            let most = middle(visits).map(|median| (median, visits.len()));
            let agreed = [most, least].into_iter().flatten().filter(|&(level, count)| {
                count >= 2 && level - ordinary > CERTAIN * 1.25 * spread / (count as f32).sqrt()
            });
            let Some(level) = agreed.map(|(level, _)| level).max_by(f32::total_cmp) else { return 1.0 };
            let mut agree: Vec<f32> = visits.iter().copied().filter(|visit| *visit >= level).collect();
            agree.sort_unstable_by(f32::total_cmp);
            let upper = agree.get(((agree.len() as f32 * UPPER).ceil() as usize).saturating_sub(1));
            let widening = (upper.copied().unwrap_or(level) - ordinary).exp();
            if widening > LEAST { widening } else { 1.0 }
        };
        visits.iter().map(widening).collect()
    }
}

impl Rhythm {
    /// Learns from surprises in order of time: `frames` gives the moment of each and, per target, the surprise in
    /// deviations.
    #[cfg(test)]
    pub fn fit(step_s: f64, frames: impl Iterator<Item = (Timestamp, Vec<f32>)>) -> Option<Self> {
        let mut gatherer = Gatherer::new(step_s, usize::MAX);
        frames.for_each(|(at, surprises)| gatherer.take(at, surprises.iter().copied()));
        gatherer.finish()
    }

    /// Whether it makes sense for so many surprises.
    pub fn is_sound(&self, surprises: usize) -> bool {
        let sound = |effect: &Effect| {
            (effect.target as usize) < surprises && effect.widening >= 1.0 && effect.shift.is_finite()
        };
        self.cycles.len() <= 2
            && self.cycles.iter().all(|cycle| {
                cycle.intervals > 0
                    && cycle.length_us >= i64::from(cycle.intervals)
                    && cycle.effects.iter().all(|(_, effects)| effects.iter().all(sound))
            })
    }

    /// Spans between two moments in which scales are at least `widening` times as wide, those of the week from `early`
    /// on and those of the day from `from` on.
    pub fn spans(&self, (early, from, to): (Timestamp, Timestamp, Timestamp), widening: f32) -> Vec<Span> {
        let mut spans = Vec::new();
        for cycle in &self.cycles {
            let long_us = (cycle.length_us / i64::from(cycle.intervals)).max(1);
            let from = if cycle.length_us > DAY_US { early } else { from };
            let wide = |effects: &[Effect]| effects.iter().any(|effect| effect.widening >= widening);
            for (interval, _) in cycle.effects.iter().filter(|(_, effects)| wide(effects)) {
                let phase = i64::from(*interval) * long_us;
                let first = (from.0 - phase).div_euclid(cycle.length_us);
                let starts = (first..).map(|turn| Timestamp(turn * cycle.length_us + phase));
                let starts = starts.take_while(|start| *start < to);
                spans.extend(starts.map(|start| (start.max(from), (start + long_us).min(to))));
            }
        }
        merged(&spans)
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

    /// The same for the second look at a target of so many: at least as wide as the first.
    pub fn look_back(&self, target: usize, targets: usize) -> (f32, f32) {
        let ((shift, near), (_, far)) = (self.expect(target), self.expect(targets + target));
        (shift, near.max(far))
    }

    /// Factor of what a constant moved by, for constant `n` behind so many targets.
    pub fn moves(&self, n: usize, targets: usize) -> f32 {
        self.expect(2 * targets + n).1
    }
}

/// The lower median.
fn middle(values: &[f32]) -> Option<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

fn lowest(values: &[f32]) -> Option<f32> {
    values.iter().copied().min_by(f32::total_cmp)
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
    fn three_mornings_are_enough_after_any_number_of_quiet_ones() {
        let from =
            |first| move |day, of_day: i64| if day >= first && of_day < HOUR_US / 4 { 20.0 } else { 1.0 };
        let at = |rhythm: Option<Rhythm>| rhythm.map_or(1.0, |rhythm| rhythm.at(Timestamp(0)).expect(1).1);
        assert!(at(week(10, 9, from(6))) > 8.0);
        assert_eq!(at(week(10, 9, from(7))), 1.0, "two are not");
    }

    #[test]
    fn times_of_much_more_than_usual_are_named() {
        let job = |_, of_day: i64| if of_day < HOUR_US / 4 { 20.0 } else { 1.0 };
        let rhythm = week(10, 7, job).unwrap();
        let day = |day: i64| Timestamp(day * DAY_US);
        let spans = rhythm.spans((day(0), day(8), day(9)), 3.0);
        // With the intervals beside it.
        let minutes = |n: i64| n * 60_000_000;
        assert_eq!(spans, [(day(8), day(8) + minutes(20)), (day(9) - minutes(5), day(9))]);
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
