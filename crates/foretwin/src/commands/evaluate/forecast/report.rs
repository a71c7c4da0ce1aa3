//! What `foretwin evaluate forecast` writes and prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use foretwin_core::Rng;
use foretwin_learn::Choice;
use serde_json::{Value, json};

/// Steps ahead.
pub const HORIZONS: [usize; 4] = [1, 10, 60, 600];
/// What others are compared with.
const OWN: &str = "foretwin";
/// Samples of the bootstrap.
const SAMPLES: usize = 2000;

/// Errors at a horizon, in units of the mean absolute change over the season on training data.
pub struct Error {
    pub horizon: usize,
    pub mase: f64,
    pub rmse: f64,
    /// Continuous ranked probability score in the same units, and the part of the truth within the 90 % band, missing
    /// where there is none.
    pub crps: f64,
    pub coverage: f64,
}

/// What was measured of one series.
pub struct Measured {
    pub name: String,
    pub errors: Vec<(&'static str, Vec<Error>)>,
    pub choices: Vec<Choice>,
    pub train_cpu_s: f64,
}

impl Measured {
    fn error(&self, method: &str, horizon: usize) -> Option<&Error> {
        let (_, errors) = self.errors.iter().find(|(name, _)| *name == method)?;
        errors.iter().find(|error| error.horizon == horizon)
    }
}

/// `forecast.csv`: every series, method and horizon; `choices.csv`: how each metric is expected.
pub fn write(out: &Path, results: &[Measured]) -> Result<()> {
    let mut errors = String::from("series,method,horizon,mase,rmse,crps,coverage90\n");
    let mut choices = String::from("series,column,lead_s,method,held_out_error\n");
    for result in results {
        for (method, per_horizon) in &result.errors {
            for error in per_horizon {
                let _ = writeln!(
                    errors,
                    "{},{method},{},{:.5},{:.5},{:.5},{:.3}",
                    result.name, error.horizon, error.mase, error.rmse, error.crps, error.coverage
                );
            }
        }
        for choice in &result.choices {
            let method = serde_json::to_string(&choice.method).unwrap_or_default().replace(',', ";");
            let _ = writeln!(
                choices,
                "{},{},{},{method},{:.4}",
                result.name, choice.column, choice.lead_s, choice.error
            );
        }
    }
    for (name, text) in [("forecast.csv", errors), ("choices.csv", choices)] {
        std::fs::write(out.join(name), text)
            .with_context(|| format!("writing {}", out.join(name).display()))?;
    }
    Ok(())
}

/// A method at a horizon, over all series.
struct Pooled {
    method: &'static str,
    horizon: usize,
    series: usize,
    mase: f64,
    rmse: f64,
    crps: f64,
    coverage: f64,
    /// Geometric mean of Foretwin's score over this one's, as for the error.
    crps_ratio: [f64; 3],
    /// Geometric mean of Foretwin's error over this one's, with a 95 % interval by the bootstrap over series.
    ratio: [f64; 3],
    /// Series in which Foretwin was better.
    wins: usize,
}

fn pooled(results: &[Measured]) -> Vec<Pooled> {
    let mut all = Vec::new();
    let mut methods: Vec<&'static str> = Vec::new();
    results.iter().flat_map(|result| &result.errors).for_each(|(name, _)| {
        if !methods.contains(name) {
            methods.push(name);
        }
    });
    for horizon in HORIZONS {
        for &method in &methods {
            let pairs: Vec<(&Error, &Error)> =
                results.iter().filter_map(|r| r.error(OWN, horizon).zip(r.error(method, horizon))).collect();
            if pairs.is_empty() {
                continue;
            }
            let n = pairs.len() as f64;
            let log_ratio = |of: fn(&Error) -> f64| -> Vec<f64> {
                pairs.iter().map(|(own, other)| ((of(own) + 1e-6) / (of(other) + 1e-6)).ln()).collect()
            };
            let ratios = log_ratio(|error| error.mase);
            let covered: Vec<f64> =
                pairs.iter().map(|(_, other)| other.coverage).filter(|part| part.is_finite()).collect();
            all.push(Pooled {
                method,
                horizon,
                series: pairs.len(),
                mase: pairs.iter().map(|(_, other)| other.mase).sum::<f64>() / n,
                rmse: pairs.iter().map(|(_, other)| other.rmse).sum::<f64>() / n,
                crps: pairs.iter().map(|(_, other)| other.crps).sum::<f64>() / n,
                coverage: covered.iter().sum::<f64>() / covered.len() as f64,
                crps_ratio: interval(&log_ratio(|error| error.crps)).map(f64::exp),
                ratio: interval(&ratios).map(f64::exp),
                wins: ratios.iter().filter(|ratio| **ratio < 0.0).count(),
            });
        }
    }
    all
}

/// Mean and 95 % interval by the bootstrap.
fn interval(values: &[f64]) -> [f64; 3] {
    let (mut rng, n) = (Rng::new(1), values.len());
    let mean = values.iter().sum::<f64>() / n as f64;
    let mut means: Vec<f64> = (0..SAMPLES)
        .map(|_| (0..n).map(|_| values[rng.below(n as u64) as usize]).sum::<f64>() / n as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    [mean, means[SAMPLES / 40], means[SAMPLES - SAMPLES / 40 - 1]]
}

/// One JSON document.
pub fn summary(results: &[Measured], seed: u64) -> Value {
    let series: BTreeMap<&String, Value> = results
        .iter()
        .map(|result| {
            let errors: BTreeMap<&str, Vec<Value>> = result
                .errors
                .iter()
                .map(|(name, errors)| {
                    let one = |e: &Error| json!({"horizon": e.horizon, "mase": e.mase, "rmse": e.rmse});
                    (*name, errors.iter().map(one).collect())
                })
                .collect();
            (&result.name, json!({"errors": errors, "train_cpu_s": result.train_cpu_s}))
        })
        .collect();
    let pooled: Vec<Value> = pooled(results)
        .iter()
        .map(|p| {
            json!({"method": p.method, "horizon": p.horizon, "series": p.series, "mase": p.mase, "rmse": p.rmse,
                "foretwin_ratio": p.ratio[0], "low": p.ratio[1], "high": p.ratio[2], "wins": p.wins,
                "crps": p.crps, "coverage90": p.coverage, "foretwin_crps_ratio": p.crps_ratio[0],
                "crps_low": p.crps_ratio[1], "crps_high": p.crps_ratio[2]})
        })
        .collect();
    json!({"seed": seed, "pooled": pooled, "series": series})
}

/// The pooled table, for people.
pub fn print(results: &[Measured]) {
    println!(
        "{:>5}  {:<15} {:>7} {:>8} {:>8} {:>8} {:>6}  foretwin / method: MASE (95 %), CRPS (95 %)   better in",
        "steps", "method", "series", "MASE", "RMSE", "CRPS", "in 90%"
    );
    for p in pooled(results) {
        let ([ratio, low, high], [score, least, most]) = (p.ratio, p.crps_ratio);
        println!(
            "{:>5}  {:<15} {:>7} {:>8.3} {:>8.3} {:>8.3} {:>5.0}%  {ratio:.3} ({low:.3} to {high:.3}), \
             {score:.3} ({least:.3} to {most:.3})     {}",
            p.horizon,
            p.method,
            p.series,
            p.mase,
            p.rmse,
            p.crps,
            100.0 * p.coverage,
            p.wins
        );
    }
    let cpu: f64 = results.iter().map(|result| result.train_cpu_s).sum::<f64>() / results.len().max(1) as f64;
    println!("training: {cpu:.2} core-seconds a series");
}
