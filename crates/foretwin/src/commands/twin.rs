//! `foretwin twin`: what runs beside production, what it says, and rehearsals of what is coming.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::commands::client::{Client, encoded};

/// How often a rehearsal is asked how far it is.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  foretwin twin list                                      what runs here, and every verdict
  foretwin twin show web-1/system.slice/app.service       one instance beside its twin
  foretwin twin replay web-1/system.slice/app.service     replay its profile beside it
  foretwin twin rehearse web-1/app --ahead 6h --speed 60  what breaks first in the next six hours")]
pub struct TwinArgs {
    #[command(subcommand)]
    command: Command,
    /// URL of the running node
    #[arg(long, env = "FORETWIN_SERVER", default_value = "http://127.0.0.1:7878", global = true)]
    server: String,
    /// One JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What twins run, in what they can run here, and every verdict
    List,
    /// One instance and its twin: drifts, verdict, evidence
    Show {
        /// Which instance
        instance: String,
    },
    /// Replay an instance's profile beside it, or stop that
    Replay {
        /// Which instance
        instance: String,
        /// The highest level: model, process, container, microvm; none stops it
        #[arg(long, default_value = "process")]
        level: String,
    },
    /// Replay the forecast faster than real time, and say what breaks first
    Rehearse {
        /// Which instance
        instance: String,
        /// How far ahead: seconds, or 15m, 6h
        #[arg(long, default_value = "1h")]
        ahead: String,
        /// Times faster than real time
        #[arg(long, default_value_t = 60.0)]
        speed: f64,
        /// What to run it in: process, container, microvm
        #[arg(long, default_value = "process")]
        level: String,
    },
}

pub fn twin(args: &TwinArgs) -> Result<ExitCode> {
    let client = Client::new(&args.server);
    let of = |instance: &str| format!("/api/v1/twins/{}", encoded(instance));
    let (answer, text): (Value, fn(&Value) -> String) = match &args.command {
        Command::List => (client.get("/api/v1/twins")?, list),
        Command::Show { instance } => (client.get(&of(instance))?, show),
        Command::Replay { instance, level } => {
            let level = if level == "none" { Value::Null } else { json!(level) };
            (client.post(&format!("{}/replay", of(instance)), &json!({"level": level}))?, show)
        }
        Command::Rehearse { instance, ahead, speed, level } => {
            let body = json!({"ahead": ahead, "speed": speed, "level": level});
            let asked = client.post(&format!("{}/rehearsals", of(instance)), &body)?;
            (wait(&client, &asked)?, rehearsal)
        }
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", text(&answer));
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for a rehearsal, with progress on a terminal.
fn wait(client: &Client, asked: &Value) -> Result<Value> {
    let Some(number) = asked["id"].as_u64() else { bail!("the answer has no number of a rehearsal") };
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(1000) } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("rehearsing {wide_bar} {percent} % {elapsed}")?);
    loop {
        let view = client.get(&format!("/api/v1/rehearsals/{number}"))?;
        bar.set_position((view["progress"].as_f64().unwrap_or(0.0) * 1000.0) as u64);
        if view["done"] == true {
            bar.finish_and_clear();
            return Ok(view);
        }
        std::thread::sleep(LOOK);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn list(view: &Value) -> String {
    let mut lines = vec![if view["enabled"] == true {
        "twins of this machine:".to_owned()
    } else {
        "no twins are kept here (twin.enabled)".to_owned()
    }];
    for runner in view["runners"].as_array().into_iter().flatten() {
        let shortfall = runner["shortfall"].as_str().map_or(String::new(), |why| format!(" ({why})"));
        let (twin, state, level) = (text(&runner["twin"]), text(&runner["state"]), text(&runner["achieved"]));
        lines.push(format!("  {twin}: {state} as {level}{shortfall}; {}", text(&runner["confinement"])));
    }
    for level in view["levels"].as_array().into_iter().flatten() {
        let reason = level["reason"].as_str().unwrap_or("available");
        lines.push(format!("  level {}: {reason}", text(&level["level"])));
    }
    for contrast in view["contrasts"].as_array().into_iter().flatten() {
        lines.push(format!("{}: {}", text(&contrast["instance"]), verdict(&contrast["verdict"])));
    }
    lines.join("\n") + "\n"
}

/// One line.
fn verdict(verdict: &Value) -> String {
    let percent = verdict["probability"].as_f64().unwrap_or(0.0) * 100.0;
    let by = verdict["consumer"].as_str().map_or(String::new(), |who| format!(", by {who}"));
    let own = if verdict["self_inflicted"] == true { ", self-inflicted" } else { "" };
    format!("{} ({percent:.0} %){by}{own}", text(&verdict["class"]))
}

fn show(view: &Value) -> String {
    let mut lines = vec![format!("{}: {}", text(&view["instance"]), verdict(&view["verdict"]))];
    for evidence in view["verdict"]["evidence"].as_array().into_iter().flatten() {
        lines.push(format!("  {}", text(&evidence["statement"])));
    }
    lines.push(format!("from counters alone: {}", verdict(&view["verdict_counters_only"])));
    let score = |value: &Value| value.as_f64().map_or("none yet".into(), |score| format!("{score:.2}"));
    lines.push(format!(
        "anomaly score of production {}, of its twin {} ({})",
        score(&view["score"]),
        score(&view["twin_score"]),
        view["fidelity"].as_str().unwrap_or("no twin"),
    ));
    if let Some(replay) = view["replay"].as_object() {
        lines.push(format!("replay: {} as {}", text(&replay["state"]), text(&replay["achieved"])));
    }
    if let Some(profile) = view["profile"].as_object() {
        lines.push(format!("profile: version {} of {} rows", profile["version"], profile["rows"]));
    }
    lines.join("\n") + "\n"
}

fn rehearsal(view: &Value) -> String {
    let mut lines = vec![match (view["mode"].as_str(), view["after_s"].as_f64()) {
        (Some(mode), Some(after_s)) => format!(
            "{mode} after {after_s:.0} s of real time (within {:.0} s): {}",
            view["resolution_s"].as_f64().unwrap_or(0.0),
            text(&view["message"])
        ),
        _ => text(&view["message"]).to_owned(),
    }];
    for (title, list) in [("comparable", "comparable"), ("not comparable", "not_comparable")] {
        for line in view[list].as_array().into_iter().flatten() {
            lines.push(format!("  {title}: {}", text(line)));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_and_rehearsals_are_told_in_words() {
        let contrast = json!({"class": "infrastructure", "probability": 0.934, "consumer": "h/batch",
            "self_inflicted": false});
        assert_eq!(verdict(&contrast), "infrastructure (93 %), by h/batch");
        let told = rehearsal(&json!({"mode": "memory_exhaustion", "after_s": 900.4, "resolution_s": 4.0,
            "message": "the kernel killed it", "comparable": ["memory"], "not_comparable": []}));
        assert!(
            told.starts_with("memory_exhaustion after 900 s") && told.contains("comparable: memory"),
            "{told}"
        );
        assert_eq!(rehearsal(&json!({"message": "nothing broke"})), "nothing broke\n");
    }
}
