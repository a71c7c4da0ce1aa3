//! HTTP, live stream and page of a node: everything a person or another program sees of it.
//!
//! Routes under `/api/v1` answer JSON; errors have one shape. Reading history blocks, so it runs on the blocking pool.
//! This room sees the nouns, the wire and the node's [`Handle`], never a stage.

mod api;
mod config;
mod error;
mod health;
mod ingest;
mod live;
mod page;
mod when;

use std::future::Future;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use foretwin_engine::Handle;
use tokio::net::TcpListener;

pub use config::Config;

/// Serves a node until `stop` is done; requests under way are finished, live streams are ended.
///
/// # Errors
/// If accepting connections fails for good.
pub async fn serve(
    listener: TcpListener,
    handle: Handle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (ended, ending) = tokio::sync::watch::channel(false);
    let stop = async move {
        stop.await;
        // Live streams would otherwise hold the connection, and so the stop, for as long as someone watches.
        let _ = ended.send(true);
    };
    axum::serve(listener, router(handle, ending)).with_graceful_shutdown(stop).await
}

/// All routes.
fn router(handle: Handle, ending: tokio::sync::watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/instances", get(api::instances))
        .route("/api/v1/instances/{id}", get(api::instance))
        .route("/api/v1/instances/{id}/metrics", get(api::metrics))
        .route("/api/v1/instances/{id}/window", get(api::window))
        .route("/api/v1/instances/{id}/risks", get(api::risks))
        .route("/api/v1/twin/predict", post(api::predict))
        .route("/api/v1/failures", post(api::failure))
        .route("/api/v1/ingest", post(ingest::ingest))
        .route("/api/v1/stream", get(live::stream))
        .route("/", get(page::index))
        .route("/{file}", get(page::asset))
        .fallback(page::unknown)
        .layer(DefaultBodyLimit::max(ingest::MOST_BYTES))
        .with_state(State { handle, ending })
}

/// What every request can reach.
#[derive(Clone)]
struct State {
    handle: Handle,
    /// Turns true when the server stops.
    ending: tokio::sync::watch::Receiver<bool>,
}
