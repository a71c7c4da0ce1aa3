//! Workloads that die are announced in time, and die within the stated interval about as often as it says.

use crate::workload::{FAILING, failing, watch};

#[test]
fn deaths_are_announced_and_intervals_hold() {
    let (mut all_inside, mut all_asked) = (0, 0);
    let mut late = Vec::new();
    for name in FAILING {
        let (mut sure, mut inside, mut early, mut open, mut asked, mut runs) = (0, 0, 0, 0, 0, 0);
        let (mut width, mut widths) = (0.0, 0);
        for seed in 0..20 {
            let rate = 0.7 + 0.6 * (seed as f64 / 20.0);
            let (death, said) = watch(failing(name, rate, seed), 15.0, 3000, 5);
            let death = death.expect("it leaks");
            runs += 1;
            if std::env::var("DBG").is_ok() { let r = said.iter().find(|(t, _)| (60.0..90.0).contains(&(death - t))); println!("DEATH {name} {seed} {death} {r:?}"); }
            sure += usize::from(said.iter().any(|(t, risk)| (60.0..90.0).contains(&(death - t)) && risk.at(3600.0) > 0.9));
            for (t, risk) in said.iter().filter(|(t, _)| (60.0..200.0).contains(&(death - t)) && *t > 30.0) {
                let left = death - t;
                let quantiles = risk.time_to_failure;
                asked += 1;
                let low = quantiles.p10.unwrap_or(f64::INFINITY);
                let high = quantiles.p90.unwrap_or(f64::INFINITY);
                inside += usize::from(low <= left && left <= high);
                early += usize::from(left < low);
                open += usize::from(high.is_infinite() && low <= left);
                if high.is_finite() {
                    width += (high - low) / left;
                    widths += 1;
                }
            }
        }
        println!(
            "{name:12} above 0.9 a minute before {sure}/{runs}; inside {:.2}, before {:.2}, open {:.2}, width {:.2}",
            inside as f64 / asked as f64,
            early as f64 / asked as f64,
            open as f64 / asked as f64,
            width / f64::from(widths)
        );
        all_inside += inside;
        all_asked += asked;
        if sure * 10 < runs * if name == "steps" || name == "bursty" { 5 } else { 9 } {
            late.push(name);
        }
    }
    let coverage = all_inside as f64 / all_asked as f64;
    println!("coverage {coverage:.3}");
    assert!(late.is_empty(), "{late:?}");
    assert!((0.7..0.97).contains(&coverage), "{coverage}");
}
