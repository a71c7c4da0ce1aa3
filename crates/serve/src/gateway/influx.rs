//! The InfluxDB line protocol, as versions 1 and 2 of its API take it.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use foretwin_engine::{Protocol, Received};
use foretwin_wire::influx::{self, Malformed, Precision};
use serde_json::json;

use super::{Sent, refusal, take, unpacked};
use crate::State;
use crate::api::pairs;
use crate::error::ApiError;

/// `POST /write?precision=..`: 204 once every line is durable; 400 with what is wrong if some are not, the others are.
pub(crate) async fn write_v1(Extract(state): Extract<State>, sent: Sent) -> Response {
    let body = |error: String| json!({"error": error});
    answer(write(&state, sent).await, &body)
}

/// `POST /api/v2/write?precision=..`: the same with the errors of version 2.
pub(crate) async fn write_v2(Extract(state): Extract<State>, sent: Sent) -> Response {
    let body = |error: String| json!({"code": "invalid", "message": error});
    answer(write(&state, sent).await, &body)
}

/// `GET /ping`: senders ask whether anybody is there.
pub(crate) async fn ping() -> Response {
    (StatusCode::NO_CONTENT, [(HeaderName::from_static("x-influxdb-version"), "foretwin")]).into_response()
}

/// `POST /query`: senders of version 1 create their database before they write; there is nothing to create.
pub(crate) async fn query(sent: Sent) -> Response {
    let body = std::str::from_utf8(&sent.body).unwrap_or_default();
    let asked = pairs(&sent.query).into_iter().chain(pairs(body)).flatten().find(|(name, _)| name == "q");
    let creates =
        asked.is_some_and(|(_, text)| text.trim_start().to_ascii_uppercase().starts_with("CREATE DATABASE"));
    match creates {
        true => Json(json!({"results": [{"statement_id": 0}]})).into_response(),
        false => {
            let why = "InfluxQL is not answered here; GET /api/v1/query takes PromQL";
            (StatusCode::BAD_REQUEST, Json(json!({"error": why}))).into_response()
        }
    }
}

async fn write(state: &State, sent: Sent) -> Result<(Received, Option<Malformed>), ApiError> {
    let mut precision = Precision::Nanoseconds;
    for (name, value) in pairs(&sent.query)? {
        if name == "precision" {
            precision = Precision::named(&value)
                .ok_or_else(|| ApiError::field("precision", "precision is one of ns, us, ms, s, m, h"))?;
        }
    }
    let (gzip, body, now) = (sent.is_gzip()?, sent.body, state.handle.now());
    let decode = move || influx::decode(&unpacked(&body, gzip)?, precision, now);
    take(&state.handle, Protocol::Influx, decode).await
}

fn answer(
    done: Result<(Received, Option<Malformed>), ApiError>,
    body: &dyn Fn(String) -> serde_json::Value,
) -> Response {
    let (received, malformed) = match done {
        Ok(done) => done,
        Err(error) => {
            let mut response = (error.status(), Json(body(error.message().to_owned()))).into_response();
            // Whether to come again, as every other answer says it.
            if let Some(later) = error.into_response().headers_mut().remove(header::RETRY_AFTER) {
                response.headers_mut().insert(header::RETRY_AFTER, later);
            }
            return response;
        }
    };
    let problem = match malformed {
        Some(Malformed { line, why, count }) => Some(format!(
            "partial write: unable to parse '{line}': {why} dropped={}",
            count + received.refused
        )),
        None => refusal(&received).map(|why| format!("partial write: {why} dropped={}", received.refused)),
    };
    match problem {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(error) => (StatusCode::BAD_REQUEST, Json(body(error))).into_response(),
    }
}
