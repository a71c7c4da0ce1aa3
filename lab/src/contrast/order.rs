//! What the runner is told: to probe.

use std::path::Path;

/// The bytes of an order.
pub fn probes(directory: &Path) -> Vec<u8> {
    directory.as_os_str().as_encoded_bytes().to_vec()
}
