//! Long lists in pages: `limit` says how many, `cursor` where to go on.
//!
//! A cursor names the last member that was seen, not a count: what is added or goes between two pages is neither shown
//! twice nor makes another be left out.

use axum::Json;
use foretwin_core::Timestamp;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::access::hex;
use crate::error::ApiError;

/// Most members of a page.
const MOST: usize = 1000;
/// What cursors begin with, so that another kind can come later.
const VERSION: &str = "c1";

/// What may follow the question mark of a list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<String>,
}

impl Paging {
    /// Of a list that is also asked for other things.
    pub(crate) fn new(limit: Option<String>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// Whether pages are asked for at all.
    pub(crate) fn is_asked(&self) -> bool {
        self.limit.is_some() || self.cursor.is_some()
    }

    /// A limit for who gave none.
    pub(crate) fn or_limit(mut self, limit: usize) -> Self {
        self.limit.get_or_insert_with(|| limit.to_string());
        self
    }

    /// Refuses a larger limit.
    pub(crate) fn at_most(self, most: usize) -> Result<Self, ApiError> {
        let few = self.limit()? <= most;
        let wrong = || ApiError::field("limit", format!("limit must be at most {most} for so many cells"));
        few.then_some(self).ok_or_else(wrong)
    }

    fn limit(&self) -> Result<usize, ApiError> {
        let wrong = || ApiError::field("limit", format!("limit must be a number from 1 to {MOST}"));
        let Some(text) = &self.limit else { return Ok(MOST) };
        text.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(wrong)
    }

    /// The key behind which the page begins.
    fn after(&self) -> Result<Option<String>, ApiError> {
        let wrong =
            || ApiError::field("cursor", "cursor must be a next_cursor of this list; leave it out to begin");
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let digits = cursor.strip_prefix(VERSION).filter(|digits| digits.is_ascii()).ok_or_else(wrong)?;
        let bytes: Option<Vec<u8>> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        bytes
            .filter(|_| digits.len() % 2 == 0)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Some)
            .ok_or_else(wrong)
    }
}

/// The members of a page, and the cursor of the next if there is one. Members are brought into the order of their keys,
/// which must be theirs alone and never change.
pub(crate) fn page<T>(
    mut members: Vec<T>,
    paging: &Paging,
    key: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let (limit, after) = (paging.limit()?, paging.after()?);
    members.sort_by_cached_key(&key);
    let start = after.map_or(0, |after| members.partition_point(|member| key(member) <= after));
    members.drain(..start);
    let more = members.len() > limit;
    members.truncate(limit);
    let next = members.last().filter(|_| more);
    let next = next.map(|member| format!("{VERSION}{}", hex(key(member).as_bytes())));
    Ok((members, next))
}

/// The answer of a list. Written as it stands: a tree of values in between would cost several times as much.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    name: &'static str,
    members: Vec<T>,
    next_cursor: Option<String>,
}

impl<T: Serialize> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.name, &self.members)?;
        map.serialize_entry("next_cursor", &self.next_cursor)?;
        map.end()
    }
}

/// All members as they come, or where a limit or a cursor is given, a page of them by key.
pub(crate) fn answer<T>(
    name: &'static str,
    members: Vec<T>,
    paging: &Paging,
    key: impl Fn(&T) -> String,
) -> Result<Json<Listed<T>>, ApiError> {
    let (members, next_cursor) =
        if paging.is_asked() { page(members, paging, key)? } else { (members, None) };
    Ok(Json(Listed { name, members, next_cursor }))
}

/// A page of those that have ids: what is shown of them is made for these only.
pub(crate) fn made<I, T>(
    name: &'static str,
    (ids, next_cursor): (Vec<I>, Option<String>),
    make: impl FnMut(I) -> Option<T>,
) -> Json<Listed<T>> {
    Json(Listed { name, members: ids.into_iter().filter_map(make).collect(), next_cursor })
}

/// A key that brings the latest first, and then goes by name.
pub(crate) fn latest_first(at: Timestamp, name: &str) -> String {
    format!("{} {name}", descending(&format!("{:020}", at.0.max(0))))
}

/// A key of ASCII text of one length turned round, so that the greatest comes first.
pub(crate) fn descending(key: &str) -> String {
    key.bytes().map(|byte| char::from(b'~' - byte.clamp(b' ', b'~') + b' ')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(limit: &str, cursor: Option<String>) -> Paging {
        Paging { limit: Some(limit.into()), cursor }
    }

    #[test]
    fn pages_show_everything_once_whatever_comes_and_goes_between_them() {
        let mut all: Vec<String> = (10..40).map(|n| format!("n{n}")).collect();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let (members, next) = page(all.clone(), &asked("7", cursor), Clone::clone).unwrap();
            seen.extend(members);
            // Before and behind the cursor, and the member that it names goes.
            let last = seen.last().unwrap().clone();
            all.retain(|one| *one != last);
            all.push(format!("m{}", seen.len()));
            let Some(next) = next else { break };
            cursor = Some(next);
        }
        assert_eq!(seen, (10..40).map(|n| format!("n{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn mistakes_are_named() {
        for limit in ["0", "-1", "1001", "many"] {
            let error = format!("{:?}", page(vec![1], &asked(limit, None), i32::to_string).unwrap_err());
            assert!(error.contains("limit must be"), "{limit}");
        }
        for cursor in ["", "c1zz", "c1f", "c1ff", "x", "c1é"] {
            let paging = asked("1", Some(cursor.into()));
            let error = format!("{:?}", page(vec![1], &paging, i32::to_string).unwrap_err());
            assert!(error.contains("next_cursor"), "{cursor}");
        }
    }
}
