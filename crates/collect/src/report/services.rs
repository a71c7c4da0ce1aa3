//! Units of the service manager: what failed, and what restarts.

use serde_json::{Value, json};

use super::tree::{Tree, share};

const PROPERTIES: &str = "--property=Id,ActiveState,SubState,Result,NRestarts";

pub(super) fn section(tree: &Tree) -> Value {
    let Some(state) = tree.ask("systemctl", &["is-system-running"]).map(|text| text.trim().to_owned()) else {
        return json!({"manager": Value::Null, "state": Value::Null, "failed": [], "units": []});
    };
    if state == "offline" || state == "unknown" {
        return json!({"manager": Value::Null, "state": state, "failed": [], "units": []});
    }
    let uptime = tree.line("/proc/uptime").and_then(|line| line.split(' ').next()?.parse::<f64>().ok());
    let hours = uptime.unwrap_or(0.0) / 3600.0;
    let text =
        tree.ask("systemctl", &["show", PROPERTIES, "*.service", "*.mount", "*.timer"]).unwrap_or_default();
    let units = units(&text, hours);
    let failed: Vec<Value> = units.iter().filter(|unit| unit["state"] == "failed").cloned().collect();
    json!({"manager": "systemd", "state": state, "failed": failed, "units": units})
}

/// Blocks of `Key=value` lines with an empty line between. Restarts are counted since the unit was loaded, which is
/// mostly since boot, `hours` ago.
fn units(text: &str, hours: f64) -> Vec<Value> {
    let unit = |block: &str| {
        let of = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let restarts: Option<f64> = of("NRestarts").and_then(|count| count.parse().ok());
        Some(json!({
            "name": of("Id")?,
            "state": of("ActiveState")?,
            "sub_state": of("SubState"),
            "result": of("Result"),
            "restarts": restarts,
            "restarts_per_h": restarts.and_then(|count| share(count, hours)),
        }))
    };
    text.split("\n\n").filter_map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_from_blocks() {
        let text = "Id=a.service\nActiveState=failed\nSubState=failed\nResult=exit-code\nNRestarts=12\n\nId=b.mount\nActiveState=active\nSubState=mounted\nResult=success\n\n";
        let told = units(text, 2.0);
        assert_eq!((told.len(), &told[0]["restarts_per_h"]), (2, &json!(6.0)));
        assert_eq!((&told[0]["state"], &told[1]["restarts"]), (&json!("failed"), &Value::Null));
    }
}
