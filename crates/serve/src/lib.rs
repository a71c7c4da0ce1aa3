//! HTTP, live stream and page of a node: everything a person or another program sees of it.
//!
//! A request comes through [`listen`] (bounds on connections, time and size), then through layers: headers of safety, a
//! bound on requests and a deadline, the names of loopback, who may do what, the audit of changes. Routes under `/api/v1`
//! answer JSON; errors have one shape; `/api/v1/openapi.json` says all of it. Reading history blocks, so it runs on the
//! blocking pool. This room sees the nouns, the wire and the node's [`Handle`], never a stage.

mod access;
mod alerts;
mod api;
mod audit;
mod blocking;
mod config;
mod error;
mod extract;
mod fault;
mod fleet;
mod forecasts;
mod gateway;
mod health;
mod host;
mod ingest;
mod listen;
mod live;
mod models;
mod openapi;
mod page;
mod paging;
mod prometheus;
mod protect;
mod records;
mod reliability;
mod reports;
mod routes;
mod stamp;
mod surface;
mod tasks;
mod twins;
mod whatif;
mod when;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use foretwin_engine::Handle;

pub use access::{Scope, Token, Tokens};
pub use config::{Config, Limits, Tls};
pub use fault::Error;
use routes::Routes;
use surface::Shared;
pub use surface::{Surface, serve};

/// Most bytes of a request's body, but for telemetry.
const MOST_BYTES: usize = 64 << 10;

/// The layers that every request passes; the last is the first that it meets.
fn router(state: State) -> Router {
    routes()
        .into_router()
        .fallback(page::unknown)
        .method_not_allowed_fallback(page::other_method)
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(from_fn_with_state(state.clone(), audit::witness))
        .layer(from_fn_with_state(state.clone(), access::guard))
        .layer(from_fn_with_state(state.clone(), host::ours))
        .layer(from_fn_with_state(state.clone(), protect::bounded))
        .layer(from_fn_with_state(state.clone(), protect::sealed))
        .with_state(state)
}

/// All routes.
fn routes() -> Routes {
    Routes::new()
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/instances", get(api::instances))
        .route("/api/v1/fleet/history", get(fleet::history))
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
        .route("/api/v1/stream", get(live::stream))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/tasks", get(tasks::list).post(tasks::begin))
        .route("/api/v1/tasks/{id}", get(tasks::show).delete(tasks::cancel))
        .route("/api/v1/openapi.json", get(openapi::show))
        .merge(telemetry_routes())
        .merge(model_routes())
        .merge(report_routes())
        .merge(twin_routes())
        .merge(gateway::routes())
        .merge(prometheus::routes())
        .route("/", get(page::index))
        .route("/{file}", get(page::asset))
}

/// Routes that telemetry comes in by.
fn telemetry_routes() -> Routes {
    Routes::new()
        .route("/api/v1/ingest", post(ingest::ingest))
        .layer(DefaultBodyLimit::max(ingest::MOST_BYTES))
}

/// Routes of alerts, and of what operators record.
fn alert_routes() -> Routes {
    Routes::new()
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/{id}", get(alerts::show))
        .route("/api/v1/alerts/{id}/feedback", post(alerts::feedback))
        .route("/api/v1/failures", get(records::failures).post(api::failure))
        .route("/api/v1/maintenance", get(records::maintenance).post(api::maintenance))
        .route("/api/v1/maintenance/{id}", delete(records::end_maintenance))
}

/// Routes of models.
fn model_routes() -> Routes {
    let import = post(models::import).layer(DefaultBodyLimit::max(models::MOST_BYTES));
    Routes::new()
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
fn report_routes() -> Routes {
    let submit = get(reports::list).post(reports::submit);
    Routes::new()
        .route("/api/v1/reports", submit.layer(DefaultBodyLimit::max(reports::MOST_BYTES)))
        .route("/api/v1/reports/{id}", get(reports::show))
        .route("/api/v1/issues", get(reports::issues))
}

/// Routes of twins.
fn twin_routes() -> Routes {
    Routes::new()
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
    /// What admits, bounds and remembers requests.
    shared: std::sync::Arc<Shared>,
}
