//! `foretwin notify`: tries the receivers of messages about alerts.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use foretwin_core::Timestamp;
use foretwin_notify::{Sink, try_sink};
use serde_json::{Value, json};

use crate::settings::Settings;

#[derive(Debug, Args)]
pub struct NotifyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send each receiver a test alert that opens and is over, and say what it answered
    Test {
        /// Configuration file with the receivers
        #[arg(long, env = "FORETWIN_CONFIG")]
        config: PathBuf,
        /// Only the receiver of this name
        #[arg(long)]
        sink: Option<String>,
        /// One JSON document instead of text
        #[arg(long)]
        json: bool,
    },
}

/// Fails if one of the receivers took nothing.
pub fn notify(args: &NotifyArgs) -> Result<ExitCode> {
    let Command::Test { config, sink, json } = &args.command;
    let sinks: Vec<Sink> = Settings::load(Some(config))?.receivers();
    foretwin_notify::check(&sinks)?;
    let wanted: Vec<&Sink> =
        sinks.iter().filter(|one| sink.as_ref().is_none_or(|name| *name == one.name)).collect();
    if wanted.is_empty() {
        bail!("{}: no such [[notify]]; foretwin.example.toml shows one", config.display());
    }
    let at = Timestamp(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64);
    let told: Vec<Value> = wanted.into_iter().map(|sink| tell(sink, at)).collect();
    if *json {
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        told.iter().for_each(|one| println!("{}", line(one)));
    }
    let reached = told.iter().all(|one| one["error"].is_null());
    Ok(if reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What one receiver answered.
fn tell(sink: &Sink, at: Timestamp) -> Value {
    match try_sink(sink, "", at) {
        Ok(said) => {
            let each = said.map(|one| {
                json!({"change": one.change.as_str(), "status": one.status, "took_ms": one.took.as_secs_f64() * 1e3})
            });
            json!({"sink": sink.name, "deliveries": each})
        }
        Err(error) => json!({"sink": sink.name, "error": format!("{:#}", anyhow::Error::new(error))}),
    }
}

fn line(told: &Value) -> String {
    let sink = told["sink"].as_str().unwrap_or("?");
    if let Some(error) = told["error"].as_str() {
        return format!("{sink}: NOT REACHED: {error}");
    }
    let each = told["deliveries"].as_array().into_iter().flatten().map(|one| {
        let took = one["took_ms"].as_f64().unwrap_or(0.0);
        format!("{} (status {}, {took:.0} ms)", one["change"].as_str().unwrap_or("?"), one["status"])
    });
    format!("{sink}: took {}", each.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_answered_is_told_in_words() {
        let took =
            json!({"sink": "ops", "deliveries": [{"change": "opened", "status": 200, "took_ms": 3.2}]});
        assert_eq!(line(&took), "ops: took opened (status 200, 3 ms)");
        let sink = Sink { name: "gone".into(), url: "http://127.0.0.1:1/".into(), ..Sink::default() };
        let told = tell(&sink, Timestamp(1));
        assert!(line(&told).starts_with("gone: NOT REACHED: gone is away: "), "{told}");
    }

    #[test]
    fn the_receiver_of_the_example_file_is_one_that_can_be_meant() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../foretwin.example.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let block: String = text
            .lines()
            .skip_while(|line| *line != "# [[notify]]")
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| line.starts_with('[') || line.split(' ').nth(1) == Some("="))
            .filter(|line| !["url_file", "user", "password_file"].contains(&line.split(' ').next().unwrap()))
            .map(|line| format!("{line}\n"))
            .collect();
        let settings: Settings = toml::from_str(&block).unwrap_or_else(|error| panic!("{error}\n{block}"));
        assert_eq!(settings.notify.len(), 1);
        foretwin_notify::check(&settings.notify).unwrap();
    }
}
