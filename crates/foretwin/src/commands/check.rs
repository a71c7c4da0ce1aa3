//! `foretwin check`: is this configuration good?

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::CheckArgs;
use crate::settings::Settings;

pub fn check(args: &CheckArgs) -> Result<ExitCode> {
    let settings = Settings::load(Some(&args.config))?;
    settings.engine()?;
    settings.serve.validate()?;
    if args.print {
        print!("{}", toml::to_string(&settings)?);
    } else {
        println!("{}: good", args.config.display());
    }
    Ok(ExitCode::SUCCESS)
}
