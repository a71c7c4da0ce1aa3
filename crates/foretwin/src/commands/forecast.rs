//! `foretwin forecast`: ask a running node what metrics will be.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use crate::commands::client::{Client, encoded};
use crate::commands::top::words::quantity;

/// With fewer independent errors of late a band is a guess.
const FEW: f64 = 3.0;
/// Rows of a path that are shown.
const ROWS: usize = 12;

#[derive(Debug, Args)]
pub struct ForecastArgs {
    /// Which instance
    instance: String,
    /// Only this metric, as the node names it; may be given several times
    #[arg(long = "metric")]
    metrics: Vec<String>,
    /// How far ahead: seconds, or 15m, 6h, 7d
    #[arg(long, default_value = "1h")]
    horizon: String,
    /// URL of the running node
    #[arg(long, env = "FORETWIN_SERVER", default_value = "http://127.0.0.1:7878")]
    server: String,
    /// One JSON document instead of text
    #[arg(long)]
    json: bool,
}

pub fn forecast(args: &ForecastArgs) -> Result<ExitCode> {
    let metrics: String = args.metrics.iter().map(|key| format!("&metric={}", encoded(key))).collect();
    let points = if args.json { String::new() } else { format!("&points={ROWS}") };
    let (instance, horizon) = (encoded(&args.instance), encoded(&args.horizon));
    let path = format!("/api/v1/instances/{instance}/forecasts?horizon={horizon}{points}{metrics}");
    let answer = Client::new(&args.server).get(&path)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", describe(&answer, !args.metrics.is_empty()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The answer for people: paths of metrics that were asked for by name, of others only where they end.
fn describe(answer: &Value, named: bool) -> String {
    let mut text = String::new();
    for by in items(&answer["by"]) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            text,
            "model version {}: {}; reaches {}",
            by["model_version"],
            by["message"].as_str().unwrap_or("?"),
            span(by["reach_s"].as_f64().unwrap_or(0.0))
        );
    }
    let now = answer["by"][0]["now_us"].as_i64().unwrap_or(0);
    for metric in items(&answer["metrics"]) {
        let (key, unit) = (metric["metric"].as_str().unwrap_or("?"), metric["unit"].as_str().unwrap_or(""));
        let at = items(&metric["at_us"]);
        let shown = if named { 0..at.len() } else { at.len().saturating_sub(1)..at.len() };
        let _ = writeln!(text, "{key}{}", if metric["held"] == true { ", stays" } else { "" });
        for n in shown {
            let ahead_s = (at[n].as_i64().unwrap_or(now) - now) as f64 / 1e6;
            let number = |key: &str| quantity(metric[key][n].as_f64().unwrap_or(f64::NAN), unit);
            let [p10, p50, p90] = ["p10", "p50", "p90"].map(number);
            let few = metric["independent"][n].as_f64().is_some_and(|errors| errors < FEW);
            let few = if few { ", few errors are known" } else { "" };
            let way = way(items(&metric["choices"]), ahead_s);
            let _ = writeln!(text, "  in {:<8} {p50} ({p10} to {p90}){way}{few}", span(ahead_s));
        }
    }
    text
}

/// The way used at a distance, its held-out error, and what the last value came to.
fn way(choices: &[Value], ahead_s: f64) -> String {
    let lead = |one: &&Value| one["lead_s"].as_f64().is_some_and(|lead_s| lead_s >= ahead_s);
    let Some(choice) = choices.iter().find(lead).or(choices.last()) else { return String::new() };
    let error = |one: &Value| one["rms"].as_f64().unwrap_or(f64::NAN);
    let last = items(&choice["beaten"]).iter().find(|one| one["method"] == "last");
    let last = last.map(|one| format!(", last value {:.2}", error(one))).unwrap_or_default();
    format!("  {}, error {:.2}{last}", method(&choice["method"]), error(choice))
}

/// A way in words: a name, or a name with its period.
fn method(value: &Value) -> String {
    let tagged = value.as_object().and_then(|tagged| tagged.iter().next());
    match (value.as_str(), tagged) {
        (Some(name), _) => name.replace('_', " "),
        (_, Some((name, of))) => {
            format!("{} of {}", name.replace('_', " "), span(of["period_s"].as_f64().unwrap_or(0.0)))
        }
        _ => "?".into(),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_told_with_their_way() {
        let answer = json!({
            "by": [{"model_version": 3, "message": "with the shape of the day", "reach_s": 86400.0, "now_us": 0}],
            "metrics": [{"metric": "cpu", "unit": "By", "held": false, "at_us": [60_000_000, 3_600_000_000_i64],
                "p10": [1e6, 2e6], "p50": [2e6, 3e6], "p90": [null, 2e7], "independent": [90.0, 1.5], "choices": [
                    {"lead_s": 60.0, "method": "linear", "rms": 0.25, "beaten": [{"method": "last", "rms": 0.5}]},
                    {"lead_s": 3600.0, "method": {"seasonal": {"period_s": 86400.0}}, "rms": 0.4, "beaten": []}]}]});
        let text = describe(&answer, true);
        for part in [
            "version 3: with the shape of the day; reaches 24.0 h",
            "in 60 s     1.9 MiB (977 KiB to -)  linear, error 0.25, last value 0.50",
            "in 60 min   2.9 MiB (1.9 MiB to 19.1 MiB)  seasonal of 24.0 h, error 0.40, few errors are known",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!describe(&answer, false).contains("in 60 s"), "only the end of what was not named");
    }
}
