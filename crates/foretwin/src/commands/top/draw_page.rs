//! How one instance looks: charts of what is odd, risks by mode and horizon, causes, the twin, events.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};
use serde_json::Value;

use super::app::App;
use super::draw_fleet::{ODD, RISKY, connection, short_mode};
use super::page::{Page, Panel, Ranked};
use super::words::{alarm, block, bold, end_of, faint, percent, quantity, span, tint};
use super::{page, words};

mod chart;

/// From this size on all panels and three charts have room.
const WIDE: u16 = 110;
const TALL: u16 = 40;

pub(super) fn draw(frame: &mut Frame, app: &App, page: &Page) {
    let area = frame.area();
    let roomy = area.width >= WIDE && area.height >= TALL;
    let [head, state, upper, lower, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(if roomy { 3 } else { 1 }),
        Constraint::Fill(if roomy { 2 } else { 1 }),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(title(page), head);
    frame
        .render_widget(if app.trouble.is_some() { connection(app) } else { scores(page, area.width) }, state);
    let list = if area.width >= WIDE { 46 } else { 30 };
    let [charts, metrics] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(list)]).areas(upper);
    let drawn = page.charted().len().min(if roomy { 3 } else { 1 });
    let areas = Layout::vertical(vec![Constraint::Fill(1); drawn.max(1)]).split(charts);
    for (key, area) in page.charted().iter().zip(areas.iter()) {
        chart::draw(frame, *area, (page, key));
    }
    ranked(frame, metrics, page);
    panels(frame, lower, (page, roomy));
    let keys = "?help Esc fleet arrows metric +- span Tab panel du scroll q quit";
    frame.render_widget(Line::styled(keys, faint()), foot);
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Who, how likely to fail, and how sure that is.
fn title(page: &Page) -> Line<'static> {
    let told = &page.prediction;
    if told.is_null() {
        return Line::from(vec![Span::styled(page.id.clone(), bold()), Span::raw("  asking")]);
    }
    let risk = number(&told["failure_probability"]);
    let rest = format!(
        " within {}, confidence {}",
        span(told["horizon_s"].as_f64()),
        percent(number(&told["confidence"]))
    );
    let risk = Span::styled(format!("  fails {}", percent(risk)), alarm(risk, RISKY));
    Line::from(vec![Span::styled(page.id.clone(), bold()), risk, Span::raw(rest)])
}

/// The score now and over the span, and how far learning is.
fn scores(page: &Page, width: u16) -> Line<'static> {
    let told = &page.prediction;
    let score = told["anomaly"]["score"].as_f64();
    let now = score.map_or("no score yet".to_owned(), |score| format!("score {score:.2} "));
    let learning = told["learning"]["message"].as_str().unwrap_or("").to_owned();
    let room = usize::from(width).saturating_sub(now.len() + learning.len() + 4).min(60);
    let seen: Vec<f64> = page
        .series(page::SCORE)
        .map(|series| items(&series["observed"]).filter_map(Value::as_f64).collect())
        .unwrap_or_default();
    let mut spans = vec![Span::styled(now, alarm(score.unwrap_or(0.0), ODD))];
    spans.extend(
        strongest(&seen, room).iter().map(|&one| Span::styled(block(one).to_string(), alarm(one, ODD))),
    );
    spans.push(Span::styled(format!("  {learning}"), faint()));
    Line::from(spans)
}

/// At most `room` values, each the highest of its stretch: a short alarm must not fall between two columns.
fn strongest(values: &[f64], room: usize) -> Vec<f64> {
    let stretch = values.len().div_ceil(room.max(1)).max(1);
    values.chunks(stretch).map(|chunk| chunk.iter().copied().fold(0.0, f64::max)).collect()
}

/// All metrics, those that make the score first.
fn ranked(frame: &mut Frame, area: Rect, page: &Page) {
    let at = page.position();
    let room = area.height.saturating_sub(1) as usize;
    let first = (at + 1).saturating_sub(room);
    let width = usize::from(area.width).saturating_sub(7);
    let line = |(index, metric): (usize, &Ranked)| {
        let share = if metric.share >= 0.005 { percent(metric.share) } else { String::new() };
        let style =
            if index == at { Style::default().add_modifier(Modifier::REVERSED) } else { Style::default() };
        Line::styled(format!("{share:>4} {}", end_of(&metric.key, width)), style)
    };
    let lines: Vec<Line> = page.metrics.iter().enumerate().skip(first).take(room).map(line).collect();
    let block = Block::new().borders(Borders::LEFT | Borders::TOP).title("share of the score");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Risks, causes, twin and events: all where there is room, else the chosen one.
fn panels(frame: &mut Frame, area: Rect, (page, roomy): (&Page, bool)) {
    if !roomy {
        panel(frame, area, (page, page.panel, tabs(page.panel)));
        return;
    }
    let rows: [Rect; 2] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
    let places = rows.into_iter().flat_map(|row| {
        let columns: [Rect; 2] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(row);
        columns
    });
    for (which, place) in Panel::ALL.into_iter().zip(places) {
        panel(frame, place, (page, which, Line::from(which.name())));
    }
}

/// The names of the panels, the chosen one marked.
fn tabs(chosen: Panel) -> Line<'static> {
    let name = |(at, panel): (usize, Panel)| {
        let style = if panel == chosen { Style::default().add_modifier(Modifier::REVERSED) } else { faint() };
        Span::styled(format!(" {} {} ", at + 1, panel.name()), style)
    };
    Line::from(Panel::ALL.into_iter().enumerate().map(name).collect::<Vec<_>>())
}

fn panel(frame: &mut Frame, area: Rect, (page, which, title): (&Page, Panel, Line<'static>)) {
    let lines = match which {
        Panel::Risks => risks(page),
        Panel::Causes => causes(&page.prediction),
        Panel::Twin => twin(&page.twin),
        Panel::Events => events(page),
    };
    let scroll = if which == page.panel { page.scroll } else { 0 };
    let told = Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false }).scroll((scroll, 0));
    frame.render_widget(told.block(Block::new().borders(Borders::TOP).title(title)), area);
}

/// A row for each mode that may come, a column for each horizon.
fn risks(page: &Page) -> Vec<Line<'static>> {
    let told = &page.prediction;
    let horizons: Vec<f64> = items(&told["probabilities"]).map(|one| number(&one["horizon_s"])).collect();
    let mut head = format!("{:11}", "within");
    head.extend(horizons.iter().map(|&s| format!("{:>5}", span(Some(s)))));
    let mut lines = vec![Line::styled(format!("{head}   p10    p50    p90    of"), bold())];
    let mut all = vec![Span::raw(format!("{:11}", "any"))];
    all.extend(items(&told["probabilities"]).map(|one| probability(number(&one["probability"]))));
    lines.push(Line::from(all));
    // What never comes needs no row.
    for risk in items(&told["risks"]).filter(|risk| number(&risk["never"]) < 0.995) {
        let mut spans = vec![Span::raw(format!("{:11}", short_mode(text(&risk["mode"]))))];
        spans.extend(items(&risk["within"]).map(|pair| probability(number(&pair[1]))));
        let when = |which: &str| format!("{:>6} ", span(risk["time_to_failure"][which].as_f64()));
        spans.push(Span::raw(format!("{}{}{}", when("p10"), when("p50"), when("p90"))));
        spans.push(Span::styled(end_of(text(&risk["metric"]), 30), faint()));
        lines.push(Line::from(spans));
    }
    if lines.len() == 2 {
        lines.push(Line::styled("nothing runs out as things go", faint()));
    }
    lines
}

fn probability(p: f64) -> Span<'static> {
    Span::styled(format!("{:>5}", percent(p)), alarm(p, RISKY))
}

/// Causes with their evidence, and what to do.
fn causes(told: &Value) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for cause in items(&told["root_causes"]) {
        let place = cause["place"].as_str().map_or(String::new(), |place| format!(" at {place}"));
        let p = percent(number(&cause["probability"]));
        lines.push(Line::styled(format!("{p:>4} {}{place}", text(&cause["class"])), bold()));
        lines.extend(
            items(&cause["evidence"]).map(|one| Line::raw(format!("     {}", text(&one["statement"])))),
        );
    }
    for action in items(&told["recommended_actions"]) {
        lines.push(Line::styled(format!("  do {}", text(&action["description"])), tint(Color::Green)));
    }
    for flag in items(&told["flags"]) {
        lines.push(Line::raw(format!("  {}: {}", text(&flag["severity"]), text(&flag["title"]))));
    }
    if lines.is_empty() {
        lines.push(Line::styled("nothing is wrong enough to have a cause", faint()));
    }
    lines
}

/// What the twin says, beside what counters alone would.
fn twin(view: &Value) -> Vec<Line<'static>> {
    if let Some(why) = view["none"].as_str() {
        return vec![Line::styled(format!("no twin: {why}"), faint())];
    }
    if view.is_null() {
        return vec![Line::styled("asking", faint())];
    }
    let score = |value: &Value| value.as_f64().map_or("none".to_owned(), |score| format!("{score:.2}"));
    let mut lines = vec![Line::styled(verdict(&view["verdict"]), bold())];
    lines.extend(
        items(&view["verdict"]["evidence"]).map(|one| Line::raw(format!("  {}", text(&one["statement"])))),
    );
    lines.push(Line::raw(format!("from counters alone: {}", verdict(&view["verdict_counters_only"]))));
    lines.push(Line::raw(format!(
        "score of production {}, of the twin {} ({})",
        score(&view["score"]),
        score(&view["twin_score"]),
        view["fidelity"].as_str().unwrap_or("no twin")
    )));
    for (who, drift) in [("production", &view["drift"]), ("twin", &view["twin_drift"])] {
        for one in items(drift).filter(|one| !one["champion"].is_null()) {
            let (of, shift) = (&one["champion"], number(&one["champion"]["shift"]));
            let metric = of["metric"].as_str().unwrap_or("any metric");
            lines.push(Line::raw(format!("drift of {who}: {shift:.1} deviations, of {metric}")));
        }
    }
    if let Some(p50) = view["ahead"]["time_to_failure"]["p50"].as_f64() {
        lines.push(Line::raw(format!("latency breaks in {} if the twin drifts on", span(Some(p50)))));
    }
    if let Some(replay) = view["replay"].as_object() {
        lines.push(Line::raw(format!("replay: {} as {}", text(&replay["state"]), text(&replay["achieved"]))));
    }
    lines
}

/// A verdict in one line.
fn verdict(verdict: &Value) -> String {
    let by = verdict["consumer"].as_str().map_or(String::new(), |who| format!(", by {who}"));
    let own = if verdict["self_inflicted"] == true { ", self-inflicted" } else { "" };
    let since =
        verdict["since_us"].as_i64().map_or(String::new(), |at| format!(" since {}", words::clock(at)));
    format!("{} {}{by}{own}{since}", text(&verdict["class"]), percent(number(&verdict["probability"])))
}

fn events(page: &Page) -> Vec<Line<'static>> {
    if page.events.is_empty() {
        return vec![Line::styled("nothing happened since this page was opened", faint())];
    }
    page.events.iter().map(|line| Line::raw(line.clone())).collect()
}

/// A value beside what was expected of it.
fn beside(series: &Value) -> String {
    let unit = series["unit"].as_str().unwrap_or("");
    let last = |which: &str| items(&series[which]).filter_map(Value::as_f64).last();
    let told = |value: Option<f64>| value.map_or("-".to_owned(), |value| quantity(value, unit));
    format!("{}, expected {}", told(last("observed")), told(last("expected")))
}
