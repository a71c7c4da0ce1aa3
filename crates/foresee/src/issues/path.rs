//! Paths into a report's document: `storage.mounts[*].used_share`.

use serde_json::Value;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// The member with this name.
    Member(String),
    /// Every element of a list.
    Each,
    /// Every member of an object, whatever its name.
    Any,
}

/// A way from one place in a document to others. A step `name` goes to a member, `[*]` to every element, `*` to every
/// member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

/// A place that a path led to: how it is written, and what stands there.
pub(super) type Place<'a> = (String, &'a Value);

impl Path {
    /// Reads a path; an empty one stays where it is.
    ///
    /// # Errors
    /// What is wrong with it, and how it should be.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for part in text.split('.').filter(|_| !text.is_empty()) {
            let (name, lists) = part.split_at(part.find('[').unwrap_or(part.len()));
            match name {
                "" if lists.is_empty() => return Err(format!("{text:?} has an empty step")),
                "" => {}
                "*" => steps.push(Step::Any),
                name => steps.push(Step::Member(name.into())),
            }
            if lists.len() % 3 != 0 || lists != "[*]".repeat(lists.len() / 3) {
                return Err(format!("{part:?} in {text:?}: only [*] may follow a name"));
            }
            steps.extend(std::iter::repeat_n(Step::Each, lists.len() / 3));
        }
        Ok(Self(steps))
    }

    /// All places it leads to from `start`, in the order of the document.
    pub(super) fn places<'a>(&self, start: &Place<'a>) -> Vec<Place<'a>> {
        self.0.iter().fold(vec![start.clone()], |places, step| {
            places.iter().flat_map(|place| step.from(place)).collect()
        })
    }
}

impl Step {
    fn from<'a>(&self, (at, value): &Place<'a>) -> Vec<Place<'a>> {
        let below = |name: &str| if at.is_empty() { name.to_string() } else { format!("{at}.{name}") };
        match (self, value) {
            (Self::Member(name), Value::Object(members)) => {
                members.get(name).map(|value| (below(name), value)).into_iter().collect()
            }
            (Self::Any, Value::Object(members)) => {
                members.iter().map(|(name, value)| (below(name), value)).collect()
            }
            (Self::Each, Value::Array(elements)) => {
                elements.iter().enumerate().map(|(n, value)| (format!("{at}[{n}]"), value)).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_every_place_and_say_how_it_is_written() {
        let document = json!({"a": {"b": [{"c": 1}, {"d": 2}, {"c": 3}], "e": {"x": {"c": 4}}}});
        let places = |path: &str| {
            let start = (String::new(), &document);
            let places = Path::parse(path).unwrap().places(&start);
            places.into_iter().map(|(at, value)| format!("{at}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(places("a.b[*].c"), ["a.b[0].c=1", "a.b[2].c=3"]);
        assert_eq!(places("a.e.*.c"), ["a.e.x.c=4"]);
        assert_eq!(places("a.nothing[*]"), [""; 0]);
        assert_eq!(places("").len(), 1);
        for bad in ["a..b", "a[0]", "a[*", "a[*]b", "."] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }
}
