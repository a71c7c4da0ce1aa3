//! `foretwin report`: what this machine says of itself, and which known issues that shows.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use foretwin_core::{Flag, Severity, Timestamp};
use serde_json::{Value, json};

use crate::commands::client::Client;

/// Members of a list, and characters of a text, that the tree shows.
const MOST_SHOWN: usize = 6;
const MOST_CHARACTERS: usize = 100;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  foretwin report                                what is wrong with this machine, and what to do
  foretwin report --tree                         everything it says of itself, as a tree
  foretwin report --out web-1.json               keep it; secrets are redacted
  foretwin report --file web-1.json              look at one that was kept
  foretwin report --server http://twin:7878      hand it in to a running node")]
pub struct ReportArgs {
    /// Read a report instead of making one
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Write the document to this file
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Hand it in to this running node
    #[arg(long)]
    pub server: Option<String>,
    /// Directory of rule files (*.toml) beside those that come with Foretwin
    #[arg(long)]
    pub rules: Option<PathBuf>,
    /// Show everything the report says, as a tree
    #[arg(long)]
    pub tree: bool,
    /// One JSON document instead of text: the report and its flags
    #[arg(long)]
    pub json: bool,
}

pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    let rules_dir = args.rules.clone().unwrap_or_default();
    let issues = foretwin_engine::ReportsConfig { rules_dir, ..Default::default() }.issues()?;
    let document = document(args)?;
    let flags = issues.flags(&document);
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&document)?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    let handed = args.server.as_ref().map(|server| Client::new(server).post("/api/v1/reports", &document));
    if let Some(answer) = handed {
        eprintln!("handed in as {}", answer?["id"].as_str().unwrap_or("?"));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&json!({"flags": flags, "document": document}))?);
    } else {
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print!("{}", summary(&document));
        if args.tree {
            let mut text = String::new();
            tree(&document, "", &mut text);
            print!("{text}");
        }
        print!("{}", told(&flags, coloured));
    }
    Ok(ExitCode::SUCCESS)
}

fn document(args: &ReportArgs) -> Result<Value> {
    match &args.file {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let document: Value = serde_json::from_str(&text)
                .with_context(|| format!("{}: a report is a JSON document", path.display()))?;
            // What `--json` printed has the report inside.
            Ok(document.get("document").cloned().unwrap_or(document))
        }
        None => {
            let host = foretwin_collect::machine::host_name()?;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
            let at = Timestamp(i64::try_from(now.as_micros())?);
            Ok(foretwin_collect::report::gather(&host, at))
        }
    }
}

/// Who, when and what in two lines.
fn summary(document: &Value) -> String {
    let text = |place: &str| document.pointer(place).and_then(Value::as_str).unwrap_or("?").to_owned();
    let number = |place: &str| document.pointer(place).and_then(Value::as_f64).unwrap_or(f64::NAN);
    format!(
        "{} at {}: {}, kernel {}\n{} processors, {:.1} GiB of memory, up {:.1} days\n",
        text("/instance"),
        text("/at"),
        text("/identity/os"),
        text("/kernel/release"),
        number("/cpu/processors"),
        number("/memory/total_bytes") / f64::from(1 << 30),
        number("/identity/uptime_s") / 86_400.0,
    )
}

/// The flags with their evidence and what to do.
fn told(flags: &[Flag], coloured: bool) -> String {
    if flags.is_empty() {
        return "no known issue was found\n".into();
    }
    let mut text = String::new();
    for flag in flags {
        let word = if coloured {
            format!("\x1b[{}m{}\x1b[0m", colour(flag.severity), flag.severity)
        } else {
            flag.severity.to_string()
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{word}: {} ({})", flag.title, flag.rule);
        for seen in &flag.evidence {
            let _ = writeln!(text, "  seen   {} = {}", seen.path, shortened(&seen.value));
        }
        let _ = writeln!(text, "  why    {}\n  do     {}\n  or     {}", flag.cause, flag.solution, flag.risk);
    }
    text
}

fn colour(severity: Severity) -> u8 {
    match severity {
        Severity::Notice => 36,
        Severity::Warning => 33,
        Severity::Serious | Severity::Critical => 31,
    }
}

/// The hierarchy of constituents, indented.
fn tree(value: &Value, indent: &str, into: &mut String) {
    let deeper = format!("{indent}  ");
    let mut member = |name: &str, value: &Value| match value {
        Value::Object(_) | Value::Array(_) => {
            let count = value.as_array().map(|list| format!(" ({})", list.len())).unwrap_or_default();
            let _ = writeln!(into, "{indent}{name}{count}");
            tree(value, &deeper, into);
        }
        Value::Null => {}
        Value::String(text) => {
            let _ = writeln!(into, "{indent}{name}: {}", shortened(text));
        }
        other => {
            let _ = writeln!(into, "{indent}{name}: {other}");
        }
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| member(name, value)),
        Value::Array(list) => {
            let shown = list.iter().take(MOST_SHOWN).enumerate();
            shown.for_each(|(number, value)| member(&number.to_string(), value));
            if list.len() > MOST_SHOWN {
                let _ = writeln!(into, "{indent}... and {} more", list.len() - MOST_SHOWN);
            }
        }
        _ => {}
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= MOST_CHARACTERS {
        return text.to_owned();
    }
    text.chars().take(MOST_CHARACTERS).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_names_every_constituent_and_bounds_lists() {
        let mut text = String::new();
        let list: Vec<u32> = (0..9).collect();
        tree(&json!({"a": {"b": 1, "none": null}, "list": list}), "", &mut text);
        assert_eq!(
            text,
            "a\n  b: 1\nlist (9)\n  0: 0\n  1: 1\n  2: 2\n  3: 3\n  4: 4\n  5: 5\n  ... and 3 more\n"
        );
    }

    #[test]
    fn flags_are_told_with_what_to_do_and_without_colour_in_a_pipe() {
        let issues = foretwin_engine::ReportsConfig::default().issues().unwrap();
        let text = told(&issues.flags(&json!({"processes": {"zombies": 900}})), false);
        assert!(text.contains("warning: ") && text.contains("processes.zombies = 900"), "{text}");
        assert!(text.contains("  do     ") && !text.contains('\x1b'), "{text}");
    }
}
