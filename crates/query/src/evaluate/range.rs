//! Functions of a stretch of samples.

/// The value of a function over the samples of a range that ends at `end` ms; none if they are too few.
pub(super) fn over(
    function: &str,
    points: &[(i64, f64)],
    (end, range_ms): (i64, i64),
    parameter: f64,
) -> Option<f64> {
    let (&(_, first), &(last_at, last)) = (points.first()?, points.last()?);
    Some(match function {
        "rate" | "increase" | "delta" => return extrapolated(function, points, (end, range_ms)),
        "irate" | "idelta" => {
            let &(before_at, before) = points.get(points.len().checked_sub(2)?)?;
            let reset = function == "irate" && last < before;
            let change = if reset { last } else { last - before };
            let seconds = (last_at - before_at) as f64 / 1000.0;
            if function == "irate" { change / seconds } else { change }
        }
        "deriv" => regression(points, last_at)?.0,
        "predict_linear" => {
            let (slope, intercept) = regression(points, end)?;
            slope * parameter + intercept
        }
        "changes" => changes(first, points, |a, b| a != b && !(a.is_nan() && b.is_nan())),
        "resets" => changes(first, points, |a, b| b < a),
        _ => return statistic(function, points, parameter),
    })
}

fn statistic(function: &str, points: &[(i64, f64)], parameter: f64) -> Option<f64> {
    let values = || points.iter().map(|(_, value)| *value);
    let count = points.len() as f64;
    let mean = values().sum::<f64>() / count;
    let variance = || values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    Some(match function {
        "sum_over_time" => values().sum(),
        "avg_over_time" => mean,
        "min_over_time" => values().fold(f64::NAN, f64::min),
        "max_over_time" => values().fold(f64::NAN, f64::max),
        "count_over_time" => count,
        "last_over_time" => values().next_back()?,
        "present_over_time" => 1.0,
        "stddev_over_time" => variance().sqrt(),
        "stdvar_over_time" => variance(),
        "quantile_over_time" => quantile(parameter, values().collect()),
        _ => return None,
    })
}

fn changes(first: f64, points: &[(i64, f64)], is_one: impl Fn(f64, f64) -> bool) -> f64 {
    let mut before = first;
    let count =
        points.iter().filter(|(_, value)| is_one(std::mem::replace(&mut before, *value), *value)).count();
    count as f64
}

/// Change over a range, from samples that seldom stand at its borders: extrapolated to them where samples are near,
/// and a counter not below zero (`extrapolatedRate` of Prometheus, promql/functions.go).
fn extrapolated(function: &str, points: &[(i64, f64)], (end, range_ms): (i64, i64)) -> Option<f64> {
    let ([(first_at, first), ..], [.., (last_at, last)]) = (points, points) else { return None };
    if points.len() < 2 {
        return None;
    }
    let mut change = last - first;
    let counts = function != "delta";
    if counts {
        let resets = points.windows(2).filter(|pair| pair[1].1 < pair[0].1);
        change += resets.map(|pair| pair[0].1).sum::<f64>();
    }
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let mut to_start = seconds(first_at - (end - range_ms));
    let to_end = seconds(end - last_at);
    let sampled = seconds(last_at - first_at);
    let between = sampled / (points.len() - 1) as f64;
    if counts && change > 0.0 && *first >= 0.0 {
        to_start = to_start.min(sampled * (first / change));
    }
    let near = |distance: f64| if distance < 1.1 * between { distance } else { between / 2.0 };
    let whole = change * (sampled + near(to_start) + near(to_end)) / sampled;
    Some(if function == "rate" { whole / seconds(range_ms) } else { whole })
}

/// Slope a second and value at `origin` of the least-squares line.
fn regression(points: &[(i64, f64)], origin: i64) -> Option<(f64, f64)> {
    if points.len() < 2 {
        return None;
    }
    let n = points.len() as f64;
    let x = |at: i64| (at - origin) as f64 / 1000.0;
    let mean_x = points.iter().map(|(at, _)| x(*at)).sum::<f64>() / n;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
    let (mut xx, mut xy) = (0.0, 0.0);
    for (at, y) in points {
        let dx = x(*at) - mean_x;
        xx += dx * dx;
        xy += dx * (y - mean_y);
    }
    let slope = xy / xx;
    Some((slope, mean_y - slope * mean_x))
}

/// A quantile with linear interpolation; below 0 and above 1 it is infinite.
pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&q) {
        return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    values.sort_unstable_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let (low, weight) = (rank.floor() as usize, rank.fract());
    let high = (low + 1).min(values.len() - 1);
    values[low] * (1.0 - weight) + values[high] * weight
}
