//! Names and values that identify a series.

use std::collections::BTreeMap;

/// The label that holds a metric's name.
pub const NAME: &str = "__name__";

/// Sorted names with values that are not empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The value of a label; empty if it has none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Names and values in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels with these names.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| names.contains(name));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// All but the name of the metric and these.
    #[must_use]
    pub fn without(&self, names: &[String]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| *name != NAME && !names.contains(name));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// All but the name of the metric.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        self.without(&[])
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(pairs.filter(|(_, value): &(String, String)| !value.is_empty()).collect())
    }
}
