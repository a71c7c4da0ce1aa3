//! The audit of changes: who asked for what, when, and what became of it.

mod chain;

use std::net::IpAddr;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use foretwin_core::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::State;
use crate::access::{Caller, is_change, route};
use crate::error::ApiError;
use crate::extract::Asked;
use crate::paging::{Paging, descending, page};
pub(crate) use chain::Chain;

/// Bodies up to this size are told in full; of longer ones only that there was one.
const MOST_TOLD: usize = 2048;
/// Members of a body whose values are kept to ourselves.
const SECRET: &[&str] = &["token", "secret", "password", "passphrase", "authorization", "credential", "key"];

/// One change.
#[derive(Debug, Serialize)]
struct Change<'c> {
    at_us: Timestamp,
    /// The token's id and name; null where none was needed.
    token: Option<&'c str>,
    name: Option<&'c str>,
    address: IpAddr,
    method: &'c str,
    path: &'c str,
    body: Option<&'c Value>,
    status: u16,
}

/// Tells of requests that change something, once it is known what became of them.
pub(crate) async fn witness(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let (Some(chain), Some(caller)) = (state.shared.audit.clone(), caller) else {
        return next.run(request).await;
    };
    if !is_change(request.method(), &route(&request)) {
        return next.run(request).await;
    }
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let (request, body) = overheard(request).await;
    let response = next.run(request).await;
    let change = Change {
        at_us: state.handle.now(),
        token: caller.token.as_ref().map(|token| token.id.as_str()),
        name: caller.token.as_ref().map(|token| token.name.as_str()),
        address: caller.address.to_canonical(),
        method: method.as_str(),
        path: uri.path_and_query().map_or(uri.path(), |path| path.as_str()),
        body: body.as_ref(),
        status: response.status().as_u16(),
    };
    let told = json!(change);
    // What was done is done; an audit that cannot be written is said aloud.
    let written = tokio::task::spawn_blocking(move || chain.append(&told)).await;
    if let Ok(Err(error)) = &written {
        tracing::error!("{error}: a change is missing in the audit");
    }
    response
}

/// The request, and its body where that is short and JSON.
async fn overheard(request: Request) -> (Request, Option<Value>) {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|text| text.to_str().ok()?.parse().ok());
    if length.is_none_or(|bytes: usize| bytes > MOST_TOLD) {
        return (request, None);
    }
    let (parts, body) = request.into_parts();
    // A body that breaks off is refused by whoever reads it next.
    let bytes = axum::body::to_bytes(body, MOST_TOLD).await.unwrap_or_else(|_| Bytes::new());
    let mut told = serde_json::from_slice(&bytes).ok();
    if let Some(value) = &mut told {
        redact(value);
    }
    (Request::from_parts(parts, Body::from(bytes)), told)
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.to_lowercase();
                if SECRET.iter().any(|word| name.contains(word)) {
                    *member = "redacted".into();
                } else {
                    redact(member);
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(redact),
        _ => {}
    }
}

/// `GET /api/v1/audit?limit=100&cursor=..`: changes, newest first, and whether the chain that holds them is whole.
pub(crate) async fn list(
    Extract(state): Extract<State>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Value>, ApiError> {
    let Some(chain) = state.shared.audit.clone() else {
        return Ok(Json(json!({"changes": [], "intact": true, "next_cursor": null})));
    };
    let read = tokio::task::spawn_blocking(move || chain.read()).await;
    let read = read.map_err(|error| ApiError::internal(format!("the answer broke off: {error}")))?;
    let (changes, intact) = read.map_err(|error| ApiError::internal(error.to_string()))?;
    let newest_first =
        |change: &Value| descending(&format!("{:020}", change["number"].as_u64().unwrap_or(0)));
    let (changes, next_cursor) = page(changes, &paging.or_limit(100), newest_first)?;
    Ok(Json(json!({"changes": changes, "intact": intact, "next_cursor": next_cursor})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_kept_to_ourselves() {
        let mut body = json!({"url": "x", "API_Token": "t", "more": [{"password": 1, "reason": "r"}]});
        redact(&mut body);
        let told =
            json!({"url": "x", "API_Token": "redacted", "more": [{"password": "redacted", "reason": "r"}]});
        assert_eq!(body, told);
    }
}
