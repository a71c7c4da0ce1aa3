//! The page, embedded in the binary.

use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::extract::Segment;

/// Name, content type and text of every file of the page: what the build of `web/` left in `page/`.
const FILES: &[(&str, &str, &str)] = &[
    ("index.html", "text/html; charset=utf-8", include_str!("../page/index.html")),
    ("app.js", "text/javascript; charset=utf-8", include_str!("../page/app.js")),
    ("app.css", "text/css; charset=utf-8", include_str!("../page/app.css")),
];

/// Nothing from elsewhere may run or be shown, nothing within the document may run, nor may the page be framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`
pub(crate) async fn index() -> Response {
    file("index.html")
}

/// `GET /{file}`
pub(crate) async fn asset(Segment(name): Segment) -> Response {
    file(&name)
}

fn file(name: &str) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => {
            let headers = [
                (header::CONTENT_TYPE, *kind),
                (header::CACHE_CONTROL, "no-cache"),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (StatusCode::OK, headers, *text).into_response()
        }
        None => ApiError::not_found(format!("there is no /{name}")).into_response(),
    }
}

/// Everything else.
pub(crate) async fn unknown(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is no {}; the API is under /api/v1", uri.path()))
}

/// A path that exists, asked in a way that it does not answer.
pub(crate) async fn other_method(method: Method, uri: Uri) -> ApiError {
    ApiError::method(format!("{} does not answer {method}; the Allow header says what it does", uri.path()))
}
