//! `foretwin token`: who may ask a node, and for what.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use foretwin_serve::{Scope, Tokens};
use serde_json::json;

use crate::settings::Settings;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  foretwin token create --name me --scope admin           everything, for a person
  foretwin token create --name web-1 --scope write        an agent: foretwin agent --token-file FILE
  foretwin token create --name grafana --scope read
  foretwin token list
  foretwin token revoke web-1                             by name or id

A running node sees changes within a second. From the first token on, one is needed, on loopback too.")]
pub struct TokenArgs {
    /// Configuration file of the node, for its data_dir
    #[arg(long, global = true, env = "FORETWIN_CONFIG")]
    config: Option<PathBuf>,
    /// Data directory of the node [default: ./foretwin-data]
    #[arg(long, global = true, env = "FORETWIN_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// One JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make one; it is shown only now
    Create {
        /// What it is for
        #[arg(long)]
        name: String,
        /// What it may do: read, write, act, admin; may repeat
        #[arg(long, required = true, value_delimiter = ',')]
        scope: Vec<Scope>,
    },
    /// Show what there is; not the tokens themselves, which nobody keeps
    List,
    /// Take one back
    Revoke {
        /// Its id, or the name of one or several
        which: String,
    },
}

pub fn token(args: &TokenArgs) -> Result<ExitCode> {
    let settings = Settings::load(args.config.as_deref())?;
    let tokens = Tokens::of(args.data_dir.as_ref().unwrap_or(&settings.data_dir));
    match &args.action {
        Action::Create { name, scope } => {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
            let (token, secret) = tokens.create(name, scope, i64::try_from(since.as_micros())?)?;
            if args.json {
                let told =
                    json!({"id": token.id, "name": token.name, "scopes": token.scopes, "token": secret});
                println!("{told}");
            } else {
                if std::io::stderr().is_terminal() {
                    eprintln!("{} {}; keep this, it is not shown again:", token.id, token.name);
                }
                println!("{secret}");
            }
        }
        Action::List => list(&tokens, args.json)?,
        Action::Revoke { which } => match tokens.revoke(which)? {
            0 => bail!(
                "{which}: there is no such token in {}; see foretwin token list",
                tokens.path().display()
            ),
            count if args.json => println!("{}", json!({"revoked": count})),
            count => println!("{count} revoked"),
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn list(tokens: &Tokens, as_json: bool) -> Result<()> {
    let all = tokens.list()?;
    if as_json {
        let told = all.iter().map(|token| {
            json!({"id": token.id, "name": token.name, "scopes": token.scopes, "created_us": token.created_us})
        });
        println!("{}", json!({"tokens": told.collect::<Vec<_>>()}));
        return Ok(());
    }
    if all.is_empty() {
        println!(
            "no tokens in {}: the node answers whoever reaches it, on loopback only",
            tokens.path().display()
        );
    }
    for token in all {
        let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
        println!("{}  {:<16}  {}", token.id, scopes.join(","), token.name);
    }
    Ok(())
}
