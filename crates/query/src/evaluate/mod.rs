//! Evaluates a tree, moment by moment, over series that were read once.

mod aggregate;
mod binary;
mod function;
mod histogram;
mod range;
mod relabel;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::Error;
use crate::expression::{Expression, Moment, Selector, Shift, Type};
use crate::labels::Labels;
use crate::matching::Matcher;

/// How far an instant selector looks back, ms.
const LOOKBACK_MS: i64 = 300_000;
/// Step of a subquery that names none, ms.
const SUBQUERY_STEP_MS: i64 = 60_000;

/// One series, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What identifies it, its name included.
    pub labels: Labels,
    /// ms since the epoch, and value.
    pub points: Vec<(i64, f64)>,
}

/// Moments of evaluation: from `start_ms` to `end_ms`, every `step_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first, ms since the epoch.
    pub start_ms: i64,
    /// The last at most.
    pub end_ms: i64,
    /// Above 0.
    pub step_ms: i64,
}

impl Span {
    /// One moment.
    #[must_use]
    pub fn at(ms: i64) -> Self {
        Self { start_ms: ms, end_ms: ms, step_ms: 1 }
    }

    fn moments(self) -> impl Iterator<Item = i64> {
        let count = (self.end_ms - self.start_ms) / self.step_ms.max(1);
        (0..=count).map(move |n| self.start_ms + n * self.step_ms)
    }
}

/// What an evaluation may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Samples looked at and made.
    pub samples: u64,
}

/// What a selector of a query needs to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// Which series.
    pub matchers: Vec<Matcher>,
    /// From this moment on, ms.
    pub from_ms: i64,
    /// Up to this one.
    pub to_ms: i64,
    /// Apart from each other at most so far points may be, ms: half of a range, or the step between moments.
    pub resolution_ms: i64,
    /// Whether of each series only the newest point counts.
    pub newest: bool,
}

/// Who has series. One implementation reads a store, another serves tests.
pub trait Source {
    /// Series as a selector needs them.
    ///
    /// # Errors
    /// If they cannot be read, or are too many.
    fn read(&self, need: &Need) -> Result<Vec<Series>, Error>;
}

/// What a query evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A number at each moment.
    Scalar(Vec<(i64, f64)>),
    /// A string.
    Text(String),
    /// Elements of one moment, in the order of the query.
    Vector(Vec<Series>),
    /// Series over the moments, or the range of samples that was asked for.
    Matrix(Vec<Series>),
}

/// An element of an instant vector.
#[derive(Debug, Clone)]
struct Element {
    labels: Rc<Labels>,
    value: f64,
    /// Time of its sample.
    at: i64,
}

/// Samples of one series within a range.
struct Stretch {
    labels: Rc<Labels>,
    points: Vec<(i64, f64)>,
}

/// What an expression is at one moment.
enum Value {
    Scalar(f64),
    Text(String),
    Vector(Vec<Element>),
    Matrix(Vec<Stretch>),
}

/// Series as a selector has them.
struct Loaded {
    labels: Rc<Labels>,
    points: Vec<(i64, f64)>,
}

struct Evaluator {
    loaded: Vec<Vec<Loaded>>,
    span: Span,
    budget: Cell<u64>,
}

/// What a query needs, by the numbers of its selectors.
#[must_use]
pub fn needs(expression: &Expression, span: Span) -> Vec<Need> {
    let mut needs = Vec::new();
    collect(expression, (span, span), &mut needs);
    needs.sort_by_key(|(number, _)| *number);
    needs.into_iter().map(|(_, need)| need).collect()
}

/// `asked` is the span of the query, `span` that of the moments at which this part of it is looked at.
fn collect(expression: &Expression, (asked, span): (Span, Span), into: &mut Vec<(usize, Need)>) {
    let mut add = |selector: &Selector, back_ms: i64, resolution_ms: i64| {
        let (from, to) = shifted(&selector.shift, asked, (span.start_ms, span.end_ms));
        let (matchers, from_ms) = (selector.matchers.clone(), from.saturating_sub(back_ms));
        let newest = matches!(expression, Expression::Instant(_)) && span.start_ms == span.end_ms;
        into.push((selector.number, Need { matchers, from_ms, to_ms: to, resolution_ms, newest }));
    };
    match expression {
        Expression::Number(_) | Expression::Text(_) => {}
        Expression::Instant(selector) => {
            let many = span.start_ms < span.end_ms;
            add(selector, LOOKBACK_MS, if many { span.step_ms } else { 1 });
        }
        Expression::Range { selector, range_ms } => add(selector, *range_ms, range_ms / 4),
        Expression::Subquery { inner, range_ms, step_ms, shift } => {
            let (from, end_ms) = shifted(shift, asked, (span.start_ms, span.end_ms));
            let step_ms = if *step_ms > 0 { *step_ms } else { SUBQUERY_STEP_MS };
            let start_ms = from.saturating_sub(*range_ms);
            collect(inner, (asked, Span { start_ms, end_ms, step_ms }), into);
        }
        Expression::Call { arguments, .. } => {
            arguments.iter().for_each(|argument| collect(argument, (asked, span), into));
        }
        Expression::Aggregate { inner, parameter, .. } => {
            parameter.iter().for_each(|parameter| collect(parameter, (asked, span), into));
            collect(inner, (asked, span), into);
        }
        Expression::Binary { sides, .. } => {
            collect(&sides.0, (asked, span), into);
            collect(&sides.1, (asked, span), into);
        }
        Expression::Negative(inner) => collect(inner, (asked, span), into),
    }
}

/// First and last moment, after `offset` and `@`.
fn shifted(shift: &Shift, asked: Span, (from, to): (i64, i64)) -> (i64, i64) {
    let (from, to) = match shift.at {
        None => (from, to),
        Some(Moment::Fixed(at)) => (at, at),
        Some(Moment::Start) => (asked.start_ms, asked.start_ms),
        Some(Moment::End) => (asked.end_ms, asked.end_ms),
    };
    (from.saturating_sub(shift.offset_ms), to.saturating_sub(shift.offset_ms))
}

/// Evaluates a query at every moment of a span. Of a range or a string there must be one moment.
///
/// # Errors
/// If series cannot be read or matched, or it takes more than the limits allow.
pub fn evaluate(
    expression: &Expression,
    span: Span,
    source: &dyn Source,
    limits: Limits,
) -> Result<Answer, Error> {
    let mut evaluator = Evaluator { loaded: Vec::new(), span, budget: Cell::new(limits.samples) };
    for need in needs(expression, span) {
        let read = source.read(&need)?;
        evaluator.spend(read.iter().map(|series| series.points.len()).sum())?;
        let load = |Series { labels, points }| Loaded { labels: Rc::new(labels), points };
        evaluator.loaded.push(read.into_iter().map(load).collect());
    }
    if span.start_ms == span.end_ms {
        return evaluator.once(expression);
    }
    if !matches!(expression.of_type(), Type::Scalar | Type::Vector) {
        let given = expression.of_type().name();
        return Err(Error::execution(format!(
            "invalid expression type {given:?} for range query, must be Scalar or instant Vector"
        )));
    }
    evaluator.over(expression)
}

impl Evaluator {
    fn once(&self, expression: &Expression) -> Result<Answer, Error> {
        let at = self.span.start_ms;
        Ok(match self.value(expression, at)? {
            Value::Scalar(number) => Answer::Scalar(vec![(at, number)]),
            Value::Text(text) => Answer::Text(text),
            Value::Vector(elements) => {
                let series = |element: Element| Series {
                    labels: (*element.labels).clone(),
                    points: vec![(at, element.value)],
                };
                Answer::Vector(unique(elements.into_iter().map(series).collect())?)
            }
            Value::Matrix(stretches) => {
                let series = |one: Stretch| Series { labels: (*one.labels).clone(), points: one.points };
                Answer::Matrix(stretches.into_iter().map(series).collect())
            }
        })
    }

    fn over(&self, expression: &Expression) -> Result<Answer, Error> {
        let mut known: BTreeMap<Rc<Labels>, Vec<(i64, f64)>> = BTreeMap::new();
        for at in self.span.moments() {
            match self.value(expression, at)? {
                Value::Scalar(number) => known.entry(Rc::default()).or_default().push((at, number)),
                Value::Vector(elements) => {
                    for element in elements {
                        let points = known.entry(element.labels).or_default();
                        if points.last().is_some_and(|(last, _)| *last == at) {
                            return Err(twice());
                        }
                        points.push((at, element.value));
                    }
                }
                Value::Text(_) | Value::Matrix(_) => {}
            }
        }
        let series = known.into_iter().map(|(labels, points)| Series { labels: (*labels).clone(), points });
        Ok(Answer::Matrix(series.collect()))
    }

    /// Takes from the budget.
    fn spend(&self, samples: usize) -> Result<(), Error> {
        let left = self.budget.get().checked_sub(samples as u64).ok_or_else(|| {
            Error::TooMuch(
                "query processing would load too many samples; ask for less time or fewer series".into(),
            )
        })?;
        self.budget.set(left);
        Ok(())
    }

    fn value(&self, expression: &Expression, at: i64) -> Result<Value, Error> {
        Ok(match expression {
            Expression::Number(number) => Value::Scalar(*number),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Instant(selector) => Value::Vector(self.instant(selector, at)?),
            Expression::Range { selector, range_ms } => Value::Matrix(self.range(selector, *range_ms, at)?),
            Expression::Subquery { inner, range_ms, step_ms, shift } => {
                Value::Matrix(self.subquery(inner, (*range_ms, *step_ms), shift, at)?)
            }
            Expression::Call { function, arguments } => self.call(function, arguments, at)?,
            Expression::Aggregate { operator, inner, parameter, grouping } => {
                let parameter = parameter.as_ref().map(|parameter| self.value(parameter, at)).transpose()?;
                let elements = self.vector(inner, at)?;
                Value::Vector(aggregate::aggregate(operator, elements, parameter.as_ref(), grouping)?)
            }
            Expression::Binary { operator, sides, matching } => {
                let sides = (self.value(&sides.0, at)?, self.value(&sides.1, at)?);
                let value = binary::binary(operator, sides, matching)?;
                if let Value::Vector(elements) = &value {
                    self.spend(elements.len())?;
                }
                value
            }
            Expression::Negative(inner) => match self.value(inner, at)? {
                Value::Scalar(number) => Value::Scalar(-number),
                Value::Vector(elements) => Value::Vector(mapped(elements, |x| -x)),
                other => other,
            },
        })
    }

    fn vector(&self, expression: &Expression, at: i64) -> Result<Vec<Element>, Error> {
        match self.value(expression, at)? {
            Value::Vector(elements) => Ok(elements),
            _ => Err(Error::execution("expected an instant vector")),
        }
    }

    fn scalar(&self, expression: &Expression, at: i64) -> Result<f64, Error> {
        match self.value(expression, at)? {
            Value::Scalar(number) => Ok(number),
            _ => Err(Error::execution("expected a scalar")),
        }
    }

    fn matrix(&self, expression: &Expression, at: i64) -> Result<Vec<Stretch>, Error> {
        match self.value(expression, at)? {
            Value::Matrix(stretches) => Ok(stretches),
            _ => Err(Error::execution("expected a range vector")),
        }
    }

    fn instant(&self, selector: &Selector, at: i64) -> Result<Vec<Element>, Error> {
        let (at, _) = shifted(&selector.shift, self.span, (at, at));
        let mut elements = Vec::new();
        for loaded in &self.loaded[selector.number] {
            let end = loaded.points.partition_point(|(time, _)| *time <= at);
            let Some(&(time, value)) = end.checked_sub(1).and_then(|last| loaded.points.get(last)) else {
                continue;
            };
            if time > at - LOOKBACK_MS && !crate::is_stale(value) {
                elements.push(Element { labels: Rc::clone(&loaded.labels), value, at: time });
            }
        }
        self.spend(elements.len())?;
        Ok(elements)
    }

    /// Samples after the begin of a range, up to its end.
    fn range(&self, selector: &Selector, range_ms: i64, at: i64) -> Result<Vec<Stretch>, Error> {
        let (at, _) = shifted(&selector.shift, self.span, (at, at));
        let mut stretches = Vec::new();
        for loaded in &self.loaded[selector.number] {
            let begin = loaded.points.partition_point(|(time, _)| *time <= at - range_ms);
            let end = loaded.points.partition_point(|(time, _)| *time <= at);
            let points: Vec<(i64, f64)> = loaded.points[begin..end]
                .iter()
                .copied()
                .filter(|(_, value)| !crate::is_stale(*value))
                .collect();
            self.spend(points.len())?;
            if !points.is_empty() {
                stretches.push(Stretch { labels: Rc::clone(&loaded.labels), points });
            }
        }
        Ok(stretches)
    }

    fn subquery(
        &self,
        inner: &Expression,
        (range_ms, step_ms): (i64, i64),
        shift: &Shift,
        at: i64,
    ) -> Result<Vec<Stretch>, Error> {
        let (end, _) = shifted(shift, self.span, (at, at));
        let step_ms = if step_ms > 0 { step_ms } else { SUBQUERY_STEP_MS };
        // On multiples of the step, whatever the moment of evaluation, so that steps of a range query look at the same.
        let first = (end - range_ms).div_euclid(step_ms) * step_ms + step_ms;
        let mut known: BTreeMap<Rc<Labels>, Vec<(i64, f64)>> = BTreeMap::new();
        let mut moment = first;
        while moment <= end {
            self.spend(1)?;
            match self.value(inner, moment)? {
                Value::Scalar(number) => known.entry(Rc::default()).or_default().push((moment, number)),
                Value::Vector(elements) => {
                    for element in elements {
                        known.entry(element.labels).or_default().push((moment, element.value));
                    }
                }
                Value::Text(_) | Value::Matrix(_) => {}
            }
            moment += step_ms;
        }
        Ok(known.into_iter().map(|(labels, points)| Stretch { labels, points }).collect())
    }
}

fn twice() -> Error {
    Error::execution("vector cannot contain metrics with the same labelset")
}

/// No two series have the same labels.
fn unique(series: Vec<Series>) -> Result<Vec<Series>, Error> {
    let mut seen = BTreeSet::new();
    match series.iter().all(|one| seen.insert(&one.labels)) {
        true => Ok(series),
        false => Err(twice()),
    }
}

/// Elements with another value, and without the name of what they were.
fn mapped(elements: Vec<Element>, map: impl Fn(f64) -> f64) -> Vec<Element> {
    let mapped = |element: Element| Element {
        labels: Rc::new(element.labels.unnamed()),
        value: map(element.value),
        at: element.at,
    };
    elements.into_iter().map(mapped).collect()
}

#[cfg(test)]
mod tests;
