//! Parameters of a query, in the address or as a form; names may repeat.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};

use super::answer::Failure;
use super::moment;
use crate::api::pairs;

/// Names and values in the order given.
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let read = |text: &str| pairs(text).map_err(|error| Failure::bad("query", error.message()));
        let mut all = read(request.uri().query().unwrap_or_default())?;
        if request.method() == Method::POST {
            let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
                return Err(Failure::bad("body", "expected Content-Type: application/x-www-form-urlencoded"));
            }
            let body = Bytes::from_request(request, state)
                .await
                .map_err(|rejection| Failure::rejected(&rejection))?;
            let text = std::str::from_utf8(&body).map_err(|_| Failure::bad("body", "is not UTF-8"))?;
            all.extend(read(text)?);
        }
        Ok(Self(all))
    }
}

impl Parameters {
    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    pub(super) fn required<'a>(&'a self, name: &'static str) -> Result<&'a str, Failure> {
        self.one(name).ok_or_else(|| Failure::bad(name, "must be given"))
    }

    /// Milliseconds since the epoch.
    pub(super) fn moment(&self, name: &'static str) -> Result<Option<i64>, Failure> {
        let read = |text: &str| {
            moment::millis(text)
                .ok_or_else(|| Failure::bad(name, format!("cannot parse {text:?} to a valid timestamp")))
        };
        self.one(name).map(read).transpose()
    }

    /// Milliseconds above 0.
    pub(super) fn step(&self, name: &'static str) -> Result<i64, Failure> {
        let text = self.required(name)?;
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds < 1e10);
        let ms = seconds.map(|seconds| (seconds * 1000.0).round() as i64);
        let ms = ms.or_else(|| foretwin_query::duration_ms(text));
        let ms =
            ms.ok_or_else(|| Failure::bad(name, format!("cannot parse {text:?} to a valid duration")))?;
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        (ms > 0).then_some(ms).ok_or_else(|| Failure::bad(name, why))
    }
}
