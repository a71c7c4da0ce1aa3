//! `foretwin whatif`: ask a running node what an intervention would change.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::cli::WhatifArgs;
use crate::commands::client::{Client, encoded};
use crate::commands::predict::span;

/// How often a rehearsal is looked at.
const LOOK: Duration = Duration::from_millis(500);

pub fn whatif(args: &WhatifArgs) -> Result<ExitCode> {
    let mut scenarios: Vec<Value> = args.scenario.iter().map(|text| parsed(text)).collect::<Result<_>>()?;
    scenarios.extend(flagged(args)?);
    if scenarios.is_empty() {
        bail!("nothing asked: give for instance --memory 1.5x, --restart, or --scenario memory=2x,load=0.5");
    }
    let body = json!({"instance": args.instance, "scenarios": scenarios, "horizon": args.horizon});
    let client = Client::new(&args.server);
    let mut answer = client.post("/api/v1/twin/whatif", &body)?;
    if args.verify {
        verify(&client, args, &mut answer)?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", describe(&answer));
    }
    Ok(ExitCode::SUCCESS)
}

/// Rehearses every scenario, one after another, and says beside each what came of it, or why it was not rehearsed.
fn verify(client: &Client, args: &WhatifArgs, answer: &mut Value) -> Result<()> {
    let path = format!("/api/v1/twins/{}/rehearsals", encoded(&args.instance));
    for effect in answer["effects"].as_array_mut().into_iter().flatten() {
        let title = effect["title"].as_str().unwrap_or("?").to_owned();
        eprintln!("rehearsing {title} ...");
        let body = json!({"ahead": args.horizon, "scenario": effect["scenario"]});
        effect["verification"] = match client.post(&path, &body) {
            Ok(begun) => json!(rehearsed(client, &begun["id"])?),
            Err(error) => json!(format!("{error:#}")),
        };
    }
    Ok(())
}

/// Waits until a rehearsal is over, and says what it says.
fn rehearsed(client: &Client, number: &Value) -> Result<String> {
    let path = format!("/api/v1/rehearsals/{number}");
    loop {
        let view = client.get(&path)?;
        if view["done"] == true {
            let said = view["verified"].as_str().map(str::to_owned);
            return Ok(
                said.unwrap_or_else(|| format!("not verified: {}", view["message"].as_str().unwrap_or("?")))
            );
        }
        std::thread::sleep(LOOK);
    }
}

/// The scenario of the flags, if any is set.
fn flagged(args: &WhatifArgs) -> Result<Option<Value>> {
    let texts = [
        ("memory", &args.memory),
        ("cpu", &args.cpu),
        ("disk", &args.disk),
        ("descriptors", &args.descriptors),
        ("load", &args.load),
        ("replicas", &args.replicas),
        ("host", &args.host),
    ];
    let mut parts: Vec<String> =
        texts.iter().filter_map(|(name, text)| Some(format!("{name}={}", text.as_ref()?))).collect();
    parts.extend(args.restart.then(|| "restart".to_owned()));
    parts.extend(args.fix.then(|| "fix".to_owned()));
    if parts.is_empty() { Ok(None) } else { parsed(&parts.join(",")).map(Some) }
}

/// A scenario from `memory=1.5x,restart`.
fn parsed(text: &str) -> Result<Value> {
    let mut scenario = Map::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = match name {
            "memory" | "cpu" | "disk" | "descriptors" | "host" | "name" => json!(value),
            "load" => {
                let factor: f64 = value
                    .trim_end_matches('x')
                    .parse()
                    .with_context(|| format!("load={value}: give a factor such as 2 or 0.5x"))?;
                json!(factor)
            }
            "replicas" => {
                let (before, after) = value.split_once(':').unwrap_or((value, ""));
                let pair: Option<(u32, u32)> = before.parse().ok().zip(after.parse().ok());
                json!(pair.with_context(|| format!("replicas={value}: give before:after, such as 2:3"))?)
            }
            "restart" | "fix" => json!(true),
            _ => bail!(
                "{name:?} is no intervention: memory, cpu, disk, descriptors, load, replicas, host, restart, fix"
            ),
        };
        scenario.insert(name.to_owned(), value);
    }
    Ok(Value::Object(scenario))
}

/// The scenarios side by side, then what they rest on.
fn describe(answer: &Value) -> String {
    let mut text = String::new();
    let percent = |value: &Value| value.as_f64().unwrap_or(0.0) * 100.0;
    // Writing to a string cannot fail.
    if let Some(reason) = answer["abstains"].as_str() {
        let _ = writeln!(text, "{reason}");
    }
    let instance = answer["instance"].as_str().unwrap_or("?");
    let _ = writeln!(text, "{instance} within {}:", span(&answer["horizon_s"]));
    for effect in answer["effects"].as_array().into_iter().flatten() {
        let (before, after) = (&effect["before"], &effect["after"]);
        let _ = writeln!(
            text,
            "  {}: {:.0} % -> {:.0} %, median {} -> {}: {}",
            effect["title"].as_str().unwrap_or("?"),
            percent(&before["probability"]),
            percent(&after["probability"]),
            span(&before["time_to_failure"]["p50"]),
            span(&after["time_to_failure"]["p50"]),
            effect["verdict"].as_str().unwrap_or("?").replace('_', " "),
        );
        let delay = &effect["delay_s"];
        if delay.is_object() {
            let [low, value, high] = ["low", "value", "high"].map(|name| later(&delay[name]));
            let _ = writeln!(text, "    {value} ({low} to {high})");
        }
        if let Some(said) = effect["verification"].as_str() {
            let _ = writeln!(text, "    {said}");
        }
        for (name, mark) in [("assumptions", "given that"), ("beyond_experience", "beyond experience:")] {
            for line in effect[name].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let _ = writeln!(text, "    {mark} {line}");
            }
        }
    }
    text
}

fn later(seconds: &Value) -> String {
    match seconds.as_f64() {
        Some(s) if s < 0.0 => format!("{} sooner", span(&json!(-s))),
        Some(_) => format!("{} later", span(seconds)),
        None => "never".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_read_and_typing_errors_are_named() {
        let scenario = parsed("memory=1.5x, load=0.5x,replicas=2:3,restart").unwrap();
        assert_eq!(scenario, json!({"memory": "1.5x", "load": 0.5, "replicas": [2, 3], "restart": true}));
        for (bad, says) in [("memroy=2x", "memroy"), ("load=much", "factor"), ("replicas=3", "before:after")]
        {
            assert!(format!("{:#}", parsed(bad).unwrap_err()).contains(says), "{bad}");
        }
    }

    #[test]
    fn effects_are_told_side_by_side() {
        let side = |p: f64, t: f64| json!({"probability": p, "time_to_failure": {"p50": t}});
        let text = describe(&json!({"instance": "a", "horizon_s": 3600.0, "abstains": null, "effects": [
            {"title": "memory 1.5x", "before": side(0.9, 600.0), "after": side(0.2, 5400.0),
             "verification": "verified in a process twin: it agrees", "verdict": "delays_does_not_cure", "delay_s": {"value": 4800.0, "low": -60.0, "high": null},
             "assumptions": ["it goes on"], "beyond_experience": ["a load of 2"]}]}));
        assert!(text.contains("    verified in a process twin: it agrees\n"), "{text}");
        assert!(text.contains("90 % -> 20 %") && text.contains("delays does not cure"), "{text}");
        assert!(
            text.contains("(60 s sooner to never)") && text.contains("beyond experience: a load"),
            "{text}"
        );
    }
}
