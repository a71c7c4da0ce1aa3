//! Questions to the node, off the threads that answer: they wait for locks or read from disk.

use foretwin_engine::{Error, Handle};

use crate::error::ApiError;

/// Runs `work` on the blocking pool.
pub(crate) async fn blocking<T: Send + 'static>(
    handle: &Handle,
    work: impl FnOnce(&Handle) -> Result<T, Error> + Send + 'static,
) -> Result<T, ApiError> {
    let handle = handle.clone();
    let done = tokio::task::spawn_blocking(move || work(&handle)).await;
    Ok(done.map_err(|error| ApiError::internal(format!("the answer broke off: {error}")))??)
}
