//! Calls of functions.

use std::rc::Rc;

use super::{Element, Evaluator, Value, histogram, mapped, range, relabel};
use crate::Error;
use crate::expression::Expression;
use crate::labels::Labels;
use crate::matching::{Matcher, Relation};

/// Functions of ranges whose names do not say so.
const OF_RANGES: [&str; 9] =
    ["rate", "increase", "delta", "irate", "idelta", "deriv", "predict_linear", "changes", "resets"];

impl Evaluator {
    pub(super) fn call(&self, function: &str, arguments: &[Expression], at: i64) -> Result<Value, Error> {
        let seconds = at as f64 / 1000.0;
        Ok(match function {
            "time" => Value::Scalar(seconds),
            "pi" => Value::Scalar(std::f64::consts::PI),
            "vector" => {
                let value = self.scalar(&arguments[0], at)?;
                Value::Vector(vec![Element { labels: Rc::default(), value, at }])
            }
            "scalar" => match &self.vector(&arguments[0], at)?[..] {
                [one] => Value::Scalar(one.value),
                _ => Value::Scalar(f64::NAN),
            },
            "absent_over_time" => {
                let empty = self.matrix(&arguments[0], at)?.is_empty();
                Value::Vector(absent(&arguments[0], empty, at))
            }
            "histogram_quantile" => {
                let q = self.scalar(&arguments[0], at)?;
                Value::Vector(histogram::quantiles(q, self.vector(&arguments[1], at)?))
            }
            "minute" | "hour" | "day_of_week" | "day_of_month" | "month" | "year" => {
                let now = || vec![Element { labels: Rc::default(), value: seconds, at }];
                let elements = if arguments.is_empty() { now() } else { self.vector(&arguments[0], at)? };
                Value::Vector(mapped(elements, |x| calendar(function, x)))
            }
            _ if function.ends_with("_over_time") || OF_RANGES.contains(&function) => {
                self.over_time(function, arguments, at)?
            }
            _ => Value::Vector(self.of_elements(function, arguments, at)?),
        })
    }

    /// Functions of the elements of an instant vector.
    fn of_elements(&self, function: &str, arguments: &[Expression], at: i64) -> Result<Vec<Element>, Error> {
        let mut elements = self.vector(&arguments[0], at)?;
        let scalar = |which: usize| self.scalar(&arguments[which], at);
        Ok(match function {
            "timestamp" => {
                elements.iter_mut().for_each(|element| element.value = element.at as f64 / 1000.0);
                mapped(elements, |x| x)
            }
            "absent" => absent(&arguments[0], elements.is_empty(), at),
            "sort" | "sort_desc" => {
                elements.sort_by(|a, b| a.value.total_cmp(&b.value));
                if function == "sort_desc" {
                    elements.reverse();
                }
                elements
            }
            "label_replace" => relabel::replace(elements, &self.texts(&arguments[1..], at)?)?,
            "label_join" => relabel::join(elements, &self.texts(&arguments[1..], at)?)?,
            "clamp" => match (scalar(1)?, scalar(2)?) {
                (least, most) if least > most => Vec::new(),
                (least, most) => mapped(elements, |x| x.max(least).min(most)),
            },
            "clamp_min" | "clamp_max" => {
                let bound = scalar(1)?;
                let lower = function == "clamp_min";
                mapped(elements, |x| if lower { x.max(bound) } else { x.min(bound) })
            }
            "round" => {
                let to = if arguments.len() > 1 { scalar(1)? } else { 1.0 };
                mapped(elements, |x| (x / to + 0.5).floor() * to)
            }
            _ => {
                let map = plain(function);
                mapped(elements, map.ok_or_else(|| Error::execution(format!("{function} is not supported")))?)
            }
        })
    }

    fn texts(&self, arguments: &[Expression], at: i64) -> Result<Vec<String>, Error> {
        let text = |argument| match self.value(argument, at)? {
            Value::Text(text) => Ok(text),
            _ => Err(Error::execution("expected a string")),
        };
        arguments.iter().map(text).collect()
    }

    /// Functions of ranges.
    fn over_time(&self, function: &str, arguments: &[Expression], at: i64) -> Result<Value, Error> {
        let which = usize::from(function == "quantile_over_time");
        let parameter = match function {
            "quantile_over_time" => self.scalar(&arguments[0], at)?,
            "predict_linear" => self.scalar(&arguments[1], at)?,
            _ => f64::NAN,
        };
        let (range_ms, shift) = match &arguments[which] {
            Expression::Range { selector, range_ms } => (*range_ms, selector.shift),
            Expression::Subquery { range_ms, shift, .. } => (*range_ms, *shift),
            _ => return Err(Error::execution("expected a range vector")),
        };
        let (end, _) = super::shifted(&shift, self.span, (at, at));
        // The last value is the same series; everything else is another number.
        let named = function == "last_over_time";
        let stretches = self.matrix(&arguments[which], at)?;
        let elements = stretches.into_iter().filter_map(|stretch| {
            let value = range::over(function, &stretch.points, (end, range_ms), parameter)?;
            let labels = if named { stretch.labels } else { Rc::new(stretch.labels.unnamed()) };
            Some(Element { labels, value, at })
        });
        Ok(Value::Vector(elements.collect()))
    }
}

fn plain(function: &str) -> Option<fn(f64) -> f64> {
    Some(match function {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sqrt" => f64::sqrt,
        "sgn" => |x| if x == 0.0 || x.is_nan() { x } else { x.signum() },
        _ => return None,
    })
}

/// One element with the labels that a selector asks for by `=`, if there was none.
fn absent(of: &Expression, empty: bool, at: i64) -> Vec<Element> {
    if !empty {
        return Vec::new();
    }
    let matchers: &[Matcher] = match of {
        Expression::Instant(selector) | Expression::Range { selector, .. } => &selector.matchers,
        _ => &[],
    };
    let asked = matchers.iter().filter(|matcher| matcher.relation == Relation::Equal);
    let labels: Labels = asked.map(|matcher| (matcher.name.clone(), matcher.value.clone())).collect();
    vec![Element { labels: Rc::new(labels.unnamed()), value: 1.0, at }]
}

/// Parts of the date of a moment, in UTC.
fn calendar(function: &str, seconds: f64) -> f64 {
    if !seconds.is_finite() || seconds.abs() > 1e13 {
        return f64::NAN;
    }
    let seconds = seconds.floor() as i64;
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let part = match function {
        "minute" => of_day / 60 % 60,
        "hour" => of_day / 3600,
        // The first of January 1970 was a Thursday.
        "day_of_week" => (days + 4).rem_euclid(7),
        "day_of_month" => day,
        "month" => month,
        _ => year,
    };
    part as f64
}

/// Days since 1970-01-01 to a date (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}
