//! Writes an order's bytes: `order '{"probes": {"directory": "/var/tmp"}}' > order.bin`, the text as in `core::Order`; a
//! second argument names a profile, in JSON, to replay.

use std::io::Write;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let text = arguments.next().unwrap_or("{}".into());
    let mut order: foretwin_core::Order = serde_json::from_str(&text)?;
    if let (Some(path), Some(replay)) = (arguments.next(), &mut order.replay) {
        replay.profile = Arc::new(serde_json::from_str(&std::fs::read_to_string(path)?)?);
    }
    let mut bytes = Vec::new();
    foretwin_wire::order::encode(&order, &mut bytes);
    Ok(std::io::stdout().write_all(&bytes)?)
}
