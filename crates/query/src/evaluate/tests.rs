//! Queries over known series, with answers worked out by hand or taken from the documentation of Prometheus.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::labels::NAME;
use crate::{duration_ms, parse};

/// Series by hand, every 10 s from 0 on.
struct Shelf(Vec<Series>);

impl Source for Shelf {
    fn read(&self, need: &Need) -> Result<Vec<Series>, Error> {
        let matching = self.0.iter().filter(|series| Matcher::all(&need.matchers, &series.labels));
        let within = |series: &Series| {
            let points = series.points.iter().copied();
            let points = points.filter(|(at, _)| (need.from_ms..=need.to_ms).contains(at)).collect();
            Series { labels: series.labels.clone(), points }
        };
        Ok(matching.map(within).collect())
    }
}

fn series(name: &str, labels: &[(&str, &str)], values: &[f64]) -> Series {
    let named = std::iter::once((NAME, name)).chain(labels.iter().copied());
    let points = values.iter().enumerate().map(|(n, value)| (10_000 * n as i64, *value)).collect();
    Series { labels: named.collect(), points }
}

fn shelf() -> Shelf {
    let counter: Vec<f64> = (0..31).map(|n| 5.0 * f64::from(n)).collect();
    let reset = [0.0, 10.0, 20.0, 5.0, 15.0, 25.0, 35.0];
    let mut gone = series("gone", &[], &[1.0, 2.0]);
    gone.points.push((20_000, f64::from_bits(crate::STALE_BITS)));
    let buckets = [("0.1", 50.0), ("0.5", 80.0), ("1", 95.0), ("+Inf", 100.0)];
    let mut all = vec![
        series("requests_total", &[("job", "a"), ("code", "200")], &counter),
        series(
            "requests_total",
            &[("job", "a"), ("code", "500")],
            &counter.iter().map(|x| x / 5.0).collect::<Vec<_>>(),
        ),
        series("requests_total", &[("job", "b"), ("code", "200")], &reset),
        series("limit", &[("job", "a"), ("team", "x")], &[1000.0; 31]),
        series("limit", &[("job", "b"), ("team", "y")], &[500.0; 31]),
        series("wave", &[("job", "a")], &[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]),
        gone,
    ];
    all.extend(buckets.map(|(le, count)| series("d_bucket", &[("le", le)], &[count; 31])));
    Shelf(all)
}

fn ask(query: &str, at_s: i64) -> Answer {
    let limits = Limits { samples: 100_000 };
    evaluate(&parse(query).unwrap(), Span::at(1000 * at_s), &shelf(), limits).unwrap()
}

/// Elements as `{labels} value`, sorted.
fn vector(query: &str, at_s: i64) -> Vec<String> {
    let Answer::Vector(elements) = ask(query, at_s) else { panic!("{query} is no vector") };
    let shown = |element: &Series| {
        let labels: Vec<String> =
            element.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{{{}}} {}", labels.join(","), (element.points[0].1 * 1e6).round() / 1e6)
    };
    let mut all: Vec<String> = elements.iter().map(shown).collect();
    all.sort();
    all
}

fn one(query: &str, at_s: i64) -> f64 {
    match ask(query, at_s) {
        Answer::Scalar(points) => points[0].1,
        Answer::Vector(elements) if elements.len() == 1 => elements[0].points[0].1,
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn selectors_look_back_five_minutes_and_end_where_a_series_ends() {
    assert_eq!(vector("requests_total{code=\"500\"}", 35), ["{__name__=requests_total,code=500,job=a} 3"]);
    assert_eq!(vector("requests_total{job=\"b\"}", 60 + 299).len(), 1);
    assert_eq!(vector("requests_total{job=\"b\"}", 60 + 300).len(), 0);
    assert_eq!((vector("gone", 19).len(), vector("gone", 20).len()), (1, 0));
    assert_eq!(one("wave offset 10s", 60), 9.0);
    assert_eq!(one("wave @ 20", 60), 4.0);
    assert_eq!(one("wave{job=~\"a|x\"} offset -10s", 40), 9.0);
}

#[test]
fn rates_see_resets_and_reach_the_borders() {
    // 5 each 10 s; the samples of (0, 60] stand at 10 to 60.
    assert_eq!(one("rate(requests_total{job=\"a\",code=\"200\"}[1m])", 60), 0.5);
    assert_eq!(one("increase(requests_total{job=\"a\",code=\"200\"}[1m])", 60), 30.0);
    assert_eq!(one("irate(requests_total{job=\"b\"}[1m])", 30), 0.5);
    // 10 20 5 15 25 35: 25 and the 20 before the reset over 50 s, and as much again to the begin at 0.
    assert!((one("increase(requests_total{job=\"b\"}[1m])", 60) - 45.0 * 60.0 / 50.0).abs() < 1e-9);
    assert_eq!(one("resets(requests_total{job=\"b\"}[5m])", 60), 1.0);
    assert_eq!(one("deriv(requests_total{code=\"500\"}[1m])", 60), 0.1);
    assert!((one("predict_linear(requests_total{code=\"500\"}[1m], 100)", 60) - 16.0).abs() < 1e-9);
    assert_eq!(vector("rate(requests_total[5s])", 60).len(), 0);
}

#[test]
fn functions_over_time() {
    for (function, expected) in [
        ("sum_over_time(wave[1m])", 22.0),
        ("avg_over_time(wave[40s])", 4.25),
        ("min_over_time(wave[1m])", 1.0),
        ("max_over_time(wave[1m])", 9.0),
        ("count_over_time(wave[1m])", 6.0),
        ("last_over_time(wave[1m])", 2.0),
        ("quantile_over_time(0.5, wave[1m])", 3.0),
        ("changes(wave[1m])", 5.0),
        ("delta(wave[1m])", 1.2),
        ("stdvar_over_time(wave[20s])", 12.25),
        ("max_over_time(rate(requests_total{code=\"500\"}[20s])[40s:10s])", 0.1),
        ("sum_over_time(vector(1)[40s:10s])", 4.0),
    ] {
        assert!((one(function, 60) - expected).abs() < 1e-9, "{function}: {}", one(function, 60));
    }
}

#[test]
fn aggregations_keep_what_they_should() {
    assert_eq!(vector("sum by (job) (requests_total)", 60), ["{job=a} 36", "{job=b} 35"]);
    assert_eq!(vector("count without (code) (requests_total)", 60), ["{job=a} 2", "{job=b} 1"]);
    assert_eq!(one("avg(requests_total)", 60), 71.0 / 3.0);
    assert_eq!(one("quantile(0.5, requests_total)", 60), 30.0);
    assert_eq!(one("stddev(limit)", 60), 250.0);
    assert_eq!(vector("topk(1, requests_total)", 60), ["{__name__=requests_total,code=200,job=b} 35"]);
    assert_eq!(vector("bottomk by (job) (1, requests_total)", 60).len(), 2);
    assert_eq!(vector("count_values(\"v\", limit)", 60), ["{v=1000} 1", "{v=500} 1"]);
    assert_eq!(vector("group(nothing)", 60).len(), 0);
}

#[test]
fn vectors_match_by_labels() {
    let query = "requests_total / on (job) group_left (team) limit";
    assert_eq!(
        vector(query, 60),
        ["{code=200,job=a,team=x} 0.03", "{code=200,job=b,team=y} 0.07", "{code=500,job=a,team=x} 0.006"]
    );
    assert_eq!(vector("limit * on (job) group_right requests_total", 10).len(), 3);
    assert_eq!(vector("limit > 700", 60), ["{__name__=limit,job=a,team=x} 1000"]);
    assert_eq!(vector("limit > bool 700", 60), ["{job=a,team=x} 1", "{job=b,team=y} 0"]);
    assert_eq!(vector("sum by (job) (limit) - ignoring (code) sum by (job) (requests_total)", 60).len(), 2);
    assert_eq!(vector("limit and on (job) wave", 60), ["{__name__=limit,job=a,team=x} 1000"]);
    assert_eq!(vector("limit unless on (job) wave", 60), ["{__name__=limit,job=b,team=y} 500"]);
    assert_eq!(vector("wave or limit", 60).len(), 3);
    assert_eq!(one("-2 ^ 2 + 10 % 4", 0), -2.0);
    let refused = |query: &str| {
        let limits = Limits { samples: 1000 };
        evaluate(&parse(query).unwrap(), Span::at(60_000), &shelf(), limits).unwrap_err().to_string()
    };
    assert!(refused("limit * on (job) requests_total").contains("many-to-many"));
    assert!(refused("requests_total * on (job) limit").contains("group_left"));
    let same = "label_replace(label_replace(limit, \"job\", \"c\", \"\", \"\"), \"team\", \"\", \"\", \"\")";
    assert!(refused(same).contains("same labelset"));
}

#[test]
fn functions_of_elements() {
    // The rank 90 is two thirds between 80 and 95, in the bucket from 0.5 to 1.
    assert!((one("histogram_quantile(0.9, d_bucket)", 60) - (0.5 + 0.5 * 10.0 / 15.0)).abs() < 1e-9);
    assert_eq!(one("histogram_quantile(0.99, d_bucket)", 60), 1.0);
    assert_eq!(
        vector("label_replace(wave, \"x\", \"$1-y\", \"job\", \"(.*)\")", 60)[0],
        "{__name__=wave,job=a,x=a-y} 2"
    );
    assert_eq!(
        vector("label_join(limit{job=\"a\"}, \"x\", \"/\", \"job\", \"team\")", 0)[0],
        "{__name__=limit,job=a,team=x,x=a/x} 1000"
    );
    assert_eq!((one("time()", 60), one("timestamp(wave)", 65)), (60.0, 60.0));
    assert_eq!(vector("absent(nothing{job=\"a\"})", 60), ["{job=a} 1"]);
    assert_eq!(vector("absent(wave)", 60).len(), 0);
    assert_eq!((one("round(wave / 3, 0.5)", 60), one("clamp_max(wave, 1)", 60)), (0.5, 1.0));
    assert_eq!((one("scalar(wave) + 1", 60), one("vector(1)", 60)), (3.0, 1.0));
    assert!(one("scalar(limit)", 60).is_nan());
    assert_eq!(one("hour(vector(1136239445)) * 10000 + month(vector(1136239445))", 0), 220_001.0);
    assert_eq!(
        (one("year(vector(1136239445))", 0), one("day_of_week(vector(1136239445))", 0)),
        (2006.0, 1.0)
    );
    let Answer::Vector(sorted) = ask("sort_desc(requests_total)", 60) else { panic!() };
    assert!(sorted.is_sorted_by(|a, b| a.points[0].1 >= b.points[0].1));
}

#[test]
fn a_range_query_has_a_point_at_every_step_that_has_a_value() {
    let span = Span { start_ms: 0, end_ms: 60_000, step_ms: 20_000 };
    let limits = Limits { samples: 100_000 };
    let Answer::Matrix(series) = evaluate(&parse("wave > 1").unwrap(), span, &shelf(), limits).unwrap()
    else {
        panic!()
    };
    assert_eq!(series[0].points, [(0, 3.0), (20_000, 4.0), (40_000, 5.0), (60_000, 2.0)]);
    assert!(evaluate(&parse("wave[1m]").unwrap(), span, &shelf(), limits).is_err());
    let few = Limits { samples: 5 };
    let error = evaluate(&parse("sum(requests_total)").unwrap(), span, &shelf(), few).unwrap_err();
    assert!(matches!(error, Error::TooMuch(_)));
    let endless = "sum_over_time(vector(1)[100y:1ms])";
    assert!(matches!(evaluate(&parse(endless).unwrap(), span, &shelf(), limits), Err(Error::TooMuch(_))));
    assert_eq!(duration_ms("1d12h"), Some(129_600_000));
}

proptest! {
    #[test]
    fn any_query_that_is_read_is_answered_or_refused(
        text in "(sum|max|topk|rate|abs|quantile)?\\(?(wave|limit|requests_total|\\{job=\"a\"\\})(\\[[1-9]m(:30s)?\\])?( offset 5s)?(, ?[0-9])?\\)?( (\\+|/|>|and|or) (bool|on\\(job\\) )?(limit|2))?",
        at in -100i64..500,
    ) {
        if let Ok(expression) = parse(&text) {
            let span = Span { start_ms: 1000 * at, end_ms: 1000 * at + 50_000, step_ms: 7000 };
            let _ = evaluate(&expression, span, &shelf(), Limits { samples: 10_000 });
        }
    }
}
