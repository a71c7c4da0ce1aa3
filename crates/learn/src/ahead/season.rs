//! Which periods a series has: the day and the week of the calendar, and those that only this instance knows.

use foretwin_core::DAY_US;

use super::grid::Grid;

/// A period counts once it was seen this many times.
const SEEN: usize = 2;
/// Rows that a period of the instance's own is looked for in, the latest.
const ROWS: usize = 4096;
/// Series that are looked at.
const SERIES: usize = 8;
/// Least autocorrelation at a period that counts.
const CLEAR: f64 = 0.3;
/// Periods of its own, at most: of metrics that have different ones.
const OWN: usize = 2;
/// Shortest period looked for, in rows.
const SHORTEST: usize = 4;

/// Periods in rows, shortest first; `rows` is how many there are to learn from.
pub(super) fn seasons(grid: &Grid, rows: usize) -> Vec<usize> {
    let calendar = |us: i64| us % grid.step_us == 0 && us / grid.step_us > 1;
    let mut periods: Vec<usize> = [DAY_US, 7 * DAY_US]
        .iter()
        .filter(|&&us| calendar(us))
        .map(|us| (us / grid.step_us) as usize)
        .collect();
    let mut own: Vec<(f64, usize)> =
        (0..grid.width.min(SERIES)).filter_map(|n| own_period(grid, n, rows)).collect();
    own.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut room = OWN;
    for (_, own) in own {
        let known = periods.iter().any(|&period| {
            let whole = (own as f64 / period as f64).round().max(1.0);
            (own as f64 / (whole * period as f64) - 1.0).abs() < 0.04
        });
        if !known && room > 0 {
            periods.push(own);
            room -= 1;
        }
    }
    periods.retain(|period| rows >= SEEN * period + SHORTEST);
    periods.sort_unstable();
    periods
}

/// Height and lag of the highest peak of a metric's autocorrelation.
fn own_period(grid: &Grid, n: usize, rows: usize) -> Option<(f64, usize)> {
    let used = rows.min(ROWS);
    let longest = used / 3;
    let values: Vec<f32> = grid.column(n).take(rows).skip(rows - used).collect();
    let average = values.iter().sum::<f32>() / used.max(1) as f32;
    let values: Vec<f32> = values.iter().map(|x| (x - average).clamp(-4.0, 4.0)).collect();
    let power: f32 = values.iter().map(|x| x * x).sum();
    if power < 1e-3 * used as f32 {
        return None;
    }
    let correlation = |lag: usize| {
        let product: f32 = values[lag..].iter().zip(&values).map(|(a, b)| a * b).sum();
        f64::from(product / power) * used as f64 / (used - lag) as f64
    };
    let mean: Vec<f64> = (0..=longest).map(correlation).collect();
    // Before it first falls to nothing, autocorrelation is only persistence.
    let first = (1..=longest).find(|&lag| mean[lag] < 0.05)?;
    let (best, height) = (first.max(SHORTEST)..longest)
        .filter(|&lag| mean[lag] >= mean[lag - 1] && mean[lag] >= mean[lag + 1])
        .map(|lag| (lag, mean[lag]))
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    // A multiple of the period is as high as the period itself: take the shortest of nearly equal peaks.
    let shortest = (first.max(SHORTEST)..=best)
        .find(|&lag| mean[lag] >= 0.95 * height && mean[lag] >= mean[lag - 1] && mean[lag] >= mean[lag + 1]);
    (height > CLEAR).then_some((height, shortest.unwrap_or(best)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Rng;

    fn grid(step_us: i64, rows: usize, value: impl Fn(usize) -> f64) -> Grid {
        let schema = foretwin_core::Schema::new(vec![
            foretwin_core::Metric::gauge("x", "1", foretwin_core::Role::Rate)
                .stored(foretwin_core::Storage::F64),
        ]);
        let mut window = foretwin_core::Window::new(foretwin_core::InstanceId::new("s"), schema);
        for n in 0..rows {
            window
                .push(foretwin_core::Timestamp(n as i64 * step_us), &[foretwin_core::Value::float(value(n))]);
        }
        let chosen = crate::table::Rows::choose(&window.times, 100_000);
        let recipe = crate::Recipe::learn(&window, &chosen, &crate::Config::default());
        Grid::new(&window, &recipe, &[0], (step_us, true))
    }

    #[test]
    fn a_period_of_its_own_is_found_and_noise_has_none() {
        let wave = grid(1_000_000, 3000, |n| (n as f64 / 70.0 * std::f64::consts::TAU).sin().powi(3));
        assert_eq!(seasons(&wave, 3000), [70]);
        let mut rng = Rng::new(3);
        let noise: Vec<f64> = (0..3000).map(|_| rng.normal()).collect();
        assert_eq!(seasons(&grid(1_000_000, 3000, |n| noise[n]), 3000), [] as [usize; 0]);
    }

    #[test]
    fn day_and_week_count_once_seen_twice() {
        let hour = 3_600_000_000;
        let daily = |n: usize| (n as f64 / 24.0 * std::f64::consts::TAU).sin();
        assert_eq!(seasons(&grid(hour, 60, daily), 60), [24]);
        assert_eq!(seasons(&grid(hour, 400, daily), 400), [24, 168]);
        assert!(seasons(&grid(hour, 40, daily), 40).is_empty());
    }
}
