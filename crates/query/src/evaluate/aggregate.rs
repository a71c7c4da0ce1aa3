//! Aggregations: the elements of each group become one, or a few.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Element, Value, range};
use crate::Error;
use crate::expression::Grouping;
use crate::labels::Labels;

pub(super) fn aggregate(
    operator: &str,
    elements: Vec<Element>,
    parameter: Option<&Value>,
    grouping: &Grouping,
) -> Result<Vec<Element>, Error> {
    let mut groups: BTreeMap<Labels, Vec<Element>> = BTreeMap::new();
    for element in elements {
        let labels = match grouping.without {
            true => element.labels.without(&grouping.labels),
            false => element.labels.only(&grouping.labels),
        };
        groups.entry(labels).or_default().push(element);
    }
    let mut answer = Vec::new();
    for (labels, group) in groups {
        match (operator, parameter) {
            ("topk" | "bottomk", Some(Value::Scalar(k))) => {
                answer.extend(best(group, *k, operator == "topk"));
            }
            ("count_values", Some(Value::Text(name))) => {
                answer.extend(count_values(&labels, group, name));
            }
            _ => {
                let q = match parameter {
                    Some(Value::Scalar(q)) => *q,
                    _ => f64::NAN,
                };
                let at = group.iter().map(|element| element.at).max().unwrap_or_default();
                answer.push(Element { labels: Rc::new(labels), value: one(operator, &group, q)?, at });
            }
        }
    }
    Ok(answer)
}

fn one(operator: &str, group: &[Element], q: f64) -> Result<f64, Error> {
    let values = || group.iter().map(|element| element.value);
    let count = group.len() as f64;
    let mean = || values().sum::<f64>() / count;
    let variance = || {
        let mean = mean();
        values().map(|value| (value - mean).powi(2)).sum::<f64>() / count
    };
    Ok(match operator {
        "sum" => values().sum(),
        "avg" => mean(),
        "min" => values().fold(f64::NAN, f64::min),
        "max" => values().fold(f64::NAN, f64::max),
        "count" => count,
        "group" => 1.0,
        "stddev" => variance().sqrt(),
        "stdvar" => variance(),
        "quantile" => range::quantile(q, values().collect()),
        other => return Err(Error::execution(format!("{other} is not supported"))),
    })
}

/// The elements with the largest or smallest values, those first; NaN comes last.
fn best(mut group: Vec<Element>, k: f64, largest: bool) -> Vec<Element> {
    let key = |element: &Element| match (element.value, largest) {
        (value, _) if value.is_nan() => f64::INFINITY,
        (value, true) => -value,
        (value, false) => value,
    };
    group.sort_by(|a, b| key(a).total_cmp(&key(b)));
    group.truncate(if k >= 1.0 { k as usize } else { 0 });
    group
}

fn count_values(labels: &Labels, group: Vec<Element>, name: &str) -> Vec<Element> {
    let mut counts: BTreeMap<String, (f64, i64)> = BTreeMap::new();
    for element in group {
        let count = counts.entry(element.value.to_string()).or_insert((0.0, element.at));
        count.0 += 1.0;
    }
    let element = |(text, (value, at)): (String, (f64, i64))| {
        let mut labels = labels.clone();
        labels.set(name, &text);
        Element { labels: Rc::new(labels), value, at }
    };
    counts.into_iter().map(element).collect()
}
