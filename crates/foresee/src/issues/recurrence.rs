//! How often it has failed lately, by its own report: all that is known of an instance without telemetry.

use serde_json::Value;

/// What is called lately, in hours.
const LATELY_H: f64 = 168.0;

/// The probability of another failure within `horizon_s`, and the failures of the last week it was taken from: unclean
/// boots, core dumps, OOM kills, restarts of units.
///
/// Failures are taken for a Poisson process of unknown rate. With Jeffreys' prior, n of them in a time T leave a Gamma
/// posterior with shape n + 1/2 and rate T, and the chance of none within h is (T / (T + h))^(n + 1/2) (Gelman et al.,
/// "Bayesian Data Analysis", 2.6 and 2.8).
#[must_use]
pub fn recurrence(document: &Value, horizon_s: f64) -> (f64, f64) {
    let number = |place: &str| document.pointer(place).and_then(Value::as_f64).unwrap_or(0.0);
    let count =
        |place: &str| document.pointer(place).and_then(Value::as_array).map_or(0.0, |list| list.len() as f64);
    let up_h = number("/identity/uptime_s") / 3600.0;
    // What is counted since boot is spread evenly over the time since then.
    let since_boot = |total: f64| total * (LATELY_H / up_h.max(LATELY_H));
    let units = document.pointer("/services/units").and_then(Value::as_array);
    let restarts: f64 = units.into_iter().flatten().filter_map(|unit| unit["restarts"].as_f64()).sum();
    let failures = number("/history/unclean_boots_7d")
        + count("/history/core_dumps_7d")
        + since_boot(number("/memory/oom_kills"))
        + since_boot(restarts);
    let none = (LATELY_H / (LATELY_H + horizon_s.max(0.0) / 3600.0)).powf(failures + 0.5);
    (1.0 - none, failures)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_failed_often_fails_again_sooner() {
        let quiet = json!({"identity": {"uptime_s": 1e6}});
        let (p, failures) = recurrence(&quiet, 3600.0);
        assert!(failures == 0.0 && (0.002..0.004).contains(&p), "{p}");
        let loud = json!({"identity": {"uptime_s": 86_400.0}, "history": {"unclean_boots_7d": 3, "core_dumps_7d": [1, 2]},
            "services": {"units": [{"restarts": 163}]}});
        let (p, failures) = recurrence(&loud, 3600.0);
        assert!(failures == 168.0 && (0.6..0.66).contains(&p), "about one an hour: {p}");
        assert!(recurrence(&loud, 7200.0).0 > p && recurrence(&json!([]), 0.0).0 == 0.0);
    }
}
