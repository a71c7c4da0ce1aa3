//! Forecasts over HTTP.

use super::server::server;

#[test]
fn forecasts_have_bands_and_say_by_which_way() {
    let server = server();
    let level = |n: usize| 300.0 + 60.0 * (n as f64 / 30.0).sin() + ((n * 7919) % 13) as f64;
    assert_eq!(server.ingest("forecast", 900, level).status, 200);
    let path = "/api/v1/instances/forecast/forecasts";
    let told = || server.get(&format!("{path}?metric=used&horizon=60s&points=30")).json();
    server.wait_until("learned", || told()["by"][0]["learned_at"].is_i64());
    let view = told();
    let used = &view["metrics"][0];
    assert!(used["metric"] == "used" && used["held"] == false && used["unit"] == "By", "{view}");
    let column = |key: &str| -> Vec<f64> {
        used[key].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let [p05, p10, p50, p90, p95] = ["p05", "p10", "p50", "p90", "p95"].map(column);
    assert!((0..30).all(|n| p05[n] <= p10[n] && p90[n] <= p95[n]), "{used}");
    assert_eq!((p10.len(), column("at_us").len()), (30, 30));
    assert!((0..30).all(|n| p10[n] <= p50[n] && p50[n] <= p90[n] && p10[n] < p90[n]), "{used}");
    let first = &used["choices"][0];
    assert!(first["lead_s"] == 1.0 && first["rms"].is_f64(), "{first}");
    assert!(!first["method"].is_null() && !first["beaten"].as_array().unwrap().is_empty(), "{first}");

    let all = server.get(path).json();
    assert!(all["horizon_s"] == 3600.0 && all["metrics"].as_array().unwrap().len() == 1, "{all}");
    for (bad, status, says) in [
        ("/api/v1/instances/nobody/forecasts".to_owned(), 404, "unknown_instance"),
        (format!("{path}?metric=nothing"), 404, "unknown_metric"),
        (format!("{path}?horizon=soon"), 400, "horizon"),
        (format!("{path}?points=x"), 400, "points"),
    ] {
        let answer = server.get(&bad);
        assert!(answer.status == status && answer.body.contains(says), "{bad}: {}", answer.body);
        assert!(answer.json()["error"]["code"].is_string(), "{}", answer.body);
    }
}
