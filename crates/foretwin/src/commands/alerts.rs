//! `foretwin alerts`: what somebody should know, why, what to do, and what operators say of it.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use foretwin_core::Timestamp;
use serde_json::{Value, json};

use crate::commands::client::{Client, encoded};
use crate::commands::predict::span;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  foretwin alerts list                                what fires now, and what is silenced or held back
  foretwin alerts list --all --since -7d              also what is over, with what came of it
  foretwin alerts show 00064a3c.. --json              one alert, with members and evidence
  foretwin alerts feedback 00064a3c.. useful          move the bar of its kind on its instances")]
pub struct AlertsArgs {
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
    /// Alerts, newest first: those that are not over, if nothing else is asked for
    List {
        /// Only in these states: firing, resolved, silenced, held
        #[arg(long, value_delimiter = ',')]
        state: Vec<String>,
        /// Those that are over, too
        #[arg(long)]
        all: bool,
        /// Only those that concern this instance
        #[arg(long)]
        instance: Option<String>,
        /// Not those that were over before: now, -15m, -24h, -7d, or seconds since the epoch
        #[arg(long, allow_hyphen_values = true)]
        since: Option<String>,
    },
    /// One alert: why, how sure, what to do, whom it concerns
    Show {
        /// Its name
        id: String,
    },
    /// Say what an alert was worth: it moves the bar of its kind on its instances, for a while
    Feedback {
        /// Its name
        id: String,
        /// Right and known, wrong, or worth being told
        #[arg(value_enum)]
        rating: Rating,
        /// Beyond that, for people
        #[arg(long, default_value = "")]
        note: String,
    },
}

/// An operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rating {
    /// Right, and known: nobody needs to hear of it
    Expected,
    /// Wrong
    False,
    /// Right, and worth being told
    Useful,
}

impl Rating {
    fn name(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::False => "false",
            Self::Useful => "useful",
        }
    }
}

pub fn alerts(args: &AlertsArgs) -> Result<ExitCode> {
    let client = Client::new(&args.server);
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let answer = match &args.command {
        Command::List { .. } => client.get(&path(&args.command))?,
        Command::Show { id } => client.get(&format!("/api/v1/alerts/{}", encoded(id)))?,
        Command::Feedback { id, rating, note } => {
            let body = json!({"rating": rating.name(), "note": note});
            client.post(&format!("/api/v1/alerts/{}/feedback", encoded(id)), &body)?
        }
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else if let Some(all) = answer["alerts"].as_array() {
        let lines: String = all.iter().map(|alert| line(alert, coloured)).collect();
        print!("{}", if all.is_empty() { "nothing to tell\n" } else { &lines });
    } else {
        print!("{}", show(&answer, coloured));
    }
    Ok(ExitCode::SUCCESS)
}

/// The question that a list asks.
fn path(command: &Command) -> String {
    let Command::List { state, all, instance, since } = command else { return "/api/v1/alerts".into() };
    let open = || ["firing", "silenced", "held"].map(String::from).to_vec();
    let states = if state.is_empty() && !all { open() } else { state.clone() };
    let asked = [
        ("state", (!states.is_empty()).then(|| states.join(","))),
        ("instance", instance.clone()),
        ("since", since.clone()),
    ];
    let pairs = asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
    format!("/api/v1/alerts?{}", pairs.collect::<Vec<_>>().join("&"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// The state, in the colour of what it asks for.
fn state(alert: &Value, coloured: bool) -> String {
    let (state, severity) = (text(&alert["state"]), text(&alert["severity"]));
    let colour = match (state, severity) {
        ("firing", "critical" | "serious") => 31,
        ("firing", _) => 33,
        ("resolved", _) => 32,
        _ => 90,
    };
    let word = format!("{state:8} {severity:8}");
    if coloured { format!("\x1b[{colour}m{word}\x1b[0m") } else { word }
}

/// One line and, where there is one, the reason for its state.
fn line(alert: &Value, coloured: bool) -> String {
    let reason = match text(&alert["reason"]) {
        "" => String::new(),
        reason => format!("\n{:18}{reason}", ""),
    };
    let outcome = outcome(alert).map_or(String::new(), |outcome| format!(" [{outcome}]"));
    format!(
        "{} {}\n{:18}{} since {}{outcome}{reason}\n",
        state(alert, coloured),
        text(&alert["title"]),
        "",
        text(&alert["id"]),
        moment(&alert["opened_us"])
    )
}

/// What came of it.
fn outcome(alert: &Value) -> Option<String> {
    Some(match alert["outcome"]["what"].as_str()? {
        "failed" => format!(
            "came true {} after: {}",
            span(&alert["outcome"]["lead_s"]),
            text(&alert["outcome"]["mode"])
        ),
        "nothing" => "nothing came".into(),
        _ => "what came is not known".into(),
    })
}

fn moment(value: &Value) -> String {
    value.as_i64().map_or_else(|| "?".into(), |at| Timestamp(at).to_string())
}

/// Why, and what to do.
fn reasons(alert: &Value, lines: &mut Vec<String>) {
    if let Some(cause) = alert["cause"].as_object() {
        let place = text(&cause["place"]);
        lines.push(format!(
            "  because: {} in {place} ({})",
            text(&cause["class"]),
            percent(&cause["probability"])
        ));
        for evidence in cause["evidence"].as_array().into_iter().flatten() {
            lines.push(format!("    {}", text(&evidence["statement"])));
        }
    }
    if let Some(action) = alert["action"].as_object() {
        lines.push(format!("  do: {}", text(&action["description"])));
        lines.push(format!("    {}", text(&action["expected_effect"])));
    }
}

fn percent(value: &Value) -> String {
    format!("{:.0} %", value.as_f64().unwrap_or(0.0) * 100.0)
}

/// What is said of a member; of one that is over, the most that was.
fn chance(member: &Value) -> String {
    match member["ended_us"].as_i64() {
        Some(_) => format!("over, up to {}", percent(&member["peak"])),
        None => percent(&member["probability"]),
    }
}

fn show(alert: &Value, coloured: bool) -> String {
    let mut lines = vec![line(alert, coloured).trim_end().to_owned()];
    lines.push(format!(
        "  {} within {}, confidence {}; time to failure p10 {}, p50 {}, p90 {}",
        percent(&alert["probability"]),
        span(&alert["horizon_s"]),
        percent(&alert["confidence"]),
        span(&alert["time_to_failure"]["p10"]),
        span(&alert["time_to_failure"]["p50"]),
        span(&alert["time_to_failure"]["p90"]),
    ));
    reasons(alert, &mut lines);
    if let Some(common) = alert["common"].as_str() {
        lines.push(format!("  in common: {common}"));
    }
    for member in alert["members"].as_array().into_iter().flatten() {
        lines.push(format!("  {} {}", chance(member), text(&member["instance"])));
    }
    for said in alert["feedback"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  {} {}: {}",
            moment(&said["at_us"]),
            text(&said["rating"]),
            text(&said["note"])
        ));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_asks_for_what_is_not_over() {
        let list = |state: Vec<String>, all, instance| Command::List { state, all, instance, since: None };
        assert_eq!(path(&list(vec![], false, None)), "/api/v1/alerts?state=firing%2Csilenced%2Cheld");
        assert_eq!(path(&list(vec![], true, Some("h/a".into()))), "/api/v1/alerts?instance=h%2Fa");
        assert_eq!(path(&list(vec!["held".into()], false, None)), "/api/v1/alerts?state=held");
    }

    #[test]
    fn alerts_are_told_in_words_and_without_colour_in_pipes() {
        let alert = json!({"id": "a1", "state": "held", "severity": "warning", "title": "h/a: disk full within 1 h",
            "reason": "held back by budget", "opened_us": 0, "probability": 0.61, "horizon_s": 3600.0,
            "cause": {"class": "leak", "place": "h/a", "probability": 0.8, "evidence": [{"statement": "rises"}]},
            "action": {"description": "restart h/a", "expected_effect": "delays"}, "count": 1,
            "members": [{"instance": "h/a", "probability": 0.61}],
            "outcome": {"what": "failed", "mode": "disk_full", "lead_s": 600.0}});
        let told = show(&alert, false);
        for part in ["held back by budget", "came true 10 min after: disk_full", "restart h/a", "rises"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let over = json!({"instance": "h/a", "probability": 0.0, "peak": 0.83, "ended_us": 5});
        assert_eq!(chance(&over), "over, up to 83 %");
        assert!(!told.contains('\x1b') && show(&alert, true).contains('\x1b'));
    }
}
