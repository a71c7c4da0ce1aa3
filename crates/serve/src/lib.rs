//! HTTP, live stream and page of a node: everything a person or another program sees of it.
//!
//! Routes under `/api/v1` answer JSON; errors have one shape. Reading history blocks, so it runs on the blocking pool.
//! This room sees the nouns, the wire and the node's [`Handle`], never a stage.

mod alerts;
mod api;
mod blocking;
mod config;
mod error;
mod extract;
mod forecasts;
mod gateway;
mod health;
mod host;
mod ingest;
mod live;
mod models;
mod page;
mod prometheus;
mod records;
mod reliability;
mod reports;
mod twins;
mod whatif;
mod when;

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use foretwin_engine::Handle;
use tokio::net::TcpListener;

pub use config::Config;

/// Most bytes of a request's body, but for telemetry.
const MOST_BYTES: usize = 64 << 10;
/// How long requests under way may hold the stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves a node until `stop` is done; requests under way are finished if that takes no more than ten seconds, live
/// streams are ended.
///
/// # Errors
/// If accepting connections fails for good.
pub async fn serve(
    listener: TcpListener,
    handle: Handle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let loopback = listener.local_addr()?.ip().to_canonical().is_loopback();
    let (ended, ending) = tokio::sync::watch::channel(false);
    let mut stopping = ending.clone();
    let stop = async move {
        stop.await;
        // Live streams would otherwise hold the connection, and so the stop, for as long as someone watches.
        let _ = ended.send(true);
    };
    let overdue = async move {
        // An error means that the server is gone, which ends the other branch.
        let _ = stopping.wait_for(|&ended| ended).await;
        tokio::time::sleep(GRACE).await;
    };
    let router = router(State { handle, ending, loopback });
    tokio::select! {
        done = axum::serve(listener, router).with_graceful_shutdown(stop) => done,
        () = overdue => Ok(()),
    }
}

/// All routes.
fn router(state: State) -> Router {
    Router::new()
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/instances", get(api::instances))
        .route("/api/v1/instances/{id}", get(api::instance))
        .route("/api/v1/instances/{id}/metrics", get(api::metrics))
        .route("/api/v1/instances/{id}/window", get(api::window))
        .route("/api/v1/instances/{id}/risks", get(api::risks))
        .route("/api/v1/instances/{id}/drift", get(api::drift))
        .route("/api/v1/instances/{id}/forecasts", get(forecasts::forecasts))
        .route("/api/v1/instances/{id}/diagnosis", get(api::diagnosis))
        .route("/api/v1/twin/predict", post(api::predict))
        .route("/api/v1/twin/whatif", post(whatif::what_if))
        .route("/api/v1/reliability", get(reliability::reliability))
        .merge(alert_routes())
        .route("/api/v1/ingest", post(ingest::ingest).layer(DefaultBodyLimit::max(ingest::MOST_BYTES)))
        .route("/api/v1/stream", get(live::stream))
        .merge(model_routes())
        .merge(report_routes())
        .merge(twin_routes())
        .merge(gateway::routes())
        .merge(prometheus::routes())
        .route("/", get(page::index))
        .route("/{file}", get(page::asset))
        .fallback(page::unknown)
        .method_not_allowed_fallback(page::other_method)
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(from_fn_with_state(state.clone(), host::ours))
        .with_state(state)
}

/// Routes of alerts, and of what operators record.
fn alert_routes() -> Router<State> {
    Router::new()
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/{id}", get(alerts::show))
        .route("/api/v1/alerts/{id}/feedback", post(alerts::feedback))
        .route("/api/v1/failures", get(records::failures).post(api::failure))
        .route("/api/v1/maintenance", get(records::maintenance).post(api::maintenance))
        .route("/api/v1/maintenance/{id}", delete(records::end_maintenance))
}

/// Routes of models.
fn model_routes() -> Router<State> {
    let import = post(models::import).layer(DefaultBodyLimit::max(models::MOST_BYTES));
    Router::new()
        .route("/api/v1/models/{id}", get(models::list))
        .route("/api/v1/models/{id}/compare", get(models::compare))
        .route("/api/v1/models/{id}/rollback", post(models::rollback))
        .route("/api/v1/models/{id}/import", import)
        .route("/api/v1/models/{id}/prune", post(models::prune))
        .route("/api/v1/models/{id}/{version}", get(models::show))
        .route("/api/v1/models/{id}/{version}/promote", post(models::promote))
        .route("/api/v1/models/{id}/{version}/reference", post(models::reference))
        .route("/api/v1/models/{id}/{version}/dismiss", post(models::dismiss))
        .route("/api/v1/models/{id}/{version}/pin", post(models::pin))
        .route("/api/v1/models/{id}/{version}/export", get(models::export))
        .route("/api/v1/models/{id}/{version}/vectors", get(models::vectors))
}

/// Routes of reports.
fn report_routes() -> Router<State> {
    let submit = get(reports::list).post(reports::submit);
    Router::new()
        .route("/api/v1/reports", submit.layer(DefaultBodyLimit::max(reports::MOST_BYTES)))
        .route("/api/v1/reports/{id}", get(reports::show))
        .route("/api/v1/issues", get(reports::issues))
}

/// Routes of twins.
fn twin_routes() -> Router<State> {
    Router::new()
        .route("/api/v1/twins", get(twins::all))
        .route("/api/v1/twins/{id}", get(twins::one))
        .route("/api/v1/twins/{id}/replay", post(twins::replay))
        .route("/api/v1/twins/{id}/rehearsals", post(twins::rehearse))
        .route("/api/v1/rehearsals/{number}", get(twins::rehearsal))
        .route("/api/v1/instances/{id}/profile", get(twins::profile))
        .route("/api/v1/instances/{id}/contrast", get(twins::contrast))
}

/// What every request can reach.
#[derive(Clone)]
struct State {
    handle: Handle,
    /// Turns true when the server stops.
    ending: tokio::sync::watch::Receiver<bool>,
    /// Only this machine can reach the listener.
    loopback: bool,
}
