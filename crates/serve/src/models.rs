//! Models under `/api/v1/models`: versions of an instance, shown, compared, switched, exported, imported, pruned.
//!
//! Instance ids are one percent-encoded segment, as everywhere. Versions count within an instance and a schema; the query
//! `schema=HEX` says which, without it the instance's main one is meant.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State as Extract};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use foretwin_core::{InstanceId, SchemaId};
use foretwin_engine::{ModelComparison, ModelLine, ModelLineView, ModelView, Switched, Vectors};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::{Asked, Body, Id, Octets};
use crate::paging::{Paging, page};
use crate::{State, when};

/// Most bytes of an imported file.
pub(crate) const MOST_BYTES: usize = 256 << 20;
/// Frames of test vectors if none are asked for, and at most.
const ROWS: usize = 300;
const MOST_ROWS: usize = 20_000;
/// Versions compared at most, and the longest span that they are compared on: a day.
const MOST_VERSIONS: usize = 10;
const MOST_SPAN_S: f64 = 86_400.0;

/// Instance and version that the path names.
pub(crate) struct Version(InstanceId, u64);

impl<S: Send + Sync> FromRequestParts<S> for Version {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path((id, version)): Path<(String, String)> = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::rejected("path", rejection.status(), rejection.body_text()))?;
        let wrong =
            || ApiError::field("version", format!("{version:?} is no version; use a number such as 7"));
        let version = version.parse().map_err(|_| wrong())?;
        Ok(Self(InstanceId::new(&id), version))
    }
}

/// What may follow the question mark.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    schema: Option<String>,
    /// Only for vectors.
    rows: Option<usize>,
    /// Only for comparisons: numbers, separated by commas.
    versions: Option<String>,
    /// Only for comparisons.
    span: Option<String>,
}

impl Query {
    fn line(&self, instance: InstanceId) -> Result<ModelLine, ApiError> {
        let wrong =
            || ApiError::field("schema", "schema must be 16 hexadecimal digits, as the list shows them");
        let schema = self.schema.as_deref().map(|text| u64::from_str_radix(text, 16).map(SchemaId));
        Ok(ModelLine { instance, schema: schema.transpose().map_err(|_| wrong())? })
    }

    fn versions(&self) -> Result<Vec<u64>, ApiError> {
        let wrong = || {
            ApiError::field("versions", format!("versions must be 1 to {MOST_VERSIONS} numbers such as 3,5"))
        };
        let numbers: Result<Vec<u64>, _> =
            self.versions.as_deref().unwrap_or_default().split(',').map(|text| text.trim().parse()).collect();
        numbers.ok().filter(|numbers| (1..=MOST_VERSIONS).contains(&numbers.len())).ok_or_else(wrong)
    }

    fn span_s(&self) -> Result<f64, ApiError> {
        let wrong = || ApiError::field("span", "span must be at most a day, such as 15m or 6h");
        let span_s = self.span.as_deref().map_or(Some(3600.0), when::seconds);
        span_s.filter(|&span_s| span_s > 0.0 && span_s <= MOST_SPAN_S).ok_or_else(wrong)
    }
}

/// `GET /api/v1/models/{instance}?limit=..&cursor=..`: all lines of versions, the main one first; in pages of versions,
/// by schema, where a limit is given.
pub(crate) async fn list(
    Extract(state): Extract<State>,
    Id(id): Id,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Value>, ApiError> {
    let instance = id.clone();
    let lines = blocking(&state.handle, move |handle| handle.models(&id)).await?;
    let (lines, next_cursor) = if paging.is_asked() { some_of(lines, &paging)? } else { (lines, None) };
    Ok(Json(json!({"instance": instance, "lines": lines, "next_cursor": next_cursor})))
}

/// Lines with those of their versions that stand on a page. A line without versions of its own counts as one.
fn some_of(
    mut lines: Vec<ModelLineView>,
    paging: &Paging,
) -> Result<(Vec<ModelLineView>, Option<String>), ApiError> {
    let members: Vec<(String, u64)> = lines
        .iter()
        .flat_map(|line| {
            let versions = line.versions.iter().map(|entry| entry.version);
            let none = line.versions.is_empty().then_some(0);
            versions.chain(none).map(|version| (line.schema.clone(), version))
        })
        .collect();
    let (members, next) = page(members, paging, |(schema, version)| format!("{schema} {version:020}"))?;
    lines.retain_mut(|line| {
        let on_page = |version| members.contains(&(line.schema.clone(), version));
        line.versions.retain(|entry| on_page(entry.version));
        !line.versions.is_empty() || on_page(0)
    });
    Ok((lines, next))
}

/// `GET /api/v1/models/{instance}/{version}`
pub(crate) async fn show(
    Extract(state): Extract<State>,
    Version(id, version): Version,
    Asked(query): Asked<Query>,
) -> Result<Json<ModelView>, ApiError> {
    let line = query.line(id)?;
    Ok(Json(blocking(&state.handle, move |handle| handle.model(&line, version)).await?))
}

/// `GET /api/v1/models/{instance}/compare?versions=3,5&span=1h`
pub(crate) async fn compare(
    Extract(state): Extract<State>,
    Id(id): Id,
    Asked(query): Asked<Query>,
) -> Result<Json<ModelComparison>, ApiError> {
    let (line, versions, span_s) = (query.line(id)?, query.versions()?, query.span_s()?);
    Ok(Json(blocking(&state.handle, move |handle| handle.compare_models(&line, &versions, span_s)).await?))
}

/// `GET /api/v1/models/{instance}/{version}/export`: the safetensors file.
pub(crate) async fn export(
    Extract(state): Extract<State>,
    Version(id, version): Version,
    Asked(query): Asked<Query>,
) -> Result<Response, ApiError> {
    let line = query.line(id)?;
    let bytes = blocking(&state.handle, move |handle| handle.export_model(&line, version)).await?;
    let kind = "application/octet-stream";
    let place = format!("attachment; filename=\"model-{version}.safetensors\"");
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, place)], bytes)
        .into_response())
}

/// `GET /api/v1/models/{instance}/{version}/vectors?rows=300`: stored frames and what the version expects of them.
pub(crate) async fn vectors(
    Extract(state): Extract<State>,
    Version(id, version): Version,
    Asked(query): Asked<Query>,
) -> Result<Json<Vectors>, ApiError> {
    let line = query.line(id)?;
    let rows = query.rows.unwrap_or(ROWS);
    if !(1..=MOST_ROWS).contains(&rows) {
        return Err(ApiError::field("rows", format!("rows must be a number from 1 to {MOST_ROWS}")));
    }
    Ok(Json(blocking(&state.handle, move |handle| handle.model_vectors(&line, version, rows)).await?))
}

/// Why something is changed; it is kept beside the change. `{}` is the least: a body of JSON keeps pages of other origins
/// from asking.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    #[serde(default = "unsaid")]
    reason: String,
}

fn unsaid() -> String {
    "asked for".to_owned()
}

/// `POST /api/v1/models/{instance}/{version}/promote`
pub(crate) async fn promote(
    Extract(state): Extract<State>,
    Version(id, version): Version,
    Asked(query): Asked<Query>,
    Body(why): Body<Reason>,
) -> Result<Json<Switched>, ApiError> {
    let line = query.line(id)?;
    let promote = move |handle: &foretwin_engine::Handle| handle.promote_model(&line, version, &why.reason);
    Ok(Json(blocking(&state.handle, promote).await?))
}

/// `POST /api/v1/models/{instance}/rollback`
pub(crate) async fn rollback(
    Extract(state): Extract<State>,
    Id(id): Id,
    Asked(query): Asked<Query>,
    Body(why): Body<Reason>,
) -> Result<Json<Switched>, ApiError> {
    let line = query.line(id)?;
    Ok(Json(blocking(&state.handle, move |handle| handle.rollback_model(&line, &why.reason)).await?))
}

/// `POST /api/v1/models/{instance}/{version}/reference`: freezes the version.
pub(crate) async fn reference(
    Extract(state): Extract<State>,
    Version(id, version): Version,
    Asked(query): Asked<Query>,
    Body(why): Body<Reason>,
) -> Result<Json<Value>, ApiError> {
    let line = query.line(id)?;
    let set = move |handle: &foretwin_engine::Handle| handle.set_reference_model(&line, version, &why.reason);
    blocking(&state.handle, set).await?;
    Ok(Json(json!({"reference": version})))
}

/// `POST /api/v1/models/{instance}/{version}/dismiss`: the challenger is of no use.
pub(crate) async fn dismiss(
    Extract(state): Extract<State>,
    Version(id, version): Version,
    Asked(query): Asked<Query>,
    Body(why): Body<Reason>,
) -> Result<Json<Value>, ApiError> {
    let line = query.line(id)?;
    blocking(&state.handle, move |handle| handle.dismiss_model(&line, version, &why.reason)).await?;
    Ok(Json(json!({"dismissed": version})))
}

/// The body of a pin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    #[serde(default = "yes")]
    pinned: bool,
}

fn yes() -> bool {
    true
}

/// `POST /api/v1/models/{instance}/{version}/pin`: keeps the version from pruning, or no longer.
pub(crate) async fn pin(
    Extract(state): Extract<State>,
    Version(id, version): Version,
    Asked(query): Asked<Query>,
    Body(Pin { pinned }): Body<Pin>,
) -> Result<Json<Value>, ApiError> {
    let line = query.line(id)?;
    blocking(&state.handle, move |handle| handle.pin_model(&line, version, pinned)).await?;
    Ok(Json(json!({"version": version, "pinned": pinned})))
}

/// The body of a pruning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keep {
    keep: usize,
}

/// `POST /api/v1/models/{instance}/prune` with `{"keep": 5}`
pub(crate) async fn prune(
    Extract(state): Extract<State>,
    Id(id): Id,
    Asked(query): Asked<Query>,
    Body(Keep { keep }): Body<Keep>,
) -> Result<Json<Value>, ApiError> {
    let line = query.line(id)?;
    let pruned = blocking(&state.handle, move |handle| handle.prune_models(&line, keep)).await?;
    Ok(Json(json!({"pruned": pruned})))
}

/// `POST /api/v1/models/{instance}/import` with a safetensors file: it becomes a challenger.
pub(crate) async fn import(
    Extract(state): Extract<State>,
    Id(id): Id,
    Asked(query): Asked<Query>,
    Octets(body): Octets,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let line = query.line(id)?;
    let version = blocking(&state.handle, move |handle| handle.import_model(&line, &body)).await?;
    Ok((StatusCode::CREATED, Json(json!({"version": version}))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_and_mistakes_are_named() {
        let query = |versions: &str, span: &str, schema: &str| Query {
            versions: Some(versions.into()),
            span: Some(span.into()),
            schema: Some(schema.into()),
            rows: None,
        };
        let fine = query("3, 5", "6h", "00000000000000ff");
        assert_eq!((fine.versions().unwrap(), fine.span_s().unwrap()), (vec![3, 5], 21_600.0));
        assert_eq!(fine.line(InstanceId::new("a")).unwrap().schema, Some(SchemaId(255)));
        let wrong = query("3,x", "2d", "zz");
        assert!(wrong.versions().is_err() && wrong.span_s().is_err());
        assert!(wrong.line(InstanceId::new("a")).is_err() && Query::default().versions().is_err());
    }
}
