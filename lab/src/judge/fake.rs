//! A tiny server that answers as Foretwin would, and a run to judge.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::run::Ending;
use crate::scenario::{FailureKind, Scenario};

/// Serves until the test ends; its address.
pub fn serve(answer: impl Fn(&str, &str) -> (u16, Value) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let (status, value) =
                answer(first.split(' ').nth(1).unwrap(), std::str::from_utf8(&body).unwrap());
            let text = value.to_string();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", text.len());
            reader.get_mut().write_all((head + &text).as_bytes()).unwrap();
        }
    });
    url
}

/// A prediction of memory exhaustion.
pub fn prediction(probability: f64, (p10, p50, p90): (f64, f64, Option<f64>)) -> Value {
    let disk = json!({"mode": "disk_full", "metric": "d", "used": 0, "limit": 1, "within": [], "never": 1,
                      "time_to_failure": {"p10": null, "p50": null, "p90": null}});
    let memory = json!({"mode": "memory_exhaustion", "metric": "m", "used": 1.0, "limit": 2.0, "never": 0.1,
                        "within": [[60, 0.1], [3600, 0.9]],
                        "time_to_failure": {"p10": p10, "p50": p50, "p90": p90}});
    json!({"failure_probability": probability, "horizon_s": 3600, "confidence": 0.8, "risks": [disk, memory],
           "root_causes": [{"class": "leak", "probability": 0.9}, {"class": "unknown", "probability": 0.1}],
           "recommended_actions": [{"action": "restart"}]})
}

/// A leak that starts at 1020 and dies at 1220.
pub fn ending() -> Ending {
    Ending {
        rid: "r000".into(),
        scenario: Scenario::Linear,
        seed: 1,
        duration_s: 900.0,
        mem_cap: 1 << 28,
        disk_cap: 0,
        onset: 20.0,
        designed_tte: 200.0,
        failure: FailureKind::Oom,
        event_time: 220.0,
        censored: false,
        memory_factor: 1.0,
        group: "/foretwin-lab/linear-1".into(),
        start_unix: 1000.0,
        host_limited: false,
        message: String::new(),
    }
}
