//! Telemetry of agents: an envelope of records, acknowledged once it is durable.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Extract;
use serde_json::{Value, json};

use crate::State;
use crate::error::ApiError;

/// Most bytes of one request.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// `POST /api/v1/ingest`: 200 means that every record was synced to disk. 429 asks to come back later; nothing of the
/// request was taken then.
pub(crate) async fn ingest(Extract(state): Extract<State>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let handle = state.handle.clone();
    let taken = tokio::task::spawn_blocking(move || -> Result<usize, foretwin_engine::Error> {
        let records = foretwin_wire::envelope::decode(&body)?;
        let count = records.len();
        handle.ingest(records)?;
        Ok(count)
    });
    let count = taken.await.map_err(|error| ApiError::internal(format!("ingest broke off: {error}")))??;
    Ok(Json(json!({"records": count})))
}
