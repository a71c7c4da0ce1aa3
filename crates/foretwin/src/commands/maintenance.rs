//! `foretwin maintenance`: planned work, during which nothing is learned and nobody is alerted.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use foretwin_core::Timestamp;
use serde_json::{Value, json};

use crate::commands::client::{Client, encoded};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  foretwin maintenance add web-1 --duration 2h --note \"kernel update\"
  foretwin maintenance list
  foretwin maintenance end 00064a3c..                 the work is done before its time")]
pub struct MaintenanceArgs {
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
    /// What is planned, latest first
    List {
        /// Only on this instance
        #[arg(long)]
        instance: Option<String>,
    },
    /// Plan work on an instance; on a host it covers all that runs there
    Add {
        /// Which instance
        instance: String,
        /// How long: seconds, or 30m, 2h
        #[arg(long)]
        duration: String,
        /// When it begins: now, or seconds since the epoch
        #[arg(long, default_value = "now")]
        from: String,
        /// What is done, for people
        #[arg(long, default_value = "")]
        note: String,
    },
    /// End work now, or call it off
    End {
        /// Its name
        id: String,
    },
}

pub fn maintenance(args: &MaintenanceArgs) -> Result<ExitCode> {
    let client = Client::new(&args.server);
    let base = "/api/v1/maintenance";
    let answer = match &args.command {
        Command::List { instance: Some(id) } => client.get(&format!("{base}?instance={}", encoded(id)))?,
        Command::List { instance: None } => client.get(base)?,
        Command::Add { instance, duration, from, note } => {
            let body = json!({"instance": instance, "duration": duration, "from": from, "note": note});
            client.post(base, &body)?
        }
        Command::End { id } => client.delete(&format!("{base}/{}", encoded(id)))?,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else if let Some(all) = answer["maintenance"].as_array() {
        let lines: String = all.iter().map(line).collect();
        print!("{}", if all.is_empty() { "nothing is planned\n" } else { &lines });
    } else {
        print!("{}", line(&answer));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(work: &Value) -> String {
    let moment = |value: &Value| value.as_i64().map_or_else(|| "?".into(), |at| Timestamp(at).to_string());
    let active = if work["active"] == true { " (now)" } else { "" };
    let note =
        work["note"].as_str().filter(|note| !note.is_empty()).map_or(String::new(), |n| format!(": {n}"));
    format!(
        "{} from {} to {}{active}{note}{}\n",
        work["instance"].as_str().unwrap_or("?"),
        moment(&work["from_us"]),
        moment(&work["to_us"]),
        work["id"].as_str().map_or(String::new(), |id| format!("\n  {id}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_one_line_and_its_name() {
        let work = json!({"id": "a-b", "instance": "web-1", "from_us": 0, "to_us": 60_000_000, "active": true,
            "note": "update"});
        let said = line(&work);
        assert!(said.starts_with("web-1 from 1970") && said.contains("(now): update\n  a-b"), "{said}");
    }
}
