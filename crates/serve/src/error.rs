//! The one shape of an error: `{"error": {"code", "message", "field"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What a request gets instead of its answer.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<&'static str>,
}

impl ApiError {
    /// Any error that has no name of its own here; `message` says what to do.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None }
    }

    /// A field of the request is wrong; `message` says what would be right.
    pub(crate) fn field(field: &'static str, message: impl Into<String>) -> Self {
        let (status, code) = (StatusCode::BAD_REQUEST, "invalid_request");
        Self { status, code, message: message.into(), field: Some(field) }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not_found", message: message.into(), field: None }
    }

    /// A part of the request was refused before anybody looked for what it asks.
    pub(crate) fn rejected(field: &'static str, status: StatusCode, message: String) -> Self {
        let (code, message) = match status {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("too_large", format!("{message}: the body is over this endpoint's limit; send less at once"))
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => return Self::media_type(message),
            _ => return Self::field(field, message),
        };
        Self { status, code, message, field: Some(field) }
    }

    pub(crate) fn media_type(message: impl Into<String>) -> Self {
        let (status, code) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
        Self { status, code, message: message.into(), field: None }
    }

    pub(crate) fn method(message: impl Into<String>) -> Self {
        let (status, code) = (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
        Self { status, code, message: message.into(), field: None }
    }

    /// The request was meant for somebody else.
    pub(crate) fn misdirected(message: impl Into<String>) -> Self {
        let (status, code) = (StatusCode::MISDIRECTED_REQUEST, "misdirected");
        Self { status, code, message: message.into(), field: None }
    }

    /// The status it is answered with.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, in words.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The answer could not be made although the request was fine.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        let (status, code) = (StatusCode::INTERNAL_SERVER_ERROR, "internal");
        Self { status, code, message: message.into(), field: None }
    }
}

/// A sentence with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        text.push_str(": ");
        text.push_str(&inner_text);
        cause = inner.source();
    }
    text
}

impl From<foretwin_engine::Error> for ApiError {
    fn from(error: foretwin_engine::Error) -> Self {
        let (status, field) = match error.code() {
            "unknown_instance" => (StatusCode::NOT_FOUND, Some("instance")),
            "unknown_rehearsal" => (StatusCode::NOT_FOUND, Some("number")),
            "unknown_alert" | "unknown_maintenance" => (StatusCode::NOT_FOUND, Some("id")),
            "unknown_report" => (StatusCode::NOT_FOUND, Some("report_id")),
            "unknown_metric" => (StatusCode::NOT_FOUND, Some("metric")),
            "unknown_model" => (StatusCode::NOT_FOUND, Some("version")),
            "invalid_model" => (StatusCode::BAD_REQUEST, Some("body")),
            "conflict" | "fenced" => (StatusCode::CONFLICT, None),
            "unknown_schema" | "invalid_record" => (StatusCode::BAD_REQUEST, None),
            "busy" => (StatusCode::TOO_MANY_REQUESTS, None),
            "disk_full" | "timeout" => (StatusCode::SERVICE_UNAVAILABLE, None),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        Self { status, code: error.code(), message: chain(&error), field }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(field) = self.field {
            error["field"] = field.into();
        }
        let mut response = (self.status, Json(json!({"error": error}))).into_response();
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&self.status) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
