//! Workloads that die are announced in time, and die within the stated interval about as often as it says.

use foretwin_core::Risk;

use crate::workload::{FAILING, failing, watch};

const RUNS: u64 = 20;

/// Workloads and the least share of runs that must be above 0.9 a minute before the end: what is even is told from a
/// start by then, what comes in bursts and steps often is not.
fn least(name: &str) -> f64 {
    match name {
        "linear" | "delayed" => 0.85,
        "steps" => 0.2,
        "sawtooth" => 0.3,
        _ => 0.5,
    }
}

fn inside(risk: &Risk, left: f64) -> bool {
    let quantiles = risk.time_to_failure;
    quantiles.p10.unwrap_or(f64::INFINITY) <= left && left <= quantiles.p90.unwrap_or(f64::INFINITY)
}

#[test]
fn deaths_are_announced_and_intervals_hold() {
    let (mut covered, mut asked, mut late) = (0, 0, Vec::new());
    for name in FAILING {
        let (mut sure, mut near, mut near_asked, mut far, mut far_asked) = (0, 0, 0, 0, 0);
        for seed in 0..RUNS {
            let rate = 0.7 + 0.6 * seed as f64 / RUNS as f64;
            let (death, said) = watch(failing(name, rate, seed), 15.0, 3000, 5);
            let death = death.expect("it leaks");
            let left =
                |from: f64, to: f64| said.iter().filter(move |(t, _)| (from..to).contains(&(death - t)));
            sure += u32::from(left(60.0, 90.0).any(|(_, risk)| risk.at(3600.0) > 0.9));
            for (t, risk) in left(20.0, 80.0) {
                near += u32::from(inside(risk, death - t));
                near_asked += 1;
            }
            for (t, risk) in left(80.0, 200.0).filter(|(t, _)| *t > 30.0) {
                far += u32::from(inside(risk, death - t));
                far_asked += 1;
            }
        }
        let share = |part: u32, of: u32| f64::from(part) / f64::from(of);
        println!(
            "{name:12} above 0.9 a minute before {sure}/{RUNS}; inside {:.2} 20-80 s before, {:.2} 80-200 s before",
            share(near, near_asked),
            share(far, far_asked)
        );
        (covered, asked) = (covered + near + far, asked + near_asked + far_asked);
        if f64::from(sure) < least(name) * RUNS as f64 {
            late.push(name);
        }
    }
    let coverage = f64::from(covered) / f64::from(asked);
    println!("coverage {coverage:.3}");
    assert!(late.is_empty(), "{late:?}");
    assert!((0.7..0.95).contains(&coverage), "{coverage}");
}
