//! Functions that change labels.

use std::rc::Rc;

use regex_lite::Regex;

use super::Element;
use crate::Error;

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `label_replace(v, target, replacement, source, regex)`.
pub(super) fn replace(elements: Vec<Element>, texts: &[String]) -> Result<Vec<Element>, Error> {
    let [target, replacement, source, pattern] = texts else {
        return Err(Error::execution("label_replace takes four strings"));
    };
    if !is_name(target) {
        return Err(Error::execution(format!("invalid destination label name in label_replace(): {target}")));
    }
    let regex = Regex::new(&format!("^(?s:{pattern})$"));
    let regex = regex
        .map_err(|_| Error::execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
    let change = |mut element: Element| {
        if let Some(found) = regex.captures(element.labels.get(source)) {
            let mut value = String::new();
            found.expand(replacement, &mut value);
            let mut labels = (*element.labels).clone();
            labels.set(target, &value);
            element.labels = Rc::new(labels);
        }
        element
    };
    Ok(elements.into_iter().map(change).collect())
}

/// `label_join(v, target, separator, source...)`.
pub(super) fn join(elements: Vec<Element>, texts: &[String]) -> Result<Vec<Element>, Error> {
    let [target, separator, sources @ ..] = texts else {
        return Err(Error::execution("label_join takes two strings and names of labels"));
    };
    if !is_name(target) {
        return Err(Error::execution(format!("invalid destination label name in label_join(): {target}")));
    }
    let change = |mut element: Element| {
        let values: Vec<&str> = sources.iter().map(|source| element.labels.get(source)).collect();
        let mut labels = (*element.labels).clone();
        labels.set(target, &values.join(separator));
        element.labels = Rc::new(labels);
        element
    };
    Ok(elements.into_iter().map(change).collect())
}
