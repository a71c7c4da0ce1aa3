//! `foretwin models`: ask a running node for its models, and switch between them.

mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::commands::client::{Client, encoded};

#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(subcommand)]
    action: Action,
    /// URL of the running node
    #[arg(long, global = true, env = "FORETWIN_SERVER", default_value = "http://127.0.0.1:7878")]
    server: String,
    /// One JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Which schema of the instance, 16 hexadecimal digits [default: the one with the most series]
    #[arg(long, global = true)]
    schema: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Versions of an instance and their roles; without one, every instance's champion
    List {
        /// Which instance
        instance: Option<String>,
    },
    /// One version in full: where it came from, its recipe, what helps to expect what
    Show {
        /// Which instance
        instance: String,
        /// Default: the champion
        version: Option<u64>,
    },
    /// Versions side by side on the latest stored frames
    Compare {
        /// Which instance
        instance: String,
        /// Numbers of the versions
        #[arg(required = true, num_args = 1..)]
        versions: Vec<u64>,
        /// How far back: 15m, 6h
        #[arg(long, default_value = "1h")]
        span: String,
    },
    /// Let a version judge from the next frame on
    Promote {
        /// Which instance
        instance: String,
        /// Number of the version
        version: u64,
        /// Kept beside the change
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Let the champion before this one judge again
    Rollback {
        /// Which instance
        instance: String,
        /// Kept beside the change
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Write a version's safetensors file
    Export {
        /// Which instance
        instance: String,
        /// Number of the version
        version: u64,
        /// Default: model-VERSION.safetensors
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Write the latest stored frames and what a version expects of them, to check another implementation or to train on
    Vectors {
        /// Which instance
        instance: String,
        /// Number of the version
        version: u64,
        /// How many frames
        #[arg(long, default_value_t = 300)]
        rows: usize,
        /// Default: vectors-VERSION.json
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Take a safetensors file in as a challenger
    Import {
        /// Which instance
        instance: String,
        /// What `export` wrote, or another program in the same form
        file: PathBuf,
        /// Let it judge at once
        #[arg(long)]
        promote: bool,
    },
    /// Say that a challenger is of no use
    Dismiss {
        /// Which instance
        instance: String,
        /// Number of the version
        version: u64,
        /// Kept beside the change
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Keep a version from pruning, or with --off no longer
    Pin {
        /// Which instance
        instance: String,
        /// Number of the version
        version: u64,
        /// No longer keep it
        #[arg(long)]
        off: bool,
    },
    /// Freeze a version as the reference that slow drift is measured against
    Reference {
        /// Which instance
        instance: String,
        /// Number of the version
        version: u64,
    },
    /// Delete versions without a role
    Prune {
        /// Which instance
        instance: String,
        /// Earlier champions, and challengers, that stay
        #[arg(long, default_value_t = 5)]
        keep: usize,
    },
}

/// One instance's models on a node.
struct Line<'a> {
    client: Client,
    instance: &'a str,
    schema: Option<&'a str>,
}

impl Line<'_> {
    /// A path below the instance's models; `query` goes behind the question mark.
    fn path(&self, below: &str, query: &str) -> String {
        let schema = self.schema.map(|schema| format!("schema={}", encoded(schema)));
        let query: Vec<&str> =
            schema.iter().map(String::as_str).chain([query]).filter(|q| !q.is_empty()).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/api/v1/models/{}{below}{mark}{}", encoded(self.instance), query.join("&"))
    }

    fn get(&self, below: &str, query: &str) -> Result<Value> {
        self.client.get(&self.path(below, query))
    }

    fn post(&self, below: &str, body: &Value) -> Result<Value> {
        self.client.post(&self.path(below, ""), body)
    }

    /// The champion's version.
    fn champion(&self) -> Result<u64> {
        let lines = self.client.get(&format!("/api/v1/models/{}", encoded(self.instance)))?;
        let lines = lines["lines"].as_array().cloned().unwrap_or_default();
        let line = lines.iter().find(|line| self.schema.is_none_or(|schema| line["schema"] == schema));
        let champion = line.and_then(|line| line["champion"].as_u64());
        champion.with_context(|| format!("{} has no champion yet", self.instance))
    }
}

pub fn models(args: &ModelsArgs) -> Result<ExitCode> {
    let answer = ask(args)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        print!("{}", tell(&args.action, &answer, text::Paint::for_stdout()));
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(args: &ModelsArgs) -> Result<Value> {
    let of = |instance| Line { client: Client::new(&args.server), instance, schema: args.schema.as_deref() };
    match &args.action {
        Action::List { instance: None } => Client::new(&args.server).get("/api/v1/instances"),
        Action::List { instance: Some(instance) } => {
            Client::new(&args.server).get(&format!("/api/v1/models/{}", encoded(instance)))
        }
        Action::Show { instance, version } => {
            let line = of(instance);
            let version = version.map_or_else(|| line.champion(), Ok)?;
            line.get(&format!("/{version}"), "")
        }
        Action::Compare { instance, versions, span } => {
            let versions: Vec<String> = versions.iter().map(u64::to_string).collect();
            let query = format!("versions={}&span={}", versions.join(","), encoded(span));
            of(instance).get("/compare", &query)
        }
        Action::Promote { instance, version, reason } => {
            of(instance).post(&format!("/{version}/promote"), &json!({"reason": reason}))
        }
        Action::Rollback { instance, reason } => of(instance).post("/rollback", &json!({"reason": reason})),
        Action::Export { instance, version, out } => {
            let line = of(instance);
            let bytes = line.client.file(&line.path(&format!("/{version}/export"), ""))?;
            write(&out.clone().unwrap_or_else(|| format!("model-{version}.safetensors").into()), &bytes)
        }
        Action::Vectors { instance, version, rows, out } => {
            let vectors = of(instance).get(&format!("/{version}/vectors"), &format!("rows={rows}"))?;
            let out = out.clone().unwrap_or_else(|| format!("vectors-{version}.json").into());
            write(&out, &serde_json::to_vec(&vectors)?)
        }
        Action::Import { instance, file, promote } => import(&of(instance), file, *promote),
        Action::Dismiss { instance, version, reason } => {
            of(instance).post(&format!("/{version}/dismiss"), &json!({"reason": reason}))
        }
        Action::Pin { instance, version, off } => {
            of(instance).post(&format!("/{version}/pin"), &json!({"pinned": !off}))
        }
        Action::Reference { instance, version } => {
            of(instance).post(&format!("/{version}/reference"), &json!({"reason": "by hand"}))
        }
        Action::Prune { instance, keep } => of(instance).post("/prune", &json!({"keep": keep})),
    }
}

fn import(line: &Line, file: &Path, promote: bool) -> Result<Value> {
    let bytes = std::fs::read(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    let mut answer = line.client.send(&line.path("/import", ""), &bytes)?;
    if promote {
        let reason = json!({"reason": format!("imported from {}", file.display())});
        answer["promoted"] = line.post(&format!("/{}/promote", answer["version"]), &reason)?;
    }
    Ok(answer)
}

/// Writes a file that must not be there yet.
fn write(path: &Path, bytes: &[u8]) -> Result<Value> {
    let mut file = match std::fs::File::create_new(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already; --out names another file", path.display())
        }
        other => other.with_context(|| format!("{}: cannot be written", path.display()))?,
    };
    std::io::Write::write_all(&mut file, bytes)?;
    Ok(json!({"file": path, "bytes": bytes.len()}))
}

/// The answer for people.
fn tell(action: &Action, answer: &Value, paint: text::Paint) -> String {
    match action {
        Action::List { instance: None } => text::champions(answer),
        Action::List { instance: Some(_) } => text::lines(answer, paint),
        Action::Show { .. } => text::version(answer, paint),
        Action::Compare { .. } => text::comparison(answer),
        Action::Promote { .. } | Action::Rollback { .. } => {
            format!("{}: version {} judges, before {}\n", answer["instance"], answer["to"], answer["from"])
                .replace('"', "")
        }
        Action::Export { .. } | Action::Vectors { .. } => {
            format!("{}: {} bytes\n", answer["file"].as_str().unwrap_or("?"), answer["bytes"])
        }
        Action::Import { promote: true, .. } => format!("version {} judges\n", answer["version"]),
        Action::Import { .. } => {
            format!("version {} is a challenger; promote lets it judge\n", answer["version"])
        }
        Action::Dismiss { .. } => format!("version {} is dismissed\n", answer["dismissed"]),
        Action::Pin { off, .. } => {
            format!("version {} is {}pinned\n", answer["version"], if *off { "no longer " } else { "" })
        }
        Action::Reference { .. } => format!("version {} is the reference\n", answer["reference"]),
        Action::Prune { .. } => format!("deleted: {}\n", answer["pruned"]),
    }
}
