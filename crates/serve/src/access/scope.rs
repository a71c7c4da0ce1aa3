//! What a token may do, and what a request needs.

use std::fmt;
use std::str::FromStr;

use axum::http::Method;
use serde::{Deserialize, Serialize};

/// A part of what can be done. `admin` includes the others; otherwise none includes another, so that an agent that may
/// send telemetry can read nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask.
    Read,
    /// Add: telemetry, reports, failures, maintenance, feedback.
    Write,
    /// Change what the node does: models, replays, rehearsals, tasks.
    Act,
    /// Read the audit log; and all of the above.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Act, Self::Admin];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Act => "act",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| format!("{text:?} is no scope; use read, write, act or admin"))
    }
}

/// Questions that are asked by POST because they are long.
const QUESTIONS: &[&str] = &[
    "/api/v1/twin/predict",
    "/api/v1/twin/whatif",
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/query_exemplars",
    "/api/v1/series",
    "/api/v1/labels",
    "/api/v1/read",
];
/// Where telemetry comes in, all day long: no change that an audit would tell of.
const TELEMETRY: &[&str] =
    &["/api/v1/ingest", "/api/v1/write", "/api/v2/write", "/write", "/query", "/v1/metrics"];
/// What says nothing of what is watched.
const PUBLIC: &[&str] = &["/", "/{file}", "/-/healthy", "/-/ready", "/ping", "/api/v1/openapi.json"];
/// What begins so changes what the node does, where it changes anything.
const ACTING: &[&str] = &["/api/v1/models/", "/api/v1/twins/", "/api/v1/tasks", "/api/v1/actions"];

/// What a request to a route needs; none, if everybody may. The page, health and readiness are for everybody: load
/// balancers ask without a token, and the page must be there to ask for one.
pub(crate) fn needed(method: &Method, route: &str) -> Option<Scope> {
    let asks = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    if route == "/api/v1/audit" {
        return Some(Scope::Admin);
    }
    if asks {
        return (!PUBLIC.contains(&route)).then_some(Scope::Read);
    }
    if QUESTIONS.contains(&route) {
        return Some(Scope::Read);
    }
    let acts = ACTING.iter().any(|prefix| route.starts_with(prefix));
    Some(if acts { Scope::Act } else { Scope::Write })
}

/// Whether a request changes something that the audit log tells of.
pub(crate) fn is_change(method: &Method, route: &str) -> bool {
    let needs = needed(method, route);
    let telemetry = TELEMETRY.contains(&route) || route.starts_with("/opentelemetry");
    matches!(needs, Some(Scope::Write | Scope::Act)) && !telemetry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_needs_more_than_what_asks() {
        let cases = [
            (Method::GET, "/", None),
            (Method::GET, "/-/ready", None),
            (Method::GET, "/api/v1/openapi.json", None),
            (Method::GET, "/metrics", Some(Scope::Read)),
            (Method::GET, "/federate", Some(Scope::Read)),
            (Method::GET, "/anything/new", Some(Scope::Read)),
            (Method::GET, "/api/v1/instances", Some(Scope::Read)),
            (Method::POST, "/api/v1/twin/predict", Some(Scope::Read)),
            (Method::POST, "/api/v1/ingest", Some(Scope::Write)),
            (Method::POST, "/anything/new", Some(Scope::Write)),
            (Method::POST, "/api/v1/models/{id}/rollback", Some(Scope::Act)),
            (Method::DELETE, "/api/v1/tasks/{id}", Some(Scope::Act)),
            (Method::GET, "/api/v1/audit", Some(Scope::Admin)),
        ];
        for (method, route, scope) in cases {
            assert_eq!(needed(&method, route), scope, "{method} {route}");
        }
    }

    #[test]
    fn telemetry_and_questions_are_no_changes() {
        assert!(is_change(&Method::POST, "/api/v1/failures"));
        assert!(is_change(&Method::POST, "/api/v1/models/{id}/rollback"));
        for (method, route) in [
            (Method::POST, "/api/v1/ingest"),
            (Method::POST, "/api/v1/twin/whatif"),
            (Method::GET, "/api/v1/audit"),
        ] {
            assert!(!is_change(&method, route), "{method} {route}");
        }
    }
}
