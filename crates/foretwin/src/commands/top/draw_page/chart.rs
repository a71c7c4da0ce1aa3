//! One metric over time: what was seen, what was expected, and the band around it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};
use serde_json::Value;

use super::{Page, beside, bold, end_of, faint, items, quantity, tint, words};

/// Deviations that the band is wide to either side.
const BAND: f64 = 2.0;

/// Points of a chart, times in seconds.
type Points = Vec<(f64, f64)>;

/// Draws a series of the page's window.
pub(super) fn draw(frame: &mut Frame, area: Rect, (page, key): (&Page, &str)) {
    let Some(series) = page.series(key) else {
        let waiting = Paragraph::new(Line::styled("asking for its history", faint()));
        return frame
            .render_widget(waiting.block(Block::new().title(end_of(key, area.width as usize))), area);
    };
    let observed = points(series, |at, observed, _| observed.map(|value| (at, value)));
    let expected = points(series, |at, _, expected| expected.map(|(mean, _)| (at, mean)));
    let edge = |side: f64| {
        points(series, |at, _, expected| expected.map(|(mean, scale)| (at, mean + side * BAND * scale)))
    };
    let (upper, lower) = (edge(1.0), edge(-1.0));
    let unit = series["unit"].as_str().unwrap_or("");
    let times = bounds(observed.iter().map(|point| point.0));
    let values = bounds(observed.iter().chain(&expected).map(|point| point.1));
    let line = |points, colour: Color, marker| {
        Dataset::default().marker(marker).graph_type(GraphType::Line).style(shade(colour)).data(points)
    };
    let sets = vec![
        line(&upper, Color::DarkGray, Marker::Dot),
        line(&lower, Color::DarkGray, Marker::Dot),
        line(&expected, Color::Cyan, Marker::Dot),
        line(&observed, Color::Yellow, Marker::Braille),
    ];
    let clock = |s: f64| words::clock((s * 1e6) as i64);
    let time = Axis::default()
        .bounds(times)
        .labels([clock(times[0]), format!("{} to {}", page.span(), clock(times[1]))]);
    let value = Axis::default().bounds(values).labels(values.map(|value| quantity(value, unit)));
    let told = beside(series);
    let room = usize::from(area.width).saturating_sub(told.len() + 2);
    let title = Line::styled(format!("{}: {told}", end_of(key, room)), bold());
    frame.render_widget(
        Chart::new(sets).block(Block::new().title(title)).x_axis(time).y_axis(value).legend_position(None),
        area,
    );
}

/// Without colours the line that was seen is the bright one.
fn shade(colour: Color) -> Style {
    if colour == Color::DarkGray { faint().patch(tint(colour)) } else { tint(colour) }
}

/// Points of one line; where nothing was, there is none.
fn points(
    series: &Value,
    line: impl Fn(f64, Option<f64>, Option<(f64, f64)>) -> Option<(f64, f64)>,
) -> Points {
    let columns = items(&series["at_us"]).zip(items(&series["observed"]));
    let columns = columns.zip(items(&series["expected"])).zip(items(&series["scale"]));
    columns
        .filter_map(|(((at, observed), expected), scale)| {
            let expected = expected.as_f64().zip(scale.as_f64());
            line(at.as_f64()? / 1e6, observed.as_f64(), expected)
        })
        .collect()
}

/// Least and greatest, never the same: a constant has room on both sides.
fn bounds(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    match (low.is_finite(), high > low) {
        (false, _) => [0.0, 1.0],
        (true, false) => [low - low.abs().max(1.0) * 0.05, high + high.abs().max(1.0) * 0.05],
        (true, true) => [low, high],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bounds_have_room_even_around_a_constant() {
        assert_eq!(bounds([1.0, 3.0].into_iter()), [1.0, 3.0]);
        let [low, high] = bounds([2.0].into_iter());
        assert!(low < 2.0 && 2.0 < high);
        assert_eq!(bounds(std::iter::empty()), [0.0, 1.0]);
    }

    #[test]
    fn what_was_not_seen_is_no_point() {
        let series = json!({"at_us": [1_000_000, 2_000_000], "observed": [5.0, null], "expected": [null, 6.0],
            "scale": [null, 0.5]});
        assert_eq!(points(&series, |at, seen, _| seen.map(|v| (at, v))), [(1.0, 5.0)]);
        assert_eq!(points(&series, |at, _, e| e.map(|(mean, _)| (at, mean))), [(2.0, 6.0)]);
    }
}
