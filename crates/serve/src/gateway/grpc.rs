//! OTLP over gRPC: the one unary call that senders of metrics make.
//!
//! A call is a POST of HTTP/2 whose body is one message behind five bytes (a flag and a length), and whose status comes in
//! trailers (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>). One method needs no framework for that.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use foretwin_engine::Protocol;
use foretwin_wire::otlp;
use http_body_util::{BodyExt, Full};

use super::{Sent, otlp::response, take, unpacked};
use crate::State;
use crate::error::ApiError;

/// The path of the call.
pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const KIND: HeaderValue = HeaderValue::from_static("application/grpc");

/// `MetricsService/Export`.
pub(crate) async fn export(Extract(state): Extract<State>, sent: Result<Sent, ApiError>) -> Response {
    match answer(&state, sent).await {
        Ok(message) => whole(&message),
        Err(error) => refused(&error),
    }
}

async fn answer(state: &State, sent: Result<Sent, ApiError>) -> Result<Vec<u8>, ApiError> {
    let sent = sent?;
    if !sent.header(header::CONTENT_TYPE).starts_with("application/grpc") {
        return Err(ApiError::media_type("expected Content-Type: application/grpc"));
    }
    let (packed, message) = message(&sent.body)?;
    if packed && sent.header("grpc-encoding") != "gzip" {
        return Err(ApiError::media_type("of compressions only gzip is known here"));
    }
    let decode = move || Ok((otlp::decode(&unpacked(&message, packed)?)?, ()));
    let (received, ()) = take(&state.handle, Protocol::Otlp, decode).await?;
    Ok(response(&received))
}

/// Whether the message is compressed, and its bytes.
fn message(body: &Bytes) -> Result<(bool, Bytes), ApiError> {
    let wrong = || ApiError::field("body", "expected one length-prefixed message");
    let [flag, a, b, c, d, ..] = body[..] else { return Err(wrong()) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if flag > 1 || body.len() - 5 != length {
        return Err(wrong());
    }
    Ok((flag == 1, body.slice(5..)))
}

/// A message, and the status that it is fine.
fn whole(message: &[u8]) -> Response {
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let trailers = async move { Some(Ok::<_, Infallible>(trailers)) };
    let body = Full::new(Bytes::from(framed)).with_trailers(trailers);
    (StatusCode::OK, [(header::CONTENT_TYPE, KIND)], Body::new(body)).into_response()
}

/// A status without a message, which stands in the headers.
fn refused(error: &ApiError) -> Response {
    let code = match error.status() {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "14",
        StatusCode::PAYLOAD_TOO_LARGE => "8",
        StatusCode::INTERNAL_SERVER_ERROR => "13",
        _ => "3",
    };
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, KIND)]).into_response();
    response.headers_mut().insert("grpc-status", HeaderValue::from_static(code));
    if let Ok(text) = HeaderValue::from_str(&percent_encoded(error.message())) {
        response.headers_mut().insert("grpc-message", text);
    }
    response
}

/// As gRPC wants its messages: printable ASCII, all else and `%` percent-encoded.
fn percent_encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().take(1000).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_length_in_front() {
        let framed = |bytes: &[u8]| message(&Bytes::copy_from_slice(bytes)).ok();
        assert_eq!(framed(&[0, 0, 0, 0, 2, 7, 8]), Some((false, Bytes::from_static(&[7, 8]))));
        assert_eq!(framed(&[1, 0, 0, 0, 0]), Some((true, Bytes::new())));
        for wrong in [&[][..], &[0, 0, 0, 0], &[0, 0, 0, 0, 2, 7], &[2, 0, 0, 0, 0], &[0, 255, 255, 255, 255]]
        {
            assert_eq!(framed(wrong), None, "{wrong:?}");
        }
        assert_eq!(percent_encoded("a%ü\n"), "a%25%C3%BC%0A");
    }
}
