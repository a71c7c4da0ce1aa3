//! `foretwin completions` and `foretwin man`: what a shell and `man` want to know of the command line, for packages.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::examples;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  foretwin completions bash > /etc/bash_completion.d/foretwin
  foretwin completions zsh > /usr/local/share/zsh/site-functions/_foretwin
  foretwin completions fish > ~/.config/fish/completions/foretwin.fish")]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  foretwin man | man -l -                        the page of the whole
  foretwin man twin rehearse | man -l -          the page of one command
  foretwin man --out /usr/local/share/man/man1   all pages")]
pub struct ManArgs {
    /// Of which command; without one, of the whole
    command: Vec<String>,
    /// Write all pages to this directory
    #[arg(long, conflicts_with = "command")]
    out: Option<PathBuf>,
}

pub fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut examples::command(), "foretwin", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub fn man(args: &ManArgs) -> Result<ExitCode> {
    // The help command has a page for every other one, which says nothing.
    let mut command = examples::command().disable_help_subcommand(true);
    command.build();
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        write_all(&command, dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut wanted = &command;
    for name in &args.command {
        wanted = match wanted.find_subcommand(name) {
            Some(below) => below,
            None => bail!("{name} is no command of {}", wanted.get_display_name().unwrap_or("foretwin")),
        };
    }
    std::io::stdout().write_all(&page(wanted)?)?;
    Ok(ExitCode::SUCCESS)
}

fn write_all(command: &Command, dir: &Path) -> Result<()> {
    let path = dir.join(Man::new(command.clone()).get_filename());
    std::fs::write(&path, page(command)?).with_context(|| path.display().to_string())?;
    command.get_subcommands().try_for_each(|below| write_all(below, dir))
}

/// One page in roff. clap's own rendering would run the examples together in a section "EXTRA".
fn page(command: &Command) -> Result<Vec<u8>> {
    let version = format!("foretwin {}", crate::version::SHORT);
    let man = Man::new(command.clone()).manual("Foretwin").source(version);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let examples: Vec<&str> = help.lines().filter(|line| line.starts_with(' ')).collect();
    writeln!(text, ".SH EXAMPLES\n.nf")?;
    for line in examples {
        writeln!(text, "{}", line.replace('\\', "\\e").replace('-', "\\-"))?;
    }
    writeln!(text, ".fi")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut examples::command(), "foretwin", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("rehearse") && script.contains("horizon"), "{shell}");
        }
    }

    #[test]
    fn every_command_gets_a_page_with_its_examples() {
        let dir = tempfile::tempdir().unwrap();
        let args = ManArgs { command: Vec::new(), out: Some(dir.path().to_owned()) };
        man(&args).unwrap();
        let page = std::fs::read_to_string(dir.path().join("foretwin-twin-rehearse.1")).unwrap();
        assert!(page.contains(".TH foretwin-twin-rehearse 1"), "{page}");
        assert!(page.contains("\n  foretwin twin rehearse web\\-1/app \\-\\-ahead 6h"), "{page}");
        let count = std::fs::read_dir(dir.path()).unwrap().count();
        assert!(count > 30, "{count} pages");
        let known: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!known.iter().any(|name| name.to_string_lossy().contains("help")), "{known:?}");
    }
}
