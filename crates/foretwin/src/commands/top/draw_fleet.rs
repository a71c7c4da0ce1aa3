//! How the fleet looks: one row an instance, the worst first.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table};

use super::app::App;
use super::fleet;
use super::words::{alarm, block, bold, clock, end_of, faint, percent, span, tint};

/// From this width on kind, learning and longer trends have room.
const WIDE: u16 = 130;
/// Probabilities and scores from which on they are yellow, and red.
pub(super) const RISKY: (f64, f64) = (0.2, 0.5);
pub(super) const ODD: (f64, f64) = (0.8, 1.0);

const KEYS: &str = "Fleet
  up down PgUp PgDn Home End   move           Enter   open an instance
  /   filter                                  s       sort by risk, score, verdict, name
  g   show instances that are gone            Esc     no filter
Instance
  up down   choose a metric                   + -     longer, shorter span
  Tab 1 2 3 4   risks, causes, twin, events   d u     scroll them
  Esc   back to the fleet
Everywhere
  ?   this help                               q       quit

A filter is words that all match: a part of a name, kind:host, host:web-1,
verdict:infra, mode:memory, risk>0.2, score>1. Times are UTC.";

pub(super) fn draw(frame: &mut Frame, app: &App) {
    let [head, line, table, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(summary(app), head);
    frame.render_widget(connection(app), line);
    let shown = app.fleet.shown();
    if shown.is_empty() {
        frame.render_widget(Paragraph::new(nothing(app)), table);
    } else {
        rows(frame, table, (app, &shown));
    }
    frame.render_widget(footer(app, shown.len()), foot);
}

/// Counts over all instances.
fn summary(app: &App) -> Line<'static> {
    let (failing, anomalous, learning) = app.fleet.counts();
    let count = |n: usize, what: &str, colour: Color| {
        let style = if n > 0 { tint(colour) } else { faint() };
        Span::styled(format!("  {n} {what}"), style)
    };
    let mut spans = vec![
        Span::styled("foretwin", bold()),
        Span::raw(format!("  {} instances", app.fleet.len())),
        count(failing, "likely to fail", Color::Red),
        count(anomalous, "anomalous", Color::Yellow),
        count(learning, "learning", Color::Cyan),
    ];
    if !app.alerts.is_empty() {
        spans.push(Span::styled(format!("  {} alerts", app.alerts.len()), tint(Color::Red)));
    }
    Line::from(spans)
}

/// Whether the node answers, and since when not.
pub(super) fn connection(app: &App) -> Line<'static> {
    let at = app.answered_us.map_or("never".to_owned(), clock);
    match &app.trouble {
        Some(why) => Line::styled(format!("no answer since {at}: {why}"), alarm(1.0, (0.0, 1.0))),
        None => {
            let live = if app.live { "live" } else { "polled" };
            Line::styled(format!("{}  {live}, answered {at}", app.server), faint())
        }
    }
}

/// Why there is nothing to see.
fn nothing(app: &App) -> String {
    match (app.answered_us, app.fleet.filter.is_empty()) {
        (None, _) => "waiting for the node's first answer".to_owned(),
        (_, false) => format!("no instance matches {:?}; Esc clears the filter", app.fleet.filter),
        _ => "no instance yet: the first telemetry is on its way".to_owned(),
    }
}

fn rows(frame: &mut Frame, area: Rect, (app, shown): (&App, &[&fleet::Row])) {
    let wide = area.width >= WIDE;
    let room = area.height.saturating_sub(1).max(1) as usize;
    let selected = app.fleet.position(shown);
    // The selection stands a page in at most, so that what is worst stays in sight as long as it can.
    let first = (selected + 1).saturating_sub(room);
    let trend: u16 = if wide { 16 } else { 8 };
    let fixed = 5 + 9 + 6 + 5 + trend + 18 + 6;
    let name = area.width.saturating_sub(fixed + if wide { 9 + 24 + 2 } else { 0 }) as usize;
    let mut widths = vec![name as u16, 5, 9, 6, 5, trend, 18];
    let mut titles = vec!["INSTANCE", "RISK", "MODE", "IN", "SCORE", "TREND", "VERDICT"];
    if wide {
        widths.extend([9, 24]);
        titles.extend(["KIND", "LEARNING"]);
    }
    let seen = shown.iter().enumerate().skip(first).take(room);
    let lines = seen.map(|(at, row)| {
        let style =
            if at == selected { Style::default().add_modifier(Modifier::REVERSED) } else { Style::default() };
        Row::new(cells(row, (name, trend as usize), wide)).style(style)
    });
    let header = Row::new(titles).style(bold());
    frame.render_widget(Table::new(lines, widths.into_iter().map(Constraint::Length)).header(header), area);
}

fn cells(row: &fleet::Row, (name, trend): (usize, usize), wide: bool) -> Vec<Cell<'static>> {
    let score = row.score.map_or("-".to_owned(), |score| format!("{score:.2}"));
    let blocks = |score: &f64| Span::styled(block(*score).to_string(), alarm(*score, ODD));
    let skipped = row.scores.len().saturating_sub(trend);
    let risky = row.risk >= 0.01;
    let (verdict, style) = verdict(row);
    let gone = if row.alive { Style::default() } else { faint() };
    let mut cells = vec![
        Cell::from(Span::styled(end_of(&row.id, name), gone)),
        Cell::from(Span::styled(percent(row.risk), alarm(row.risk, RISKY))),
        Cell::from(if risky { short_mode(&row.mode).to_owned() } else { String::new() }),
        Cell::from(if risky && row.p50_s.is_some() { span(row.p50_s) } else { String::new() }),
        Cell::from(Span::styled(score, alarm(row.score.unwrap_or(0.0), ODD))),
        Cell::from(Line::from(row.scores.iter().skip(skipped).map(blocks).collect::<Vec<_>>())),
        Cell::from(Span::styled(verdict, style)),
    ];
    if wide {
        // What follows the share has no room here.
        let learning = row.learning.split(',').next().unwrap_or_default().to_owned();
        cells.extend([Cell::from(row.kind.clone()), Cell::from(Span::styled(learning, faint()))]);
    }
    cells
}

/// What the contrast says, or why nothing is said.
fn verdict(row: &fleet::Row) -> (String, Style) {
    match &row.verdict {
        _ if !row.alive => ("gone".into(), faint()),
        // Everything that is said of it is that old.
        _ if row.silent_s > 30.0 => (format!("silent {}", span(Some(row.silent_s))), tint(Color::Yellow)),
        None => ("-".into(), faint()),
        Some((class, _)) if class == "no_contrast" => ("no contrast".into(), faint()),
        Some((class, _)) if class == "healthy" => (class.clone(), tint(Color::Green)),
        Some((class, p)) => (format!("{class} {}", percent(*p)), alarm(*p, (0.0, 0.8))),
    }
}

/// A failure mode in at most nine characters.
pub(super) fn short_mode(mode: &str) -> &str {
    match mode.rsplit_once('_') {
        Some((what, "exhaustion" | "full" | "breach")) if what.len() <= 9 => what,
        Some(("descriptor", _)) => "files",
        Some(("cpu", _)) => "cpu",
        _ => mode,
    }
}

fn footer(app: &App, shown: usize) -> Line<'static> {
    if app.typing {
        return Line::from(format!("/{}_  Enter keeps, Esc clears", app.fleet.filter));
    }
    let filter =
        if app.fleet.filter.is_empty() { String::new() } else { format!("  filter {}", app.fleet.filter) };
    let keys = "?help Enter open /filter s sort q quit";
    let order = app.fleet.order.name();
    Line::styled(format!("{keys}   {shown} shown, by {order}{filter}"), faint())
}

/// The keys, over everything else.
pub(super) fn help(frame: &mut Frame) {
    let all = frame.area();
    let (width, height) = (80.min(all.width), (KEYS.lines().count() as u16 + 2).min(all.height));
    let area = Rect::new((all.width - width) / 2, (all.height - height) / 2, width, height);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(KEYS).block(Block::bordered().title("keys")), area);
}
