//! What the language is, and is not.

use proptest::prelude::*;

use super::*;

fn number(text: &str) -> f64 {
    fn value(expression: &Expression) -> f64 {
        match expression {
            Expression::Number(number) => *number,
            Expression::Negative(inner) => -value(inner),
            Expression::Binary { operator, sides, .. } => {
                let (a, b) = (value(&sides.0), value(&sides.1));
                match *operator {
                    "+" => a + b,
                    "-" => a - b,
                    "*" => a * b,
                    "/" => a / b,
                    "^" => a.powf(b),
                    other => panic!("{other}"),
                }
            }
            other => panic!("{other:?}"),
        }
    }
    value(&parse(text).unwrap())
}

#[test]
fn operators_bind_as_they_should() {
    for (text, expected) in [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("8 - 3 - 2", 3.0),
        ("2 * -3 + 1", -5.0),
        ("1e3 + 0x10 + .5", 1016.5),
        ("1h30m", 5400.0),
        ("16 / 4 / 2 # the end", 2.0),
    ] {
        assert_eq!(number(text), expected, "{text}");
    }
}

#[test]
fn selectors_ranges_and_shifts_are_read() {
    let Expression::Call { function: "rate", arguments } =
        parse("rate(http_requests_total{job=~\"a|b\", code!=\"200\",}[5m] offset 1h @ 1700000000.5)")
            .unwrap()
    else {
        panic!()
    };
    let Expression::Range { selector, range_ms: 300_000 } = &arguments[0] else { panic!("{arguments:?}") };
    assert_eq!(selector.matchers.len(), 3);
    let at = Some(Moment::Fixed(1_700_000_000_500));
    assert_eq!(selector.shift, Shift { offset_ms: 3_600_000, at });
    assert!(matches!(parse("max_over_time(rate(a[1m])[1h:5m])").unwrap(), Expression::Call { .. }));
    assert!(matches!(parse("{__name__=~\".+:x\"}").unwrap(), Expression::Instant(_)));
    assert!(matches!(parse("sum by (a, b) (x)").unwrap(), Expression::Aggregate { .. }));
    assert!(matches!(parse("SUM(x) WITHOUT (a)").unwrap(), Expression::Aggregate { .. }));
    assert!(matches!(parse("sum").unwrap(), Expression::Instant(_)));
    let text = "a / on (x) group_left (y) b > bool 1 and ignoring () c";
    assert!(matches!(parse(text).unwrap(), Expression::Binary { operator: "and", .. }));
    assert_eq!(parse_selector("up{a=\"b\"}").unwrap().len(), 2);
    assert!(parse_selector("rate(up[1m])").is_err());
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (text, place) in [
        ("", "1:1: "),
        ("a +", "1:4: "),
        ("a{b=c}", "1:5: "),
        ("{}", "1:1: "),
        ("{a=~\".*\"}", "1:1: "),
        ("foo(a)", "1:1: "),
        ("rate(a)", "1:1: "),
        ("rate(a[5m], 1)", "1:1: "),
        ("a[5m] + 1", "1:7: "),
        ("1 > 2", "1:3: "),
        ("1 and 2", "1:3: "),
        ("a{b=~\"(\"}", "1:9: "),
        ("sum(a, b)", "1:1: "),
        ("topk(a)", "1:1: "),
        ("a[0s]", "1:5: "),
        ("a offset 5m offset 1m", ""),
        ("a\n + \"x", "2:4: "),
        ("rate(sum(a)[5m])", ""),
        ("sum(a) by (b", ""),
        ("a b", "1:3: "),
        ("a + bool b", ""),
        ("1 + on (a) b", ""),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(place) && error.contains("parse error: "), "{text}: {error}");
    }
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(parse(&deep).unwrap_err().to_string().contains("nested"));
    assert!(parse(&"-".repeat(60_000)).unwrap_err().to_string().contains("nested"));
    assert!(parse(&"a".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_survived(
        text in "([a-z0-9 {}()\\[\\]=~!\"',.:@^<>+*/%-]|sum|rate|by|offset|5m|\\PC){0,60}",
    ) {
        let _ = parse(&text);
    }
}
