//! Telemetry of agents: an envelope of records, acknowledged once it is durable.

use axum::Json;
use axum::extract::State as Extract;
use serde_json::{Value, json};

use crate::State;
use crate::blocking::blocking;
use crate::error::ApiError;
use crate::extract::Octets;

/// Most bytes of one request.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// `POST /api/v1/ingest`: 200 means that every record was synced to disk. 429 and 503 ask to send the same again later;
/// what was taken of it already is known by its origin then.
pub(crate) async fn ingest(
    Extract(state): Extract<State>,
    Octets(body): Octets,
) -> Result<Json<Value>, ApiError> {
    let count = blocking(&state.handle, move |handle| {
        let records = foretwin_wire::envelope::decode(&body)?;
        let count = records.len();
        handle.ingest(records).map(|()| count)
    });
    Ok(Json(json!({"records": count.await?})))
}
