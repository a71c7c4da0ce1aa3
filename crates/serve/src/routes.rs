//! A router that remembers its paths, so that the document of the API can be held against it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::MethodRouter;

use crate::State;

/// Routes on their way to a router.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<State>,
    paths: Vec<&'static str>,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One more path.
    pub(crate) fn route(mut self, path: &'static str, methods: MethodRouter<State>) -> Self {
        self.paths.push(path);
        Self { router: self.router.route(path, methods), paths: self.paths }
    }

    /// Those of another part.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.paths.extend(other.paths);
        Self { router: self.router.merge(other.router), paths: self.paths }
    }

    /// The most bytes of a body, for all routes so far.
    pub(crate) fn layer(self, limit: DefaultBodyLimit) -> Self {
        Self { router: self.router.layer(limit), paths: self.paths }
    }

    pub(crate) fn into_router(self) -> Router<State> {
        self.router
    }

    /// Every path, as it was written.
    #[cfg(test)]
    pub(crate) fn paths(&self) -> &[&'static str] {
        &self.paths
    }
}
