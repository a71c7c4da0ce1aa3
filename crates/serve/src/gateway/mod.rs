//! Where other programs send metrics in their own formats: Prometheus, OpenTelemetry, InfluxDB.
//!
//! Every handler unpacks and decodes off the threads that answer, and says what its protocol wants to hear: 2xx only for
//! what is durable, 400 for what will never be taken, 429 and 503 with `Retry-After` for what may be sent again.

mod grpc;
mod influx;
mod otlp;
mod remote;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::routing::{get, post};
use foretwin_engine::{Handle, Protocol, Received};
use foretwin_wire::compress;
use foretwin_wire::series::Arrival;

use crate::blocking::blocking;
use crate::error::ApiError;
use crate::routes::Routes;

/// Most bytes of a request as it comes, and unpacked.
const MOST_PACKED: usize = 16 << 20;
const MOST_UNPACKED: usize = 32 << 20;

/// Routes of receivers.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/api/v1/write", post(remote::write))
        .route("/v1/metrics", post(otlp::metrics))
        .route(grpc::EXPORT, post(grpc::export))
        .route("/write", post(influx::write_v1))
        .route("/api/v2/write", post(influx::write_v2))
        .route("/query", post(influx::query))
        .route("/ping", get(influx::ping))
        .layer(DefaultBodyLimit::max(MOST_PACKED))
}

/// The body of a request that no page of another origin made.
struct Sent {
    headers: HeaderMap,
    query: String,
    body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let query = request.uri().query().unwrap_or_default().to_owned();
        // Some of these formats come with any content type, so a page could send them without asking first. Browsers say
        // where a request comes from; senders of telemetry do not.
        let site = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
        if site || headers.contains_key(header::ORIGIN) {
            return Err(ApiError::misdirected("telemetry is not taken from pages in a browser"));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| ApiError::rejected("body", rejection.status(), rejection.body_text()))?;
        Ok(Self { headers, query, body })
    }
}

impl Sent {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether the body is gzip; another encoding is refused.
    fn is_gzip(&self) -> Result<bool, ApiError> {
        match self.header(header::CONTENT_ENCODING) {
            "" | "identity" => Ok(false),
            "gzip" => Ok(true),
            other => Err(ApiError::media_type(format!(
                "Content-Encoding {other} is not known here; use gzip or none"
            ))),
        }
    }
}

/// Unpacks a body, decodes it and takes it; what else `decode` found comes back beside it.
async fn take<T: Send + 'static>(
    handle: &Handle,
    protocol: Protocol,
    decode: impl FnOnce() -> Result<(Arrival, T), foretwin_wire::Error> + Send + 'static,
) -> Result<(Received, T), ApiError> {
    blocking(handle, move |handle| {
        let (arrival, more) = decode()?;
        Ok((handle.receive(protocol, arrival)?, more))
    })
    .await
}

/// A body, unpacked if it is gzip.
fn unpacked(body: &Bytes, gzip: bool) -> Result<Bytes, foretwin_wire::Error> {
    if gzip { compress::gunzip(body, MOST_UNPACKED).map(Bytes::from) } else { Ok(body.clone()) }
}

/// What was refused, in words.
fn refusal(received: &Received) -> Option<String> {
    let why = received.why.as_deref().unwrap_or("beyond a limit");
    let (refused, samples) = (received.refused, received.samples);
    (refused > 0).then(|| format!("{refused} samples are refused, {samples} are stored: {why}"))
}
