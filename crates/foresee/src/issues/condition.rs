//! What must hold in a report for a known issue to be there.

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::path::{Path, Place};

/// A condition as rule files write it: a group (`all`, `any`, `none`), or a test of what stands at `path`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    all: Vec<Written>,
    any: Vec<Written>,
    none: Vec<Written>,
    /// For every place this leads to, the group is asked anew, with paths from there.
    each: Option<String>,
    path: Option<String>,
    regex: Option<String>,
    equals: Option<toml::Value>,
    one_of: Vec<toml::Value>,
    above: Option<f64>,
    below: Option<f64>,
    /// Lists and objects: more entries than this.
    longer: Option<usize>,
    /// Something stands there.
    present: Option<bool>,
    /// All places together: a value that stands at two of them.
    repeated: bool,
}

/// A condition that can be asked.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    None(Vec<Condition>),
    Each(Path, Box<Condition>),
    Test(Path, Test),
}

#[derive(Debug, Clone)]
pub(super) enum Test {
    Regex(Regex),
    OneOf(Vec<Value>),
    Above(f64),
    Below(f64),
    Longer(usize),
    Present,
    Absent,
    Repeated,
}

impl Written {
    /// Makes it askable.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn compile(&self) -> Result<Condition, String> {
        let tests = self.tests()?;
        let group = |written: &[Self]| written.iter().map(Self::compile).collect::<Result<Vec<_>, _>>();
        let mut parts = group(&self.all)?;
        if !self.any.is_empty() {
            parts.push(Condition::Any(group(&self.any)?));
        }
        if !self.none.is_empty() {
            parts.push(Condition::None(group(&self.none)?));
        }
        match (&self.path, tests.is_empty()) {
            (Some(path), false) => {
                let path = Path::parse(path)?;
                parts.extend(tests.into_iter().map(|test| Condition::Test(path.clone(), test)));
            }
            (Some(path), true) => return Err(format!("{path:?} has no test; add regex, equals, above, ...")),
            (None, false) => return Err("a test needs a path".into()),
            (None, true) => {}
        }
        if parts.is_empty() {
            return Err("a condition is empty; give path and a test, or all, any, none".into());
        }
        let whole = Condition::All(parts);
        Ok(match &self.each {
            Some(each) => Condition::Each(Path::parse(each)?, Box::new(whole)),
            None => whole,
        })
    }

    fn tests(&self) -> Result<Vec<Test>, String> {
        let mut tests = Vec::new();
        if let Some(regex) = &self.regex {
            tests.push(Test::Regex(Regex::new(regex).map_err(|error| format!("regex {regex:?}: {error}"))?));
        }
        let json = |value: &toml::Value| serde_json::to_value(value).map_err(|error| error.to_string());
        if let Some(equals) = &self.equals {
            tests.push(Test::OneOf(vec![json(equals)?]));
        }
        if !self.one_of.is_empty() {
            tests.push(Test::OneOf(self.one_of.iter().map(json).collect::<Result<_, _>>()?));
        }
        tests.extend(self.above.map(Test::Above));
        tests.extend(self.below.map(Test::Below));
        tests.extend(self.longer.map(Test::Longer));
        tests.extend(self.present.map(|present| if present { Test::Present } else { Test::Absent }));
        tests.extend(self.repeated.then_some(Test::Repeated));
        Ok(tests)
    }
}

impl Condition {
    /// Where it holds, seen from `start`; nothing if it does not.
    pub(super) fn seen<'a>(&self, start: &Place<'a>) -> Option<Vec<Place<'a>>> {
        match self {
            Self::All(parts) => parts.iter().try_fold(Vec::new(), |mut seen, part| {
                seen.extend(part.seen(start)?);
                Some(seen)
            }),
            Self::Any(parts) => {
                let seen: Vec<_> = parts.iter().filter_map(|part| part.seen(start)).collect();
                (!seen.is_empty()).then(|| seen.concat())
            }
            Self::None(parts) => parts.iter().all(|part| part.seen(start).is_none()).then(Vec::new),
            Self::Each(path, whole) => {
                let found = path.places(start).into_iter().filter_map(|place| {
                    let seen = whole.seen(&place)?;
                    Some(if seen.is_empty() { vec![place] } else { seen })
                });
                let seen: Vec<_> = found.flatten().collect();
                (!seen.is_empty()).then_some(seen)
            }
            Self::Test(path, test) => test.seen(path.places(start)),
        }
    }
}

impl Test {
    fn seen<'a>(&self, places: Vec<Place<'a>>) -> Option<Vec<Place<'a>>> {
        let told: Vec<Place<'a>> = match self {
            // What is not there cannot be pointed at.
            Self::Absent => return places.iter().all(|(_, value)| value.is_null()).then(Vec::new),
            Self::Repeated => {
                let again = |one: &Place<'a>| places.iter().any(|other| other.1 == one.1 && other.0 != one.0);
                places.iter().filter(|place| is_said(place.1) && again(place)).cloned().collect()
            }
            _ => places.into_iter().filter(|(_, value)| self.holds(value)).collect(),
        };
        (!told.is_empty()).then_some(told)
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Regex(regex) => value.as_str().is_some_and(|text| regex.is_match(text)),
            Self::OneOf(values) => values.iter().any(|one| same(one, value)),
            Self::Above(bound) => value.as_f64().is_some_and(|number| number > *bound),
            Self::Below(bound) => value.as_f64().is_some_and(|number| number < *bound),
            Self::Longer(count) => match value {
                Value::Array(list) => list.len() > *count,
                Value::Object(members) => members.len() > *count,
                _ => false,
            },
            Self::Present => !value.is_null(),
            Self::Absent | Self::Repeated => false,
        }
    }
}

/// Whether something is said at all: empty texts and nulls repeat without meaning anything.
fn is_said(value: &Value) -> bool {
    !value.is_null() && value.as_str() != Some("")
}

/// Numbers are the same whether written as integers or not.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b)
}
