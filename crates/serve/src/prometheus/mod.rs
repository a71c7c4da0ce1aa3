//! The query API of Prometheus, over stored telemetry and Foretwin's outputs: what Grafana, promtool and a federating
//! Prometheus ask.
//!
//! Answers and errors have the shape of <https://prometheus.io/docs/prometheus/latest/querying/api/>, not ours, because
//! those programs read them.

mod answer;
mod moment;
mod parameters;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{DefaultBodyLimit, Path, State as Extract};
use axum::response::Response;
use axum::routing::{get, post};
use foretwin_engine::Handle;
use foretwin_query::{
    Answer, Error, Labels, Limits, Matcher, NAME, Source as _, Span, evaluate, parse, parse_selector,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::State;
use crate::routes::Routes;
use answer::Failure;
use parameters::Parameters;

/// Most points of one series, as in Prometheus.
const MOST_POINTS: i64 = 11_000;
/// Samples that one query may look at.
const LIMITS: Limits = Limits { samples: 50_000_000 };
/// Queries that are evaluated at once; others wait.
static TURNS: Semaphore = Semaphore::const_new(4);
/// Most bytes of a form.
const MOST_FORM: usize = 1 << 20;

/// Routes of queries.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/api/v1/query", get(instant).post(instant))
        .route("/api/v1/query_range", get(range).post(range))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/labels", get(labels).post(labels))
        .route("/api/v1/label/{name}/values", get(values))
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/query_exemplars", get(exemplars).post(exemplars))
        .route("/api/v1/status/buildinfo", get(build_info))
        .route("/api/v1/read", post(read::read))
        .route("/federate", get(federate))
        .layer(DefaultBodyLimit::max(MOST_FORM))
}

/// Runs a query off the threads that answer, when its turn has come.
async fn in_turn<T: Send + 'static>(
    state: &State,
    work: impl FnOnce(&Handle) -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    // It is never closed.
    let turn = TURNS.acquire().await.map_err(|_| Failure::internal("the server stops"))?;
    let handle = state.handle.clone();
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&handle);
        drop(turn);
        done
    });
    Ok(done.await.map_err(|error| Failure::internal(format!("the answer broke off: {error}")))??)
}

/// `query?query=..&time=..`
async fn instant(Extract(state): Extract<State>, asked: Parameters) -> Result<Response, Failure> {
    let expression = parse(asked.required("query")?)?;
    let now_ms = state.handle.now().0 / 1000;
    let at = asked.moment("time")?.unwrap_or(now_ms);
    let found = in_turn(&state, move |handle| evaluate(&expression, Span::at(at), handle, LIMITS)).await?;
    Ok(answer::data(&found))
}

/// `query_range?query=..&start=..&end=..&step=..`
async fn range(Extract(state): Extract<State>, asked: Parameters) -> Result<Response, Failure> {
    let missing = |name: &'static str| {
        move || Failure::bad(name, "must be given: seconds since the epoch, or RFC 3339")
    };
    let start_ms = asked.moment("start")?.ok_or_else(missing("start"))?;
    let end_ms = asked.moment("end")?.ok_or_else(missing("end"))?;
    let step_ms = asked.step("step")?;
    if end_ms < start_ms {
        return Err(Failure::bad("end", "end timestamp must not be before start time"));
    }
    if (end_ms - start_ms) / step_ms > MOST_POINTS {
        return Err(Failure::bad(
            "step",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let expression = parse(asked.required("query")?)?;
    let span = Span { start_ms, end_ms, step_ms };
    let found = in_turn(&state, move |handle| over(&expression, span, handle)).await?;
    Ok(answer::data(&found))
}

/// A range of one moment is a matrix, too.
fn over(expression: &foretwin_query::Expression, span: Span, handle: &Handle) -> Result<Answer, Error> {
    Ok(match evaluate(expression, span, handle, LIMITS)? {
        Answer::Vector(series) => Answer::Matrix(series),
        Answer::Scalar(points) => {
            Answer::Matrix(vec![foretwin_query::Series { labels: Labels::default(), points }])
        }
        other => other,
    })
}

/// Selectors of `match[]`.
fn selectors(asked: &Parameters) -> Result<Vec<Vec<Matcher>>, Failure> {
    Ok(asked.all("match[]").map(parse_selector).collect::<Result<_, _>>()?)
}

/// `series?match[]=..`
async fn series(Extract(state): Extract<State>, asked: Parameters) -> Result<Response, Failure> {
    let selectors = selectors(&asked)?;
    if selectors.is_empty() {
        return Err(Failure::bad("match[]", "no match[] parameter provided"));
    }
    let sets = in_turn(&state, move |handle| handle.label_sets(&selectors)).await?;
    Ok(answer::success(&sets.iter().map(answer::labels).collect()))
}

/// `labels`
async fn labels(Extract(state): Extract<State>, asked: Parameters) -> Result<Response, Failure> {
    let selectors = selectors(&asked)?;
    let sets = in_turn(&state, move |handle| handle.label_sets(&selectors)).await?;
    let names: BTreeSet<&str> = sets.iter().flat_map(Labels::iter).map(|(name, _)| name).collect();
    Ok(answer::success(&json!(names)))
}

/// `label/{name}/values`
async fn values(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    asked: Parameters,
) -> Result<Response, Failure> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(legal) {
        return Err(Failure::bad("name", format!("invalid label name: {name:?}")));
    }
    let selectors = selectors(&asked)?;
    let sets = in_turn(&state, move |handle| handle.label_sets(&selectors)).await?;
    let values: BTreeSet<&str> =
        sets.iter().map(|labels| labels.get(&name)).filter(|value| !value.is_empty()).collect();
    Ok(answer::success(&json!(values)))
}

/// `metadata?metric=..`
async fn metadata(Extract(state): Extract<State>, asked: Parameters) -> Result<Response, Failure> {
    let only = asked.one("metric").map(str::to_owned);
    let names = in_turn(&state, |handle| Ok(handle.metric_names())).await?;
    let kept = names.into_iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name));
    let says: BTreeMap<String, Value> = kept
        .map(|(name, says)| (name, json!([{"type": says.kind, "unit": says.unit, "help": ""}])))
        .collect();
    Ok(answer::success(&json!(says)))
}

/// `query_exemplars`: there are none.
async fn exemplars() -> Response {
    answer::success(&json!([]))
}

/// `status/buildinfo`: by the version Grafana knows what it may ask.
async fn build_info() -> Json<Value> {
    let version = "2.42.0";
    let revision = concat!("foretwin-", env!("CARGO_PKG_VERSION"));
    Json(json!({"status": "success", "data": {
        "version": version, "revision": revision, "branch": "foretwin", "buildUser": "", "buildDate": "", "goVersion": ""
    }}))
}

/// `/federate?match[]=..`: the latest samples as text, for a Prometheus that scrapes them.
async fn federate(Extract(state): Extract<State>, asked: Parameters) -> Result<Response, Failure> {
    let selectors = selectors(&asked)?;
    let at = state.handle.now().0 / 1000;
    let page = in_turn(&state, move |handle| {
        let mut latest: BTreeMap<Labels, (i64, f64)> = BTreeMap::new();
        for matchers in selectors {
            let need = foretwin_query::Need {
                matchers,
                from_ms: at - 300_000,
                to_ms: at,
                resolution_ms: 1,
                newest: true,
            };
            for series in handle.read(&need)? {
                if let Some(&last) =
                    series.points.last().filter(|(_, value)| !foretwin_query::is_stale(*value))
                {
                    latest.insert(series.labels, last);
                }
            }
        }
        Ok(answer::exposition(&latest))
    });
    Ok(answer::text(page.await?))
}

/// The name of a series, for text.
fn name(labels: &Labels) -> &str {
    labels.get(NAME)
}
