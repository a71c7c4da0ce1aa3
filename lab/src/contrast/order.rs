//! What the runner is told: to probe, with its own defaults, on a real disk.

use std::path::Path;

use foretwin_core::{Order, Probes};
use foretwin_wire::order::encode;

/// The bytes of an order.
pub fn probes(directory: &Path, seed: u64) -> Vec<u8> {
    let directory = Some(directory.to_string_lossy().into_owned());
    let probes = Probes { directory, ..Probes::default() };
    let label = "foretwin-contrast/foretwin-twin".into();
    let mut bytes = Vec::new();
    encode(&Order { label, seed, probes: Some(probes), ..Order::default() }, &mut bytes);
    bytes
}
