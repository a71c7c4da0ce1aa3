//! Prometheus remote write, versions 1.0 and 2.0.

use axum::extract::State as Extract;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use foretwin_engine::Protocol;
use foretwin_wire::{compress, remote};

use super::{MOST_UNPACKED, Sent, refusal, take};
use crate::State;
use crate::error::ApiError;

/// `POST /api/v1/write`: 204 once every sample is durable; 400 if some are refused for good, the others are stored.
pub(crate) async fn write(Extract(state): Extract<State>, sent: Sent) -> Result<Response, ApiError> {
    let kind = sent.header(header::CONTENT_TYPE);
    let (media, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let second = parameters.trim() == "proto=io.prometheus.write.v2.Request";
    if media.trim() != "application/x-protobuf"
        || !(second || ["", "proto=prometheus.WriteRequest"].contains(&parameters.trim()))
    {
        return Err(ApiError::media_type(
            "expected Content-Type: application/x-protobuf, a prometheus.WriteRequest or io.prometheus.write.v2.Request",
        ));
    }
    if sent.header(header::CONTENT_ENCODING) != "snappy" {
        return Err(ApiError::media_type("expected Content-Encoding: snappy, in its block format"));
    }
    let body = sent.body;
    let decode = move || {
        let bytes = compress::unsnap(&body, MOST_UNPACKED)?;
        let arrival = if second { remote::decode_v2(&bytes) } else { remote::decode(&bytes) }?;
        Ok((arrival, ()))
    };
    let (received, ()) = take(&state.handle, Protocol::Prometheus, decode).await?;
    let mut response = match refusal(&received) {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(why) => (StatusCode::BAD_REQUEST, why).into_response(),
    };
    if second {
        let name = HeaderName::from_static("x-prometheus-remote-write-samples-written");
        response.headers_mut().insert(name, HeaderValue::from(received.samples));
        for kind in ["histograms", "exemplars"] {
            let name = HeaderName::try_from(format!("x-prometheus-remote-write-{kind}-written"));
            if let Ok(name) = name {
                response.headers_mut().insert(name, HeaderValue::from_static("0"));
            }
        }
    }
    Ok(response)
}
