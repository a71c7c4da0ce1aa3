//! `foretwin top`: the fleet, and one instance of it, live in a terminal.

mod app;
mod draw_fleet;
mod draw_page;
mod fleet;
mod page;
mod screen;
mod source;
pub(super) mod words;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use app::{App, Wish};
use screen::Screen;
use source::{Question, Source};

/// How long a key may wait, and so how often a screen is drawn at most.
const TICK: Duration = Duration::from_millis(120);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  foretwin top                                       the fleet; ? tells the keys
  foretwin top web-1/system.slice/app.service        one instance
  foretwin top --filter 'risk>0.2' --sort score      what is likely to fail, the oddest first
  foretwin top --once --size 100x30                  one frame as text, for pipes")]
pub struct TopArgs {
    /// Begin with this instance instead of the fleet
    instance: Option<String>,
    /// Only instances that match all words: part of a name, kind:host, host:web-1, verdict:infra, risk>0.2, score>1
    #[arg(long, default_value = "")]
    filter: String,
    /// What comes first
    #[arg(long, value_enum, default_value_t = fleet::Order::Risk)]
    sort: fleet::Order,
    /// Print one frame as text and end
    #[arg(long)]
    once: bool,
    /// Columns and rows of that frame
    #[arg(long, default_value = "80x24", requires = "once", value_parser = size)]
    size: (u16, u16),
    /// One JSON document instead of a screen: the fleet as sorted and filtered, or all that is told of the instance
    #[arg(long)]
    json: bool,
    /// URL of the running node
    #[arg(long, env = "FORETWIN_SERVER", default_value = "http://127.0.0.1:7878")]
    server: String,
}

/// Columns and rows, such as 80x24.
fn size(text: &str) -> Result<(u16, u16), String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let fits = |(w, h): &(u16, u16)| (40..=1000).contains(w) && (10..=1000).contains(h);
    parsed.filter(fits).ok_or_else(|| "must be columns and rows from 40x10 on, such as 80x24".to_owned())
}

pub fn top(args: &TopArgs) -> Result<ExitCode> {
    let mut app = App::new(&args.server, (&args.filter, args.sort), args.instance.as_deref());
    if args.once || args.json {
        for message in source::ask_once(&args.server, &app.question())? {
            app.take(message);
        }
        // The chart's metrics are known only by now.
        for message in source::ask_window(&args.server, &app.question())? {
            app.take(message);
        }
        if args.json {
            println!("{}", serde_json::to_string_pretty(&app.document())?);
        } else {
            print!("{}", frame(&mut app, args.size)?);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !std::io::stdout().is_terminal() {
        bail!("standard output is no terminal; --once prints one frame, --json one document");
    }
    live(args, app)
}

/// Until a key or a signal ends it.
fn live(args: &TopArgs, mut app: App) -> Result<ExitCode> {
    let (sender, messages) = mpsc::channel();
    let source = Source::start(&args.server, sender, app.question())?;
    let mut screen = Screen::open().context("this terminal cannot be used")?;
    let mut asked = app.question();
    loop {
        screen.draw(|frame| app.draw(frame))?;
        let mut wish = Wish::Stay;
        if event::poll(TICK)? {
            wish = match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => app.press(key),
                _ => Wish::Stay,
            };
        }
        messages.try_iter().for_each(|message| app.take(message));
        if matches!(wish, Wish::Quit) || app.ended() {
            return Ok(ExitCode::SUCCESS);
        }
        let question: Question = app.question();
        if question != asked {
            source.ask(question.clone());
            asked = question;
        }
    }
}

/// What a terminal of `size` would show, as lines of text.
fn frame(app: &mut App, size: (u16, u16)) -> Result<String> {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1))?;
    terminal.draw(|frame| app.draw(frame))?;
    let buffer = terminal.backend().buffer();
    let line = |y: u16| -> String {
        let cells: String = (0..size.0).map(|x| buffer[(x, y)].symbol()).collect();
        cells.trim_end().to_owned() + "\n"
    };
    Ok((0..size.1).map(line).collect())
}

#[cfg(test)]
mod tests;
