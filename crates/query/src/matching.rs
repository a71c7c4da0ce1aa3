//! What a label must be for its series to be selected.

use regex_lite::Regex;

use crate::labels::Labels;

/// How a label must relate to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the whole value matches.
    Matches,
    /// `!~`
    MatchesNot,
}

/// One condition of a selector.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// Of which label.
    pub name: String,
    /// How.
    pub relation: Relation,
    /// A value, or a regular expression.
    pub value: String,
    regex: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.relation, &self.value) == (&other.name, other.relation, &other.value)
    }
}

impl Matcher {
    /// A condition.
    ///
    /// # Errors
    /// If the value is to be a regular expression and is none.
    pub fn new(name: &str, relation: Relation, value: &str) -> Result<Self, String> {
        let regex = match relation {
            Relation::Matches | Relation::MatchesNot => {
                Some(Regex::new(&format!("^(?s:{value})$")).map_err(|error| error.to_string())?)
            }
            Relation::Equal | Relation::NotEqual => None,
        };
        Ok(Self { name: name.to_owned(), relation, value: value.to_owned(), regex })
    }

    /// Whether a value of the label will do; empty is the same as absent.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        let matches = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.relation {
            Relation::Equal => value == self.value,
            Relation::NotEqual => value != self.value,
            Relation::Matches => matches(),
            Relation::MatchesNot => !matches(),
        }
    }

    /// Whether labels fulfil all conditions.
    #[must_use]
    pub fn all(matchers: &[Self], labels: &Labels) -> bool {
        matchers.iter().all(|matcher| matcher.accepts(labels.get(&matcher.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_match_whole_values() {
        let matcher = |relation, value: &str| Matcher::new("a", relation, value).unwrap();
        assert!(matcher(Relation::Matches, "b|c").accepts("c"));
        assert!(!matcher(Relation::Matches, "b|c").accepts("bc"));
        assert!(matcher(Relation::Matches, ".*").accepts(""));
        assert!(!matcher(Relation::Matches, ".+").accepts(""));
        assert!(matcher(Relation::MatchesNot, "b").accepts("") && matcher(Relation::Equal, "").accepts(""));
        assert!(Matcher::new("a", Relation::Matches, "(").is_err());
    }
}
