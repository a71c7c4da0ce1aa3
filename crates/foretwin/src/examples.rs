//! Examples of every command, shown at the end of its help and in its man page; each is parsed in a test.

use clap::{Command, CommandFactory};

use crate::cli::Cli;
use crate::version;

/// A command line and what it is for.
type Example = (&'static str, &'static str);

/// By the words of the command. What is not here says its own examples where its arguments are.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "run",
        &[
            ("foretwin run", "then open http://127.0.0.1:7878"),
            ("foretwin run --data-dir /var/lib/foretwin --config foretwin.toml", "as a service does"),
        ],
    ),
    (
        "agent",
        &[
            ("foretwin agent --server http://foretwin.example:7878", ""),
            ("foretwin agent --config /etc/foretwin/agent.toml", "the server stands in [forward]"),
        ],
    ),
    ("server", &[("foretwin server --listen 127.0.0.1:7878", "agents of other machines send here")]),
    (
        "predict",
        &[
            ("foretwin predict", "all that is at risk within the hour"),
            ("foretwin predict web-1/system.slice/app.service --horizon 6h", "one instance"),
            ("foretwin predict web-1 --json", "for programs"),
        ],
    ),
    (
        "forecast",
        &[
            ("foretwin forecast web-1 --horizon 6h", ""),
            ("foretwin forecast web-1 --metric system.memory.usage", "one metric, with its whole path"),
        ],
    ),
    (
        "whatif",
        &[
            ("foretwin whatif web-1/app --memory 1.5x", "would more memory cure it, or delay it?"),
            ("foretwin whatif web-1/app --scenario memory=2x,restart --scenario load=0.5x", "side by side"),
        ],
    ),
    (
        "models",
        &[
            ("foretwin models list", "every instance's champion"),
            ("foretwin models show web-1", "what its model looks at"),
            ("foretwin models rollback web-1", "the champion before this one judges again"),
        ],
    ),
    ("models list", &[("foretwin models list", ""), ("foretwin models list web-1", "all versions of one")]),
    ("models show", &[("foretwin models show web-1", "the champion"), ("foretwin models show web-1 7", "")]),
    ("models compare", &[("foretwin models compare web-1 6 7 --span 6h", "")]),
    ("models promote", &[("foretwin models promote web-1 6 --reason better", "from the next frame on")]),
    ("models rollback", &[("foretwin models rollback web-1", "")]),
    ("models export", &[("foretwin models export web-1 7 --out model.safetensors", "PyTorch loads it")]),
    ("models vectors", &[("foretwin models vectors web-1 7 --rows 300 --out vectors.json", "")]),
    ("models import", &[("foretwin models import web-1 model.safetensors --promote", "")]),
    ("models dismiss", &[("foretwin models dismiss web-1 8 --reason deaf", "")]),
    (
        "models pin",
        &[("foretwin models pin web-1 7", "never pruned"), ("foretwin models pin web-1 7 --off", "")],
    ),
    ("models reference", &[("foretwin models reference web-1 7", "")]),
    ("models prune", &[("foretwin models prune web-1 --keep 2", "")]),
    ("twin list", &[("foretwin twin list", ""), ("foretwin twin list --json", "")]),
    ("twin show", &[("foretwin twin show web-1/system.slice/app.service", "")]),
    (
        "twin replay",
        &[
            ("foretwin twin replay web-1/app --level container", ""),
            ("foretwin twin replay web-1/app --level none", "stops it"),
        ],
    ),
    ("twin rehearse", &[("foretwin twin rehearse web-1/app --ahead 6h --speed 60", "takes six minutes")]),
    (
        "alerts list",
        &[("foretwin alerts list", ""), ("foretwin alerts list --all --since=-7d", "also what is over")],
    ),
    ("alerts show", &[("foretwin alerts show 00064a3c12ab34cd", "")]),
    (
        "alerts feedback",
        &[("foretwin alerts feedback 00064a3c12ab34cd expected", "fewer of that kind there")],
    ),
    ("maintenance list", &[("foretwin maintenance list --instance web-1", "")]),
    ("maintenance add", &[("foretwin maintenance add web-1 --duration 2h", "on all that runs there, too")]),
    ("maintenance end", &[("foretwin maintenance end 00064a3c12ab34cd", "")]),
    ("notify", &[("foretwin notify test --config /etc/foretwin/foretwin.toml", "is everybody reached?")]),
    (
        "notify test",
        &[
            ("foretwin notify test --config foretwin.toml", "all receivers"),
            ("foretwin notify test --config foretwin.toml --sink ops --json", "one of them"),
        ],
    ),
    ("token create", &[("foretwin token create --name grafana --scope read", "it is shown only now")]),
    ("token list", &[("foretwin token list", "")]),
    ("token revoke", &[("foretwin token revoke grafana", "")]),
    (
        "check",
        &[
            ("foretwin check foretwin.toml", "fails with the field and the remedy"),
            ("foretwin check --print foretwin.toml", "everything in force, defaults included"),
        ],
    ),
    ("doctor", &[("foretwin doctor", ""), ("foretwin doctor --json", "")]),
    (
        "replay",
        &[
            ("foretwin replay recorded.parquet", ""),
            ("foretwin replay range.json --out scores.csv", "a Prometheus range query"),
            ("foretwin replay incident.csv --limit rss=4e9", "would it have warned? the limit was 4 GB"),
            (
                "foretwin replay a.csv b.csv --predictions said.csv --every 60 --json",
                "what was said, minute by minute",
            ),
            ("foretwin replay incident.csv --listen 127.0.0.1:7878", "then look at it with a browser"),
        ],
    ),
    ("evaluate", &[("foretwin evaluate detection --data DATA/smd --out scores", "see docs/measurements.md")]),
    (
        "evaluate detection",
        &[
            ("foretwin evaluate detection --data DATA/smd --out scores --json", ""),
            ("foretwin evaluate detection --format nab --data DATA/nab --out results", ""),
        ],
    ),
    (
        "evaluate forecast",
        &[
            ("foretwin evaluate forecast --data DATA/smd --out forecasts", ""),
            ("foretwin evaluate forecast --simulated 5 --out forecasts", "needs no data"),
        ],
    ),
    (
        "evaluate fleet",
        &[("foretwin evaluate fleet --instances 1000 --days 30 --plot said.svg", "needs no data")],
    ),
    ("evaluate contrast", &[("foretwin evaluate contrast --data campaign-1 campaign-2", "")]),
    ("evaluate rca", &[("foretwin evaluate rca --data DATA/rca --out ranks.json --json", "")]),
    (
        "evaluate failure",
        &[("foretwin evaluate failure --train train --data test --out predictions.csv", "")],
    ),
    ("evaluate whatif", &[("foretwin evaluate whatif --train train --data test --out whatif.csv", "")]),
];

/// The whole command line: as clap derives it, with examples and build facts.
pub fn command() -> Command {
    with_examples(Cli::command(), "").long_version(version::LONG.as_str())
}

fn with_examples(command: Command, path: &str) -> Command {
    let mut command = match EXAMPLES.iter().find(|(known, _)| *known == path) {
        Some((_, examples)) => command.after_help(rendered(examples)),
        None => command,
    };
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    for name in names {
        let path = format!("{path} {name}").trim_start().to_owned();
        command = command.mut_subcommand(name, |below| with_examples(below, &path));
    }
    command
}

/// Command lines, and beside them what they are for.
fn rendered(examples: &[Example]) -> String {
    let width = examples.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let line = |(line, what): &Example| format!("\n  {line:width$}   {what}").trim_end().to_owned();
    let title = if examples.len() == 1 { "Example:" } else { "Examples:" };
    title.to_owned() + &examples.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &Command, path: &str, look: &mut dyn FnMut(&str, &Command)) {
        look(path, command);
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            each(below, format!("{path} {}", below.get_name()).trim_start(), look);
        }
    }

    /// The command lines in a help text, as words; what comes after two spaces is commentary.
    fn lines(help: &str) -> Vec<Vec<String>> {
        let lines = help.lines().map(str::trim).filter(|line| line.starts_with("foretwin"));
        let line = |line: &str| line.split("  ").next().unwrap_or("").to_owned();
        lines.map(line).map(|line| words(&line)).collect()
    }

    /// Words as a shell takes them, up to a pipe or a redirection.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for c in line.chars() {
            let word = words.last_mut().unwrap();
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (' ', None) => words.push(String::new()),
                _ => word.push(c),
            }
        }
        words.into_iter().take_while(|word| !["|", ">"].contains(&word.as_str())).collect()
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example_that_parses() {
        let (mut wrong, mut seen) = (Vec::new(), 0);
        each(&command(), "", &mut |path, command| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            if about.is_empty() {
                wrong.push(format!("{path}: no description"));
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let own = |words: &Vec<String>| words[1..].join(" ").starts_with(path);
            let examples = lines(&help);
            seen += examples.len();
            if !examples.iter().any(own) {
                wrong.push(format!("{path}: no example"));
            }
            for words in examples {
                if let Err(error) = super::command().try_get_matches_from(&words) {
                    wrong.push(format!("{path}: {}: {error}", words.join(" ")));
                }
            }
        });
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(seen > 60, "only {seen} examples were found");
    }

    #[test]
    fn every_argument_says_what_it_is() {
        let mut silent = Vec::new();
        each(&command(), "", &mut |path, command| {
            let unsaid = command.get_arguments().filter(|argument| argument.get_help().is_none());
            silent.extend(unsaid.map(|argument| format!("{path} {}", argument.get_id())));
        });
        assert!(silent.is_empty(), "{silent:#?}");
    }

    #[test]
    fn no_example_is_of_a_command_that_is_gone() {
        let mut known = Vec::new();
        each(&command(), "", &mut |path, _| known.push(path.to_owned()));
        let gone: Vec<_> = EXAMPLES.iter().filter(|(path, _)| !known.iter().any(|one| one == path)).collect();
        assert!(gone.is_empty(), "{gone:?}");
    }
}
