//! How far generated demand is from a recorded one: CSV on standard input (`seconds`, then columns named after
//! dimensions), a line per dimension with the distance of the distributions and the autocorrelation per lag, original
//! and generated. Half of the record is fitted where `half` is given, and the other half compared.

use std::io::Read;
use std::sync::Arc;

use foretwin_core::profile::Generator;
use foretwin_core::{Demand, Dimension, Profile, Timestamp};

type Rows = Vec<(Timestamp, Demand)>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let rows = parse(&text).ok_or("give CSV with a column `seconds` and columns named after dimensions")?;
    let halved = std::env::args().nth(1).is_some_and(|argument| argument == "half");
    let (fitted, compared) = if halved { rows.split_at(rows.len() / 2) } else { (&rows[..], &rows[..]) };
    let began = std::time::Instant::now();
    let profile = Profile::fit(fitted, 1).ok_or("too few rows")?;
    eprintln!(
        "{} rows, step {} s, {:?}, fitted in {:?}",
        fitted.len(),
        profile.step_s,
        profile.cycle,
        began.elapsed()
    );
    let (profile, lags) = (Arc::new(profile), [1usize, 5, 20, 60, 240]);
    println!("dimension,ks,{}", lags.map(|lag| format!("acf{lag},twin{lag}")).join(","));
    for track in &profile.tracks {
        let original: Vec<f64> = compared.iter().map(|row| row.1.get(track.dimension)).collect();
        // The mean over seeds: one path of a slow process says little.
        let (mut apart, mut faded) = (0.0, [0.0; 5]);
        for seed in 0..5u64 {
            let mut generator = Generator::new(Arc::clone(&profile), seed);
            let twin: Vec<f64> =
                compared.iter().map(|(at, _)| generator.next(*at).get(track.dimension)).collect();
            apart += distance(&original, &twin) / 5.0;
            faded.iter_mut().zip(lags).for_each(|(sum, lag)| *sum += autocorrelation(&twin, lag) / 5.0);
        }
        let pairs = lags
            .iter()
            .zip(faded)
            .map(|(lag, twin)| format!("{:.3},{twin:.3}", autocorrelation(&original, *lag)));
        println!("{},{apart:.3},{}", track.dimension.as_str(), pairs.collect::<Vec<_>>().join(","));
    }
    Ok(())
}

fn parse(text: &str) -> Option<Rows> {
    let mut lines = text.lines();
    let named = |name: &str| Dimension::ALL.into_iter().find(|dimension| dimension.as_str() == name);
    let columns: Vec<Option<Dimension>> = lines.next()?.split(',').skip(1).map(named).collect();
    lines
        .map(|line| {
            let mut cells = line.split(',');
            let at = Timestamp::from_seconds(cells.next()?.parse().ok()?);
            let mut demand = Demand::UNKNOWN;
            for (cell, dimension) in cells.zip(&columns) {
                demand.0[(*dimension)?.index()] = cell.parse().unwrap_or(f64::NAN);
            }
            Some((at, demand))
        })
        .collect()
}

/// Kolmogorov and Smirnov.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |values: &[f64]| {
        let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    let share =
        |values: &[f64], x: f64| values.partition_point(|value| *value <= x) as f64 / values.len() as f64;
    a.iter().chain(&b).map(|x| (share(&a, *x) - share(&b, *x)).abs()).fold(0.0, f64::max)
}

fn autocorrelation(values: &[f64], lag: usize) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let products = values.iter().zip(values.iter().skip(lag)).map(|(x, y)| (x - mean) * (y - mean));
    products.sum::<f64>() / values.iter().map(|x| (x - mean).powi(2)).sum::<f64>()
}
