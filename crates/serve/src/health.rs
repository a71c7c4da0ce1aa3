//! Whether the node lives, is ready, and how it fares.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::State;
use crate::blocking::blocking;
use crate::error::ApiError;

/// `GET /-/healthy`: the process answers.
pub(crate) async fn healthy() -> &'static str {
    "healthy\n"
}

/// `GET /-/ready`: 200 once telemetry is collected, stored and scored; before that 503 with what is missing.
pub(crate) async fn ready(Extract(state): Extract<State>) -> Result<Response, ApiError> {
    let readiness = blocking(&state.handle, |handle| Ok(handle.readiness())).await?;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(readiness)).into_response())
}

/// `GET /metrics`: the node's own counters and the latest verdicts, as Prometheus text.
pub(crate) async fn metrics(Extract(state): Extract<State>) -> Result<Response, ApiError> {
    let text = blocking(&state.handle, |handle| Ok(handle.exposition())).await?;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
