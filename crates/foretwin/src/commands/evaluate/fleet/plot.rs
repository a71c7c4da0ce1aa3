//! The calibration plot: said against came for every horizon, with intervals and counts, as a small SVG.

use std::fmt::Write as _;

use super::calibration::{Bin, Horizon};

/// A panel in pixels, and where it begins within its cell.
const SIDE: f64 = 230.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 64.0;
/// Height of the strip of counts.
const COUNTS: f64 = 46.0;
/// A cell with its labels.
const CELL: (f64, f64) = (340.0, 424.0);
/// Shares at which the axes are labelled; they end a little beyond.
const TICKS: [(f64, &str); 6] =
    [(0.001, "0.1"), (0.01, "1"), (0.1, "10"), (0.5, "50"), (0.9, "90"), (0.99, "99")];
/// Statements from which on a point is filled and joined: fewer say little.
const MANY: usize = 30;
const ENDS: (f64, f64) = (0.0003, 0.997);
const INK: &str = "#1f2933";
const FAINT: &str = "#c3cad3";
const MARK: &str = "#0b5cad";

/// Draws all horizons, two to a row.
pub fn draw(horizons: &[Horizon], caption: &str) -> String {
    let rows = horizons.len().div_ceil(2) as f64;
    let (width, height) = (2.0 * CELL.0 + 10.0, rows * CELL.1 + 34.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"{INK}\">\n\
         <title>Probability of failure, said against came</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"22\" font-size=\"12\">{caption}</text>\n"
    );
    for (n, horizon) in horizons.iter().enumerate() {
        let (x, y) = ((n % 2) as f64 * CELL.0, (n / 2) as f64 * CELL.1 + 20.0);
        let _ = writeln!(svg, "<g transform=\"translate({x},{y})\">");
        panel(&mut svg, horizon);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Log odds, which give rare and likely the same room.
fn place(p: f64) -> f64 {
    let odds = |p: f64| (p / (1.0 - p)).ln();
    let p = p.clamp(ENDS.0, ENDS.1);
    SIDE * (odds(p) - odds(ENDS.0)) / (odds(ENDS.1) - odds(ENDS.0))
}

fn panel(svg: &mut String, horizon: &Horizon) {
    let bottom = TOP + SIDE;
    let name = match horizon.horizon_s {
        s if s < 3600.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    };
    let known = &horizon.reliability;
    let (brier, base) = (known.brier.unwrap_or(f64::NAN), known.brier_of_base_rate.unwrap_or(f64::NAN));
    let error = known.calibration_error.unwrap_or(f64::NAN);
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.0}\" font-size=\"14\" font-weight=\"600\">within {name}</text>\n\
         <text x=\"{LEFT}\" y=\"{:.0}\">Brier {brier:.4} (base rate {base:.4}), ECE {error:.4}</text>\n\
         <rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"{INK}\"/>\n\
         <line x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{:.0}\" y2=\"{TOP}\" stroke=\"{INK}\" stroke-dasharray=\"4 3\"/>",
        TOP - 24.0,
        TOP - 8.0,
        LEFT + SIDE,
    );
    axes(svg, &name);
    marks(svg, &horizon.bins);
}

/// Lines and labels of both axes.
fn axes(svg: &mut String, name: &str) {
    let bottom = TOP + SIDE;
    for (share, label) in TICKS {
        let (x, y) = (LEFT + place(share), bottom - place(share));
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {bottom}V{TOP}M{LEFT} {y:.1}H{:.0}\" stroke=\"{FAINT}\" stroke-width=\"0.6\"/>\
             <text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{label}</text>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT + SIDE,
            bottom + 15.0,
            LEFT - 6.0,
            y + 4.0,
        );
    }
    let middle = LEFT + 0.5 * SIDE;
    let _ = writeln!(
        svg,
        "<text x=\"{middle:.0}\" y=\"{:.0}\" text-anchor=\"middle\">said, % (statements below)</text>\
         <text transform=\"translate({:.0},{:.0}) rotate(-90)\" text-anchor=\"middle\">failed within {name}, %</text>",
        bottom + 31.0,
        LEFT - 40.0,
        TOP + 0.5 * SIDE,
    );
}

/// Points with 95 % intervals, joined, and how many statements stand behind each.
fn marks(svg: &mut String, bins: &[Bin]) {
    let bottom = TOP + SIDE;
    let known: Vec<&Bin> = bins.iter().filter(|bin| bin.statements > 0).collect();
    let most = known.iter().map(|bin| bin.statements).max().unwrap_or(1) as f64;
    let mut line = String::new();
    for bin in &known {
        let (x, y) = (LEFT + place(bin.said), bottom - place(bin.came));
        let (low, high) = interval(bin);
        let many = bin.statements >= MANY;
        if many {
            let _ = write!(line, "{}{x:.1} {y:.1}", if line.is_empty() { "M" } else { "L" });
        }
        let fill = if many { MARK } else { "#ffffff" };
        let tall = COUNTS * ((bin.statements as f64).ln_1p() / most.ln_1p()).max(0.04);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"{MARK}\" stroke-width=\"1.4\"/>\
             <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\" fill=\"{fill}\" stroke=\"{MARK}\"/>\
             <rect x=\"{:.1}\" y=\"{:.0}\" width=\"7\" height=\"{tall:.1}\" fill=\"{MARK}\" fill-opacity=\"0.45\"/>\
             <text transform=\"translate({:.1},{:.0}) rotate(90)\" font-size=\"9\">{}</text>",
            bottom - place(low),
            bottom - place(high),
            x - 3.5,
            bottom + 38.0,
            x - 3.0,
            bottom + 41.0 + tall,
            bin.statements,
        );
    }
    let _ = writeln!(svg, "<path d=\"{line}\" fill=\"none\" stroke=\"{MARK}\" stroke-width=\"1\"/>");
}

/// The interval of Wilson, JASA 22, 1927, at 95 %. Statements about one failure are alike: it is too narrow for few
/// failures.
fn interval(bin: &Bin) -> (f64, f64) {
    let (n, p, z) = (bin.statements as f64, bin.came, 1.96);
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_foresee::Tally;

    #[test]
    fn every_bin_with_statements_is_drawn_within_its_panel() {
        let bins = vec![
            Bin { statements: 900, said: 0.0, came: 0.001 },
            Bin::default(),
            Bin { statements: 30, said: 0.5, came: 0.4 },
            Bin { statements: 2, said: 1.0, came: 1.0 },
        ];
        let horizon = Horizon { horizon_s: 900.0, reliability: Tally::default().finish(900.0), bins };
        let svg = draw(&[horizon], "a fleet");
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("within 15 min") && svg.ends_with("</svg>\n"));
        assert!(place(0.0) == 0.0 && place(1.0) == SIDE && (place(0.5) - 0.5 * SIDE).abs() < 0.25 * SIDE);
        let (low, high) = interval(&Bin { statements: 30, said: 0.5, came: 0.4 });
        assert!((0.2..0.3).contains(&low) && (0.5..0.65).contains(&high), "{low} {high}");
    }
}
