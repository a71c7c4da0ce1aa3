//! Foretwin: a running stand-in for every machine, VM, container and service.
//!
//! This room is the command line: it reads the configuration, starts the wanted roles, and answers people.

mod cli;
mod commands;
mod examples;
mod pipe;
mod settings;
mod table;
mod version;

use std::process::ExitCode;

use clap::FromArgMatches;

use cli::{Cli, Command};

fn main() -> ExitCode {
    // One binary: it starts itself as the runner of a twin. That one has a command line of its own, and no time to lose.
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(foretwin_twin::SUBCOMMAND) {
        return foretwin_runner::main(arguments);
    }
    let matches = examples::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    start_log(cli.verbose);
    let serves =
        matches!(cli.command, Command::Run(_) | Command::Agent(_) | Command::Server(_) | Command::Top(_));
    if !serves {
        pipe::end_quietly();
    }
    let credentials = foretwin_engine::Credentials {
        token_file: cli.token_file.unwrap_or_default(),
        ca_file: cli.ca_file.unwrap_or_default(),
    };
    if let Err(error) = commands::client::secure(credentials.clone()) {
        eprintln!("foretwin: {error:#}");
        return ExitCode::FAILURE;
    }
    let done = match cli.command {
        Command::Run(args) => commands::run::run(&args, commands::run::Kind::Everything),
        Command::Agent(args) => commands::run::agent(&args, credentials),
        Command::Server(args) => commands::run::run(&args, commands::run::Kind::Server),
        Command::Predict(args) => commands::predict::predict(&args),
        Command::Forecast(args) => commands::forecast::forecast(&args),
        Command::Whatif(args) => commands::whatif::whatif(&args),
        Command::Alerts(args) => commands::alerts::alerts(&args),
        Command::Maintenance(args) => commands::maintenance::maintenance(&args),
        Command::Models(args) => commands::models::models(&args),
        Command::Twin(args) => commands::twin::twin(&args),
        Command::Top(args) => commands::top::top(&args),
        Command::Report(args) => commands::report::report(&args),
        Command::Notify(args) => commands::notify::notify(&args),
        Command::Token(args) => commands::token::token(&args),
        Command::Check(args) => commands::check::check(&args),
        Command::Doctor(args) => commands::doctor::doctor(&args),
        Command::Replay(args) => commands::replay::replay(&args),
        Command::Evaluate(args) => commands::evaluate::evaluate(&args),
        Command::Completions(args) => commands::completions::completions(&args),
        Command::Man(args) => commands::completions::man(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            if let Some(status) = pipe::status(&error).filter(|_| !serves) {
                return ExitCode::from(status);
            }
            eprintln!("foretwin: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Logs go to standard error, coloured only on a terminal; `FORETWIN_LOG` sets the filter.
fn start_log(verbose: bool) {
    use std::io::IsTerminal;
    let default = if verbose { "debug" } else { "info" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("FORETWIN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .init();
}
