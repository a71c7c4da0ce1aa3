//! What every request passes: a bound on how many there are, a deadline, a net for panics, and the headers of safety.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::State;
use crate::access::route;
use crate::error::ApiError;

/// Routes whose bodies are large, and so take their time.
const UPLOADS: &[&str] = &[
    "/api/v1/ingest",
    "/api/v1/models/{id}/import",
    "/api/v1/reports",
    "/api/v1/write",
    "/v1/metrics",
    "/write",
    "/api/v2/write",
];
/// An answer of the API is data: nothing of it may run, be framed, or be kept.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every answer that does not say otherwise.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];
/// For a year browsers speak TLS with a node that does.
const TRANSPORT: &str = "max-age=31536000";

/// Adds the headers of safety.
pub(crate) async fn sealed(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if state.shared.tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT));
    }
    response
}

/// Works on a request if there are not too many, for a bounded time, and survives what panics.
pub(crate) async fn bounded(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let shared = &state.shared;
    let Ok(_slot) = shared.slots.try_acquire() else {
        let message =
            "the node works on as many requests as serve.limits.requests allows; try again in a second";
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message).into_response();
    };
    let upload = UPLOADS.contains(&route(&request).as_str());
    let limit_s = if upload { shared.limits.upload_s } else { shared.limits.answer_s };
    let work = Caught(Box::pin(next.run(request)));
    match tokio::time::timeout(Duration::from_secs_f64(limit_s), work).await {
        Ok(Ok(response)) => response,
        Ok(Err(())) => {
            ApiError::internal("the answer broke off; the log of the node says where").into_response()
        }
        Err(_) => {
            let message = format!("not read and answered within {limit_s} s; send faster, or ask for less");
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", message).into_response()
        }
    }
}

/// A future whose panic is an answer.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, ()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // What panicked is dropped and never polled again, so nothing half done is seen.
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught() {
        let fine = Caught(Box::pin(async { 3 })).await;
        let broken: Result<(), ()> = Caught(Box::pin(async { panic!("as the test wants it") })).await;
        assert_eq!((fine, broken), (Ok(3), Err(())));
    }
}
