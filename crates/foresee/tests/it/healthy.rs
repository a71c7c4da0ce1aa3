//! Half an hour of ordinary life raises nothing.

use crate::workload::{HEALTHY, healthy, watch};

#[test]
fn ordinary_life_raises_no_risk() {
    let mut alarms = Vec::new();
    for (name, start) in HEALTHY {
        let mut highest = (0.0, 0, 0.0);
        for seed in 0..12 {
            let (death, said) = watch(healthy(name, seed), start, 1800, 5);
            assert!(death.is_none(), "{name} {seed} is not healthy");
            for (t, risk) in said {
                if risk.at(86_400.0) > highest.0 {
                    highest = (risk.at(86_400.0), seed, t);
                }
            }
        }
        println!("{name:12} {:.3} by seed {} at {}", highest.0, highest.1, highest.2);
        if highest.0 > 0.5 {
            alarms.push((name, highest));
        }
    }
    assert!(alarms.is_empty(), "{alarms:?}");
}
