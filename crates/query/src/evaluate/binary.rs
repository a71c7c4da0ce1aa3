//! Operators between scalars and vectors.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Element, Value};
use crate::Error;
use crate::expression::{COMPARISONS, Many, SETS, VectorMatching};
use crate::labels::{Labels, NAME};

pub(super) fn binary(
    operator: &str,
    sides: (Value, Value),
    matching: &VectorMatching,
) -> Result<Value, Error> {
    let compares = COMPARISONS.contains(&operator);
    Ok(match sides {
        (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(apply(operator, a, b).number()),
        (Value::Vector(elements), Value::Scalar(scalar)) => {
            let applied = |element: Element| (apply(operator, element.value, scalar), element);
            Value::Vector(kept(elements.into_iter().map(applied), compares, matching.boolean))
        }
        (Value::Scalar(scalar), Value::Vector(elements)) => {
            let applied = |element: Element| (apply(operator, scalar, element.value), element);
            Value::Vector(kept(elements.into_iter().map(applied), compares, matching.boolean))
        }
        (Value::Vector(left), Value::Vector(right)) if SETS.contains(&operator) => {
            Value::Vector(sets(operator, left, right, matching))
        }
        (Value::Vector(left), Value::Vector(right)) => {
            Value::Vector(vectors(operator, (left, right), matching)?)
        }
        _ => return Err(Error::execution("operators take scalars and instant vectors")),
    })
}

/// A number, or whether a comparison holds.
#[derive(Clone, Copy)]
enum Outcome {
    Number(f64),
    Holds(bool),
}

impl Outcome {
    fn number(self) -> f64 {
        match self {
            Self::Number(number) => number,
            Self::Holds(holds) => f64::from(u8::from(holds)),
        }
    }
}

fn apply(operator: &str, a: f64, b: f64) -> Outcome {
    Outcome::Number(match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "%" => a % b,
        "^" => a.powf(b),
        "atan2" => a.atan2(b),
        "==" => return Outcome::Holds(a == b),
        "!=" => return Outcome::Holds(a != b),
        ">" => return Outcome::Holds(a > b),
        "<" => return Outcome::Holds(a < b),
        ">=" => return Outcome::Holds(a >= b),
        _ => return Outcome::Holds(a <= b),
    })
}

/// Elements of which a comparison holds stay as they are; all others are another number, and lose their name.
fn kept(applied: impl Iterator<Item = (Outcome, Element)>, compares: bool, boolean: bool) -> Vec<Element> {
    let element = |(outcome, element): (Outcome, Element)| match outcome {
        Outcome::Holds(holds) if compares && !boolean => holds.then_some(element),
        other => {
            let labels = Rc::new(element.labels.unnamed());
            Some(Element { labels, value: other.number(), at: element.at })
        }
    };
    applied.filter_map(element).collect()
}

/// What elements must have in common to belong together.
fn signature(labels: &Labels, matching: &VectorMatching) -> Labels {
    if matching.on { labels.only(&matching.labels) } else { labels.without(&matching.labels) }
}

fn sets(operator: &str, left: Vec<Element>, right: Vec<Element>, matching: &VectorMatching) -> Vec<Element> {
    let known = |elements: &[Element]| -> std::collections::BTreeSet<Labels> {
        elements.iter().map(|element| signature(&element.labels, matching)).collect()
    };
    match operator {
        "or" => {
            let there = known(&left);
            let more =
                right.into_iter().filter(|element| !there.contains(&signature(&element.labels, matching)));
            left.into_iter().chain(more).collect()
        }
        _ => {
            let (there, wanted) = (known(&right), operator == "and");
            let stays = |element: &Element| there.contains(&signature(&element.labels, matching)) == wanted;
            left.into_iter().filter(stays).collect()
        }
    }
}

/// Arithmetic and comparisons between vectors: each element of the side that may have many finds the one of the other.
fn vectors(
    operator: &str,
    (left, right): (Vec<Element>, Vec<Element>),
    matching: &VectorMatching,
) -> Result<Vec<Element>, Error> {
    let swapped = matching.many == Some(Many::Right);
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let mut ones: BTreeMap<Labels, Element> = BTreeMap::new();
    for element in one {
        if ones.insert(signature(&element.labels, matching), element).is_some() {
            let side = if swapped { "left" } else { "right" };
            return Err(Error::execution(format!(
                "found duplicate series for the match group on the {side} hand-side of the operation; many-to-many matching not allowed: matching labels must be unique on one side"
            )));
        }
    }
    let (mut answer, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    for element in many {
        let key = signature(&element.labels, matching);
        let Some(other) = ones.get(&key) else { continue };
        let (a, b) = if swapped { (other.value, element.value) } else { (element.value, other.value) };
        let (value, at) = match apply(operator, a, b) {
            Outcome::Holds(holds) if !matching.boolean => match holds {
                true => (a, element.at),
                false => continue,
            },
            outcome => (outcome.number(), element.at),
        };
        let named = COMPARISONS.contains(&operator) && !matching.boolean;
        let labels = labels(&element.labels, &other.labels, (matching, named));
        let unique = if matching.many.is_some() { labels.clone() } else { key };
        if !seen.insert(unique) {
            return Err(Error::execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            ));
        }
        answer.push(Element { labels: Rc::new(labels), value, at });
    }
    Ok(answer)
}

/// Labels of the result of two elements.
fn labels(many: &Labels, one: &Labels, (matching, named): (&VectorMatching, bool)) -> Labels {
    let name = many.get(NAME).to_owned();
    let mut labels = match (matching.many, matching.on) {
        (None, true) => many.only(&matching.labels),
        (None, false) => many.without(&matching.labels),
        (Some(_), _) => many.unnamed(),
    };
    if named && (matching.many.is_some() || !matching.on) {
        labels.set(NAME, &name);
    }
    for name in &matching.include {
        labels.set(name, one.get(name));
    }
    labels
}
