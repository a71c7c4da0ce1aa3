//! Whether a dimension follows the day or the week, or only wandered when it was watched.

use super::Cycle;
use crate::time::{HOUR_US, Timestamp};

/// Slots must differ this many times more than visits to the same slot do (the F ratio of an analysis of variance). A
/// habit gives tens; what wanders over a day has few independent slots, and reaches 3 by chance.
const LEAST_RATIO: f64 = 4.0;

/// The longest cycle, up to `most`, that the values follow.
pub(super) fn habit(values: impl Iterator<Item = (Timestamp, f64)>, most: Cycle) -> Cycle {
    if most == Cycle::Flat {
        return most;
    }
    let mut visits = visits(values);
    let follows_day = ratio(&visits, Cycle::Day) >= LEAST_RATIO;
    if most == Cycle::Week {
        // What the week adds to the day.
        let day = means(&visits, Cycle::Day);
        for (at, mean) in &mut visits {
            *mean -= day[Cycle::Day.place(*at) as usize].0;
        }
        if ratio(&visits, Cycle::Week) >= LEAST_RATIO {
            return Cycle::Week;
        }
    }
    if follows_day { Cycle::Day } else { Cycle::Flat }
}

/// The mean of each hour that was watched. Rows of one hour are one visit: autocorrelated as they are, they say little
/// more than their mean.
fn visits(values: impl Iterator<Item = (Timestamp, f64)>) -> Vec<(Timestamp, f64)> {
    let mut visits: Vec<(Timestamp, f64, f64)> = Vec::new();
    for (at, value) in values {
        match visits.last_mut() {
            Some((began, sum, count)) if began.0.div_euclid(HOUR_US) == at.0.div_euclid(HOUR_US) => {
                *sum += value;
                *count += 1.0;
            }
            _ => visits.push((at, value, 1.0)),
        }
    }
    visits.into_iter().map(|(began, sum, count)| (began, sum / count)).collect()
}

/// Mean and number of the visits to each slot.
fn means(visits: &[(Timestamp, f64)], cycle: Cycle) -> Vec<(f64, f64)> {
    let mut slots = vec![(0.0, 0.0); cycle.slots()];
    for (at, mean) in visits {
        let slot = &mut slots[cycle.place(*at) as usize];
        slot.1 += 1.0;
        slot.0 += (mean - slot.0) / slot.1;
    }
    slots
}

fn ratio(visits: &[(Timestamp, f64)], cycle: Cycle) -> f64 {
    let slots = means(visits, cycle);
    let used = slots.iter().filter(|(_, count)| *count > 0.0).count() as f64;
    let all = visits.iter().map(|(_, mean)| mean).sum::<f64>() / visits.len().max(1) as f64;
    let between: f64 = slots.iter().map(|(mean, count)| count * (mean - all).powi(2)).sum();
    let within: f64 =
        visits.iter().map(|(at, mean)| (mean - slots[cycle.place(*at) as usize].0).powi(2)).sum();
    let (free_between, free_within) = (used - 1.0, visits.len() as f64 - used);
    if free_between < 1.0 || free_within < 1.0 || between <= 0.0 {
        return 0.0;
    }
    (between / free_between) / (within / free_within).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn habits_are_told_from_wandering() {
        let mut rng = Rng::new(3);
        let mut walk = 0.0;
        let hours: Vec<(f64, f64, f64, f64)> = (0..21 * 24)
            .map(|hour| {
                walk = 0.95 * walk + rng.normal();
                let day = f64::from((hour % 24) / 12) * 3.0 + rng.normal();
                let weekend = f64::from(u8::from((hour / 24) % 7 > 4)) * 5.0;
                (f64::from(hour), walk, day, day - weekend)
            })
            .collect();
        let at = |hour: f64| Timestamp((hour * HOUR_US as f64) as i64);
        assert_eq!(habit(hours.iter().map(|h| (at(h.0), h.1)), Cycle::Week), Cycle::Flat);
        assert_eq!(habit(hours.iter().map(|h| (at(h.0), h.2)), Cycle::Week), Cycle::Day);
        assert_eq!(habit(hours.iter().map(|h| (at(h.0), h.3)), Cycle::Week), Cycle::Week);
        assert_eq!(habit(hours.iter().map(|h| (at(h.0), 1.0)), Cycle::Week), Cycle::Flat);
    }
}
