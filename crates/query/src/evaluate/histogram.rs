//! Quantiles of classic histograms: cumulative buckets with an upper bound in the label `le`.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Element;
use crate::labels::Labels;

const BOUND: &str = "le";

/// The quantile of each histogram, interpolated within a bucket as if it were filled evenly (`bucketQuantile` of
/// Prometheus, promql/quantile.go).
pub(super) fn quantiles(q: f64, elements: Vec<Element>) -> Vec<Element> {
    let mut histograms: BTreeMap<Labels, (i64, Vec<(f64, f64)>)> = BTreeMap::new();
    for element in elements {
        let Ok(bound) = element.labels.get(BOUND).replace("+Inf", "inf").parse::<f64>() else { continue };
        let labels = element.labels.without(&[BOUND.to_owned()]);
        histograms.entry(labels).or_insert((element.at, Vec::new())).1.push((bound, element.value));
    }
    let one = |(labels, (at, buckets)): (Labels, (i64, Vec<(f64, f64)>))| Element {
        labels: Rc::new(labels),
        value: bucket_quantile(q, buckets),
        at,
    };
    histograms.into_iter().map(one).collect()
}

fn bucket_quantile(q: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Bounds written in two ways are one bucket.
    buckets.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
    // Buckets are read one after the other while they grow, or come from samples of different moments.
    for at in 1..buckets.len() {
        buckets[at].1 = buckets[at].1.max(buckets[at - 1].1);
    }
    let Some(&(highest, total)) = buckets.last().filter(|last| last.0 == f64::INFINITY) else {
        return f64::NAN;
    };
    if buckets.len() < 2 || total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let rank = q * total;
    let at = buckets[..buckets.len() - 1].partition_point(|(_, count)| *count < rank);
    let (end, count) = buckets[at];
    if end == highest {
        return buckets[buckets.len() - 2].0;
    }
    if at == 0 && end <= 0.0 {
        return end;
    }
    let (start, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    start + (end - start) * ((rank - below) / (count - below))
}
