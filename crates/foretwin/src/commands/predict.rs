//! `foretwin predict`: ask a running node what will fail.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::PredictArgs;
use crate::commands::client::Client;

pub fn predict(args: &PredictArgs) -> Result<ExitCode> {
    let predictions: Vec<Value> = match &args.instance {
        Some(instance) => vec![ask(args, instance)?],
        None => {
            let living = living(args)?;
            at_risk(living.iter().map(|instance| ask(args, instance)).collect::<Result<_>>()?)
        }
    };
    if args.json {
        let document = if args.instance.is_some() { predictions[0].clone() } else { json!(predictions) };
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else if predictions.is_empty() {
        println!("nothing is at risk within {}", args.horizon);
    } else {
        predictions.iter().for_each(|prediction| print!("{}", describe(prediction)));
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(args: &PredictArgs, instance: &str) -> Result<Value> {
    let body = json!({"instance": instance, "horizon": args.horizon});
    Client::new(&args.server).post("/api/v1/twin/predict", &body)
}

/// Ids of all instances that are there.
fn living(args: &PredictArgs) -> Result<Vec<String>> {
    let all = Client::new(&args.server).get("/api/v1/instances")?;
    let instances = all["instances"].as_array().into_iter().flatten();
    let living = instances.filter(|one| one["alive"] == true);
    Ok(living.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect())
}

/// Those that are worth a person's time, the likeliest first.
fn at_risk(mut predictions: Vec<Value>) -> Vec<Value> {
    let probability = |one: &Value| one["failure_probability"].as_f64().unwrap_or(0.0);
    predictions.retain(|one| probability(one) >= 0.05);
    predictions.sort_by(|a, b| probability(b).total_cmp(&probability(a)));
    predictions
}

/// A few lines for people.
fn describe(prediction: &Value) -> String {
    let mut text = String::new();
    let percent = |value: &Value| value.as_f64().unwrap_or(0.0) * 100.0;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{}: {:.0} % within {}, confidence {:.0} %",
        prediction["instance"].as_str().unwrap_or("?"),
        percent(&prediction["failure_probability"]),
        span(&prediction["horizon_s"]),
        percent(&prediction["confidence"]),
    );
    for risk in prediction["risks"].as_array().into_iter().flatten().filter(|risk| risk["never"] != 1.0) {
        let time = &risk["time_to_failure"];
        let _ = writeln!(
            text,
            "  {} of {}: p10 {}, p50 {}, p90 {}, never {:.0} %",
            risk["mode"].as_str().unwrap_or("?"),
            risk["metric"].as_str().unwrap_or("?"),
            span(&time["p10"]),
            span(&time["p50"]),
            span(&time["p90"]),
            percent(&risk["never"]),
        );
    }
    causes(prediction, &mut text);
    for action in prediction["recommended_actions"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  do: {}", action["description"].as_str().unwrap_or("?"));
    }
    text
}

/// Why, each cause with its evidence.
fn causes(prediction: &Value, text: &mut String) {
    let percent = |value: &Value| value.as_f64().unwrap_or(0.0) * 100.0;
    for cause in prediction["root_causes"].as_array().into_iter().flatten() {
        let place = cause["place"].as_str().filter(|place| prediction["instance"] != *place);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  because: {}{} ({:.0} %)",
            cause["class"].as_str().unwrap_or("?"),
            place.map_or(String::new(), |place| format!(" in {place}")),
            percent(&cause["probability"])
        );
        for evidence in cause["evidence"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "    {}", evidence["statement"].as_str().unwrap_or("?"));
        }
    }
}

/// Seconds as people say them; nothing there means that it lies beyond all times.
pub(crate) fn span(seconds: &Value) -> String {
    match seconds.as_f64() {
        None => "never".into(),
        Some(s) if s < 120.0 => format!("{s:.0} s"),
        Some(s) if s < 7200.0 => format!("{:.0} min", s / 60.0),
        Some(s) if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        Some(s) => format!("{:.1} d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_by_people() {
        assert_eq!(span(&json!(90)), "90 s");
        assert_eq!(span(&json!(600)), "10 min");
        assert_eq!(span(&json!(null)), "never");
    }

    #[test]
    fn the_likeliest_failures_come_first_and_the_unlikely_not_at_all() {
        let all = [0.01, 0.2, 0.9].map(|p| json!({"failure_probability": p}));
        let mut all = all.to_vec();
        all.push(json!({"failure_probability": null}));
        assert_eq!(at_risk(all), [0.9, 0.2].map(|p| json!({"failure_probability": p})));
    }

    #[test]
    fn a_prediction_is_told_in_words() {
        let text = describe(&json!({"instance": "a", "failure_probability": 0.934, "horizon_s": 3600.0,
            "confidence": 0.5, "risks": [{"mode": "memory_exhaustion", "metric": "m", "never": 0.05,
            "time_to_failure": {"p10": 50.0, "p50": 60.0, "p90": null}}],
            "root_causes": [{"class": "leak", "place": "a", "probability": 0.8, "evidence": [{"statement": "rises"}]},
                {"class": "disk_fault", "place": "h", "probability": 0.1, "evidence": []}],
            "recommended_actions": [{"description": "restart a"}]}));
        assert!(
            text.contains("because: leak (80 %)") && text.contains("because: disk_fault in h (10 %)"),
            "{text}"
        );
        assert!(text.contains("93 %") && text.contains("p90 never") && text.contains("rises"), "{text}");
    }
}
