//! The InfluxDB line protocol: `measurement,tag=value field=1,other=2i 1700000000000000000`.
//!
//! Source: <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>. A line that cannot be read costs
//! only itself. A field becomes a series `measurement_field`, the field `value` one named `measurement`, as Telegraf's
//! own Prometheus output names them.

use foretwin_core::Timestamp;

use crate::Error;
use crate::series::{Arrival, Nature, Origin, Room, Series};

/// What a number in the place of the time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Nanoseconds, unless something else is said.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

impl Precision {
    /// As the parameter `precision` names it, in version 1 or 2.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "" | "n" | "ns" => Self::Nanoseconds,
            "u" | "us" | "µ" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    fn moment(self, count: i64) -> Timestamp {
        Timestamp(match self {
            Self::Nanoseconds => count.div_euclid(1000),
            Self::Microseconds => count,
            Self::Milliseconds => count.saturating_mul(1000),
            Self::Seconds => count.saturating_mul(foretwin_core::SECOND_US),
            Self::Minutes => count.saturating_mul(foretwin_core::MINUTE_US),
            Self::Hours => count.saturating_mul(foretwin_core::HOUR_US),
        })
    }
}

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The first line that could not be read, shortened.
    pub line: String,
    /// Why.
    pub why: &'static str,
    /// How many there were.
    pub count: usize,
}

/// Reads lines; those without a time are of `now`. Text fields are counted as unreadable.
///
/// # Errors
/// If the body is not UTF-8, or would take too much memory.
pub fn decode(
    bytes: &[u8],
    precision: Precision,
    now: Timestamp,
) -> Result<(Arrival, Option<Malformed>), Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error::invalid("line protocol", error))?;
    let (mut room, mut series, mut malformed) = (Room::new(), Vec::new(), None::<Malformed>);
    let mut unreadable = 0;
    for line in Lines(text) {
        let line = line.trim_matches(['\r', ' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        room.take(8 * line.len(), "line protocol")?;
        match read(line, precision, now) {
            Ok((found, texts)) => {
                unreadable += texts;
                series.extend(found);
            }
            Err(why) => {
                let shown = || line.chars().take(100).collect();
                malformed.get_or_insert_with(|| Malformed { line: shown(), why, count: 0 }).count += 1;
            }
        }
    }
    let origin = Origin { resource: Vec::new(), series };
    Ok((Arrival { origins: vec![origin], families: Vec::new(), unreadable }, malformed))
}

/// Lines, whose ends do not count inside of quotes.
struct Lines<'a>(&'a str);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let comment = self.0.trim_start_matches([' ', '\t']).starts_with('#');
        let (mut quoted, mut escaped, mut equals) = (false, false, false);
        let end = self.0.bytes().position(|byte| {
            let ends = byte == b'\n' && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                // A quote begins text only behind the sign of a field.
                b'"' if !comment && (quoted || equals) => quoted = !quoted,
                _ => {}
            }
            equals = byte == b'=' && !quoted;
            ends
        });
        // A quote that nothing closes would swallow every line behind it.
        let end = end.or_else(|| if quoted { self.0.find('\n') } else { None });
        let (line, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.strip_prefix('\n').unwrap_or(rest);
        Some(line)
    }
}

/// The series of a line, and how many fields are text.
fn read(line: &str, precision: Precision, now: Timestamp) -> Result<(Vec<Series>, usize), &'static str> {
    let mut rest = line;
    let measurement = word(&mut rest, &[',', ' ']);
    if measurement.is_empty() {
        return Err("missing measurement");
    }
    let labels = tags(&mut rest)?;
    rest = rest.trim_start_matches(' ');
    let (mut fields, mut texts) = (Vec::new(), 0);
    loop {
        let name = word(&mut rest, &[',', '=', ' ']);
        let Some(after) = rest.strip_prefix('=').filter(|_| !name.is_empty()) else {
            return Err(if fields.is_empty() && texts == 0 {
                "missing fields"
            } else {
                "missing field value"
            });
        };
        rest = after;
        match value(&mut rest)? {
            Some(number) => fields.push((name, number)),
            None => texts += 1,
        }
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let at = match rest.trim_matches(' ') {
        "" => now,
        count => precision.moment(count.parse().map_err(|_| "bad timestamp")?),
    };
    let series = |(field, number): (String, f64)| {
        let name = if field == "value" { measurement.clone() } else { format!("{measurement}_{field}") };
        let (labels, points) = (labels.clone(), vec![(at, number)]);
        Series { name, labels, points, nature: Nature::Untold, ..Series::default() }
    };
    Ok((fields.into_iter().map(series).collect(), texts))
}

/// Names and values of tags.
fn tags(rest: &mut &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut labels = Vec::new();
    while let Some(more) = rest.strip_prefix(',') {
        *rest = more;
        let name = word(rest, &[',', '=', ' ']);
        *rest = rest.strip_prefix('=').ok_or("missing tag value")?;
        let value = word(rest, &[',', '=', ' ']);
        if name.is_empty() || value.is_empty() {
            return Err(if name.is_empty() { "missing tag key" } else { "missing tag value" });
        }
        labels.push((name, value));
    }
    Ok(labels)
}

/// Everything up to one of the ends, a backslash before an end taken away.
fn word(rest: &mut &str, ends: &[char]) -> String {
    let mut word = String::new();
    let mut characters = rest.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\'
            && characters.peek().is_some_and(|(_, next)| [',', '=', ' ', '\\'].contains(next))
        {
            word.extend(characters.next().map(|(_, next)| next));
        } else if ends.contains(&character) {
            *rest = &rest[at..];
            return word;
        } else {
            word.push(character);
        }
    }
    *rest = "";
    word
}

/// A field's value; none if it is text.
fn value(rest: &mut &str) -> Result<Option<f64>, &'static str> {
    if let Some(text) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = text.char_indices().find(|&(_, character)| {
            let ends = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        let (end, _) = end.ok_or("unbalanced quotes")?;
        *rest = &text[end + 1..];
        return if rest.is_empty() || rest.starts_with([',', ' ']) {
            Ok(None)
        } else {
            Err("invalid text field")
        };
    }
    let end = rest.find([',', ' ']).unwrap_or(rest.len());
    let (written, after) = rest.split_at(end);
    *rest = after;
    number(written).map(Some).ok_or(if written.is_empty() { "missing field value" } else { "invalid number" })
}

fn number(text: &str) -> Option<f64> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Some(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => return Some(0.0),
        _ => {}
    }
    if let Some(signed) = text.strip_suffix('i') {
        return signed.parse::<i64>().ok().map(|number| number as f64);
    }
    if let Some(unsigned) = text.strip_suffix('u') {
        return unsigned.parse::<u64>().ok().map(|number| number as f64);
    }
    // Infinity and NaN, which Rust would read, are no numbers here.
    text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        .then(|| text.parse().ok())
        .flatten()
        .filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(77);

    fn lines(text: &str) -> (Vec<Series>, usize, Option<Malformed>) {
        let (mut arrival, malformed) = decode(text.as_bytes(), Precision::Nanoseconds, NOW).unwrap();
        (arrival.origins.remove(0).series, arrival.unreadable, malformed)
    }

    #[test]
    fn the_documented_forms_are_read() {
        let text = "# a comment \" with a quote\n\
            cpu,host=web1,cpu=cpu0 usage_user=12.5,usage_idle=80i,up=t,n=7u 1700000000000000000\r\n\
            my\\ thing,a\\=b=c\\,d value=-1.5e3\n\
            log,host=h text=\"several\nlines, \\\"quoted\\\"=1\",size=3\n\n";
        let (series, texts, malformed) = lines(text);
        assert_eq!((series.len(), texts, malformed), (6, 1, None));
        let names: Vec<&str> = series.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["cpu_usage_user", "cpu_usage_idle", "cpu_up", "cpu_n", "my thing", "log_size"]);
        assert_eq!(series[0].labels[0], ("host".into(), "web1".into()));
        assert_eq!(series[0].points, [(Timestamp(1_700_000_000_000_000), 12.5)]);
        assert_eq!((series[2].points[0].1, series[3].points[0].1), (1.0, 7.0));
        assert_eq!(series[4].labels, [("a=b".to_owned(), "c,d".to_owned())]);
        assert_eq!(series[4].points, [(NOW, -1500.0)]);
    }

    #[test]
    fn a_line_that_cannot_be_read_costs_only_itself() {
        for bad in [
            ",a=b v=1",
            "m",
            "m v",
            "m v=",
            "m v=x",
            "m v=1x",
            "m v=NaN",
            "m v=inf",
            "m,a v=1",
            "m,a= v=1",
            "m v=1 soon",
            "m v=\"open",
            "m v=1,",
            "m v=9223372036854775808i",
        ] {
            let (series, _, malformed) = lines(&format!("a v=1\n{bad}\nb v=2\n"));
            assert_eq!((series.len(), malformed.map(|bad| bad.count)), (2, Some(1)), "{bad}");
        }
    }

    #[test]
    fn times_are_as_precise_as_they_say() {
        for (name, us) in [("ns", 0), ("us", 60), ("ms", 60_000), ("s", 60_000_000), ("m", 3_600_000_000)] {
            let precision = Precision::named(name).unwrap();
            let (arrival, _) = decode(b"m v=1 60", precision, NOW).unwrap();
            assert_eq!(arrival.origins[0].series[0].points[0].0, Timestamp(us), "{name}");
        }
        assert_eq!(Precision::named("d"), None);
    }

    fn escape(text: &str) -> String {
        text.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ")
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(
            name in "[^\\s#\"\\p{C}][^\r\n\"\\p{C}]{0,9}",
            tags in proptest::collection::vec(("[^\\s\"\\p{C}]{1,9}", "[^\r\n\"\\p{C}\t]{0,8}[a-z]"), 0..4),
            number in -1e15..1e15f64, at in 0i64..2_000_000_000_000,
        ) {
            let written: String =
                tags.iter().map(|(name, value)| format!(",{}={}", escape(name), escape(value))).collect();
            let line = format!("{}{written} v={number} {}", escape(&name), at * 1000);
            let (series, _, malformed) = lines(&line);
            prop_assert_eq!(malformed, None, "{}", line);
            prop_assert_eq!(&series[0].name, &format!("{name}_v"));
            prop_assert_eq!(&series[0].labels, &tags);
            prop_assert_eq!(&series[0].points, &[(Timestamp(at), number)]);
        }

        #[test]
        fn any_text_is_survived(text in "([a-z,= \"\\\\\n#0-9.]|\\PC){0,200}") {
            let _ = decode(text.as_bytes(), Precision::Seconds, NOW);
        }
    }
}
