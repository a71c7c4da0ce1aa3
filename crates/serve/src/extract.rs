//! Parts of a request, read such that a wrong one is answered in the one shape of errors.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use foretwin_core::InstanceId;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The one segment of the path that a route leaves open.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(segment) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::rejected("path", rejection.status(), rejection.body_text()))?;
        Ok(Self(segment))
    }
}

/// The instance that the path names.
pub(crate) struct Id(pub(crate) InstanceId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Segment(id) = Segment::from_request_parts(parts, state).await?;
        Ok(Self(InstanceId::new(&id)))
    }
}

/// What follows the question mark.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(asked) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::rejected("query", rejection.status(), rejection.body_text()))?;
        Ok(Self(asked))
    }
}

/// A body of JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(body) = Json::from_request(request, state)
            .await
            .map_err(|rejection| ApiError::rejected("body", rejection.status(), rejection.body_text()))?;
        Ok(Self(body))
    }
}

/// A body of bytes that says so. Pages of other origins cannot send that content type without asking first.
pub(crate) struct Octets(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Octets {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        if kind.is_none_or(|kind| kind != "application/octet-stream") {
            return Err(ApiError::media_type("expected Content-Type: application/octet-stream"));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| ApiError::rejected("body", rejection.status(), rejection.body_text()))?;
        Ok(Self(body))
    }
}
