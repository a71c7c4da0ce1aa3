//! Rehearses a leak in a real group: the kernel ends it, and the time is mapped back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foretwin_core::{Demand, Dimension, FailureMode, Fidelity, InstanceId, Profile, Timestamp};
use foretwin_twin::rehearsal::{Leak, Outcome, Question, Rehearsal};
use foretwin_twin::{Activity, Owner, ProcessSubstrate, Substrate};

use super::microvm;
use super::support::{Stage, config, one, runner};

/// A flat quarter of an hour that keeps so many bytes in use.
fn profile(bytes: f64) -> Arc<Profile> {
    let demand = Demand::NONE.with(Dimension::Cpu, 0.05).with(Dimension::WorkingSet, bytes);
    let rows: Vec<_> = (0..900).map(|second| (Timestamp::from_seconds(f64::from(second)), demand)).collect();
    Arc::new(Profile::fit(&rows, 1).unwrap())
}

/// Rehearses a leak that arithmetic ends after 150 s, at twenty times its speed.
fn rehearse(mut stage: Stage, level: Fidelity) -> Outcome {
    let leak = Leak { mode: FailureMode::MemoryExhaustion, used: 1e8, rate_per_s: 2e6, limit: 4e8 };
    let question = Question {
        instance: InstanceId::new("test/app"),
        parent: String::new(),
        level,
        start: Timestamp(0),
        ahead_s: 600.0,
        speed: 20.0,
        profile: profile(1e8),
        load: 1.0,
        kept: 1.0,
        leaks: vec![leak],
        cores: None,
        latency_limit_s: None,
        memory_bytes: 4e7,
        cap_core: 0.5,
        directory: None,
        seed: 3,
    };
    let mut rehearsal = Rehearsal::new(question).unwrap();
    let (wish, start) = (one(rehearsal.spec()), Instant::now());
    loop {
        let status = stage.twins.converge(&wish, Instant::now()).remove(0);
        let mut over = false;
        // What was reported before it ended comes first.
        while let Ok(report) = stage.reports.try_recv() {
            over |= rehearsal.frame(&report.frame);
        }
        if let Activity::Ended(exit) = &status.activity {
            rehearsal.exit(exit, start.elapsed().as_secs_f64());
            over = true;
        }
        if over {
            return rehearsal.outcome(level).unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(150), "{status:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn breaks_in_time(outcome: &Outcome) {
    let broken = outcome.broken.clone().unwrap_or_else(|| panic!("it does not break: {outcome:#?}"));
    let (level, after_s) = (outcome.fidelity, broken.after_s);
    eprintln!(
        "REHEARSED in {level}: {} after {after_s:.0} s, 150 s by arithmetic: {}",
        broken.mode, broken.seen
    );
    assert_eq!(broken.mode, FailureMode::MemoryExhaustion);
    assert!((after_s - 150.0).abs() < 45.0, "{outcome:#?}");
}

#[test]
fn a_leak_is_rehearsed_in_a_process() {
    let Some(runner) = runner() else { return };
    let stage = Stage::new(|owner: &Owner, directory| {
        let substrate = ProcessSubstrate::new(owner, &config(&runner), directory).unwrap();
        vec![Box::new(substrate) as Box<dyn Substrate>]
    });
    breaks_in_time(&rehearse(stage, Fidelity::Process));
}

#[test]
fn a_leak_is_rehearsed_in_a_microvm() {
    let Some(stage) = microvm::stage(false) else { return };
    breaks_in_time(&rehearse(stage, Fidelity::Microvm));
}
