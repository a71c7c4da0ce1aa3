//! OTLP over HTTP: `/v1/metrics`, as Protocol Buffers or JSON.

use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use foretwin_engine::{Protocol, Received};
use foretwin_wire::otlp;
use serde_json::json;

use super::{Sent, refusal, take, unpacked};
use crate::State;
use crate::error::ApiError;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// `POST /v1/metrics`: 200 once all that can be taken is durable; what cannot is a partial success.
pub(crate) async fn metrics(Extract(state): Extract<State>, sent: Sent) -> Result<Response, ApiError> {
    let kind = sent.header(header::CONTENT_TYPE);
    let as_json = match kind.split(';').next().unwrap_or_default().trim() {
        PROTOBUF => false,
        JSON => true,
        _ => {
            return Err(ApiError::media_type(
                "expected Content-Type: application/x-protobuf or application/json",
            ));
        }
    };
    let (gzip, body) = (sent.is_gzip()?, sent.body);
    let decode = move || {
        let bytes = unpacked(&body, gzip)?;
        let arrival = if as_json { otlp::decode_json(&bytes) } else { otlp::decode(&bytes) }?;
        Ok((arrival, ()))
    };
    let (received, ()) = take(&state.handle, Protocol::Otlp, decode).await?;
    Ok(if as_json {
        let partial = refusal(&received).map(|why| {
            // Numbers of 64 bits are text in this form.
            json!({"partialSuccess": {"rejectedDataPoints": received.refused.to_string(), "errorMessage": why}})
        });
        (StatusCode::OK, [(header::CONTENT_TYPE, JSON)], partial.unwrap_or_else(|| json!({})).to_string())
            .into_response()
    } else {
        (StatusCode::OK, [(header::CONTENT_TYPE, PROTOBUF)], response(&received)).into_response()
    })
}

/// The answer as Protocol Buffers.
pub(super) fn response(received: &Received) -> Vec<u8> {
    otlp::encode_response(received.refused, &refusal(received).unwrap_or_default())
}
