//! Prometheus remote read: samples of series as they are stored.

use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use foretwin_engine::Handle;
use foretwin_query::{Error, Matcher, Need, Relation, Source as _};
use foretwin_wire::compress;
use foretwin_wire::remote::{self, ReadQuery, ReadSeries};

use super::answer::Failure;
use super::in_turn;
use crate::State;

/// Most bytes of a request, unpacked, and of an answer.
const MOST_REQUEST: usize = 1 << 20;
const MOST_SAMPLES: usize = 5_000_000;

/// `POST /api/v1/read`: snappy, not streamed.
pub(super) async fn read(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let is = |name, value: &str| headers.get(name).is_some_and(|known| known.as_bytes() == value.as_bytes());
    if !is(header::CONTENT_ENCODING, "snappy") || !is(header::CONTENT_TYPE, "application/x-protobuf") {
        return Err(Failure::bad("body", "expected application/x-protobuf, packed by snappy"));
    }
    let wrong = |error: foretwin_wire::Error| Failure::bad("body", error.to_string());
    let bytes = compress::unsnap(&body, MOST_REQUEST).map_err(wrong)?;
    let queries = remote::decode_read(&bytes).map_err(wrong)?;
    let packed = in_turn(&state, move |handle| {
        let mut left = MOST_SAMPLES;
        let results =
            queries.iter().map(|query| result(handle, query, &mut left)).collect::<Result<Vec<_>, _>>()?;
        compress::snap(&remote::encode_read(&results)).map_err(|error| Error::Execution(error.to_string()))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((StatusCode::OK, kind, packed.await?).into_response())
}

fn result(handle: &Handle, query: &ReadQuery, left: &mut usize) -> Result<Vec<ReadSeries>, Error> {
    let matcher = |(name, relation, value): &(String, remote::Relation, String)| {
        let relation = match relation {
            remote::Relation::Equal => Relation::Equal,
            remote::Relation::NotEqual => Relation::NotEqual,
            remote::Relation::Matches => Relation::Matches,
            remote::Relation::MatchesNot => Relation::MatchesNot,
        };
        Matcher::new(name, relation, value).map_err(Error::Execution)
    };
    let matchers = query.matchers.iter().map(matcher).collect::<Result<Vec<_>, _>>()?;
    let need = Need { matchers, from_ms: query.from_ms, to_ms: query.to_ms, resolution_ms: 1, newest: false };
    let mut found = Vec::new();
    for series in handle.read(&need)? {
        let within = |(at, _): &(i64, f64)| (query.from_ms..=query.to_ms).contains(at);
        let points: Vec<(i64, f64)> = series.points.into_iter().filter(within).collect();
        *left = left.checked_sub(points.len()).ok_or_else(|| {
            Error::TooMuch(format!(
                "more than {MOST_SAMPLES} samples; read less time or fewer series at once"
            ))
        })?;
        let labels = series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        found.push(ReadSeries { labels, points });
    }
    Ok(found)
}
