//! How good the predictions of held-out training runs are: overall with intervals, and scenario by scenario.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use foretwin_core::Rng;
use foretwin_foresee::Outcome;
use serde_json::{Value, json};

use super::runs::Told;
use super::{HORIZONS_S, JUDGED, Said};

/// Bins of the reliability diagram.
const BINS: usize = 10;
/// Resamples of the runs.
const RESAMPLES: usize = 1000;
/// An alert counts so many seconds before the failure.
const LEAD_S: std::ops::RangeInclusive<f64> = 5.0..=60.0;
/// Scenarios that look like trouble and end well.
const HARD: [&str; 4] = ["cache_plateau", "leak_fixed", "disk_rotate", "leak_step"];

/// One run, judged.
#[derive(Debug, Clone)]
struct Judged {
    scenario: String,
    failed: bool,
    /// Probabilities with what came.
    pairs: Vec<(f64, f64)>,
    alerted: bool,
    /// Origins after the onset of a failing run whose interval held, and all of them.
    inside: (f64, f64),
}

/// All runs, judged.
pub(super) struct Summary {
    runs: Vec<Judged>,
    seed: u64,
}

/// Judges held-out predictions of runs whose outcome is told.
pub(super) fn summarise(checked: Vec<(&Told, Vec<Said>, Outcome)>, seed: u64) -> Summary {
    let runs = checked.into_iter().map(|(told, said, outcome)| judge(told, &said, outcome)).collect();
    Summary { runs, seed }
}

fn judge(told: &Told, said: &[Said], outcome: Outcome) -> Judged {
    let Outcome { ended_s, failed, onset_s, .. } = outcome;
    let mut judged = Judged {
        scenario: told.scenario.clone(),
        failed,
        pairs: Vec::new(),
        alerted: false,
        inside: (0.0, 0.0),
    };
    for one in said.iter().filter(|one| one.t < ended_s) {
        let left_s = ended_s - one.t;
        if failed || left_s >= HORIZONS_S[JUDGED] {
            let came = failed && left_s <= HORIZONS_S[JUDGED];
            judged.pairs.push((one.within[JUDGED], f64::from(u8::from(came))));
        }
        judged.alerted |= one.alert && (!failed || LEAD_S.contains(&left_s));
        if failed && onset_s.is_none_or(|onset| one.t >= onset) {
            let quantiles = one.time_to_failure;
            let low = quantiles.p10.is_some_and(|p10| p10 <= left_s);
            let high = quantiles.p90.is_none_or(|p90| left_s <= p90);
            judged.inside.0 += f64::from(u8::from(low && high));
            judged.inside.1 += 1.0;
        }
    }
    judged
}

/// The numbers of a set of runs.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    brier: f64,
    ece: f64,
    recall: f64,
    false_alerts: f64,
    coverage: f64,
}

impl Numbers {
    fn of(runs: &[&Judged]) -> Self {
        let pairs: Vec<(f64, f64)> = runs.iter().flat_map(|run| run.pairs.iter().copied()).collect();
        let n = pairs.len() as f64;
        let mut bins = [(0.0, 0.0); BINS];
        for &(p, y) in &pairs {
            let bin = &mut bins[((p * BINS as f64) as usize).min(BINS - 1)];
            *bin = (bin.0 + p, bin.1 + y);
        }
        let alerted = |failed: bool| {
            let these = runs.iter().filter(|run| run.failed == failed);
            these.clone().filter(|run| run.alerted).count() as f64 / these.count() as f64
        };
        let inside: (f64, f64) =
            runs.iter().fold((0.0, 0.0), |sum, run| (sum.0 + run.inside.0, sum.1 + run.inside.1));
        Self {
            brier: pairs.iter().map(|(p, y)| (p - y).powi(2)).sum::<f64>() / n,
            ece: bins.iter().map(|(p, y)| (p - y).abs()).sum::<f64>() / n,
            recall: alerted(true),
            false_alerts: alerted(false),
            coverage: inside.0 / inside.1,
        }
    }

    fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("brier", self.brier),
            ("ece", self.ece),
            ("recall", self.recall),
            ("survivors_alerted", self.false_alerts),
            ("coverage", self.coverage),
        ]
    }
}

impl Summary {
    /// Every number with its 95 % interval by resampling runs.
    fn measured(&self) -> Vec<(&'static str, f64, [f64; 2])> {
        let all: Vec<&Judged> = self.runs.iter().collect();
        let mut rng = Rng::new(self.seed);
        let resampled: Vec<Numbers> = (0..RESAMPLES)
            .map(|_| {
                let drawn = all.iter().map(|_| all[rng.below(all.len() as u64) as usize]);
                Numbers::of(&drawn.collect::<Vec<_>>())
            })
            .collect();
        let bounds = |index: usize| {
            let mut values: Vec<f64> = resampled.iter().map(|numbers| numbers.named()[index].1).collect();
            values.sort_by(f64::total_cmp);
            [values[RESAMPLES / 40], values[RESAMPLES - 1 - RESAMPLES / 40]]
        };
        Numbers::of(&all)
            .named()
            .iter()
            .enumerate()
            .map(|(index, &(name, value))| (name, value, bounds(index)))
            .collect()
    }

    /// Runs, failures, mean square error and alerts by scenario.
    fn scenarios(&self) -> BTreeMap<&str, (usize, usize, f64, usize)> {
        let mut all: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
        for run in &self.runs {
            all.entry(&run.scenario).or_default().push(run);
        }
        let row = |(name, runs): (_, Vec<&Judged>)| {
            let failed = runs.iter().filter(|run| run.failed).count();
            let alerted = runs.iter().filter(|run| run.alerted).count();
            (name, (runs.len(), failed, Numbers::of(&runs).brier, alerted))
        };
        all.into_iter().map(row).collect()
    }

    /// One document.
    pub(super) fn json(&self, predicted: usize) -> Value {
        let measured = self
            .measured()
            .into_iter()
            .map(|(name, value, interval)| (name.to_owned(), json!({"value": value, "interval": interval})));
        let scenarios = self.scenarios().into_iter().map(|(name, (runs, failed, brier, alerted))| {
            let hard = HARD.contains(&name);
            let row =
                json!({"runs": runs, "failed": failed, "brier": brier, "alerted": alerted, "hard": hard});
            (name.to_owned(), row)
        });
        json!({
            "runs_predicted": predicted,
            "runs_trained": self.runs.len(),
            "horizon_s": HORIZONS_S[JUDGED],
            "cross_validated": serde_json::Map::from_iter(measured),
            "scenarios": serde_json::Map::from_iter(scenarios),
        })
    }

    /// Lines for people.
    pub(super) fn text(&self, predicted: usize) -> String {
        let mut text =
            format!("{predicted} runs predicted from {} runs; held out among those:\n", self.runs.len());
        for (name, value, [low, high]) in self.measured() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:18} {value:.4} [{low:.4}, {high:.4}]");
        }
        let _ = writeln!(text, "  {:18} runs failed  brier alerted", "scenario");
        for (name, (runs, failed, brier, alerted)) in self.scenarios() {
            let _ = writeln!(text, "  {name:18} {runs:4} {failed:6} {brier:6.4} {alerted:7}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::Quantiles;

    fn said(t: f64, p: f64, alert: bool) -> Said {
        let time_to_failure = Quantiles { p10: Some(5.0), p50: Some(15.0), p90: Some(25.0) };
        Said { t, within: vec![0.0, p, 1.0], time_to_failure, alert }
    }

    #[test]
    fn a_failing_and_a_censored_run_count_as_they_should() {
        let outcome = |ended_s, failed| Outcome { ended_s, failed, mode: None, onset_s: Some(20.0) };
        let told = |failed| Told { scenario: "leak".into(), outcome: outcome(50.0, failed) };
        let said = [said(15.0, 0.0, false), said(35.0, 0.8, true), said(48.0, 1.0, true)];
        let failing = judge(&told(true), &said, outcome(50.0, true));
        assert_eq!(failing.pairs, [(0.0, 0.0), (0.8, 1.0), (1.0, 1.0)]);
        // Within 5 to 25 s: 15 s before the end, not 2 s before it.
        assert_eq!((failing.alerted, failing.inside), (true, (1.0, 2.0)));
        let censored = judge(&told(false), &said, outcome(50.0, false));
        assert_eq!((censored.pairs.len(), censored.inside.1), (1, 0.0));
        let numbers = Numbers::of(&[&failing, &censored]);
        assert!((numbers.brier - 0.01).abs() < 1e-9 && numbers.recall == 1.0 && numbers.false_alerts == 1.0);
    }
}
