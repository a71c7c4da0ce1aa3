//! Twins in microVMs: booted, heard, paused, commanded, and gone without a trace.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use foretwin_core::Fidelity;
use foretwin_core::probe::Field;
use foretwin_twin::{Activity, Config, Desired, Error, MicrovmSubstrate, Owner, Substrate};

use super::support::{Stage, config, one, print_cost, probes, runner, skip, traces};

/// A stage, if there are QEMU, a kernel (this machine's or FORETWIN_KERNEL) and a static runner.
pub fn stage(qemu_icount: bool) -> Option<Stage> {
    let runner = runner()?;
    let kernel = std::env::var_os("FORETWIN_KERNEL").map(PathBuf::from);
    let config = Config { kernel, qemu_icount, ..config(&runner) };
    let mut missing = None;
    let stage = Stage::new(|owner: &Owner, directory| {
        let mut substrate = MicrovmSubstrate::new(owner, &config, directory).unwrap();
        match substrate.check() {
            Ok(()) => vec![Box::new(substrate) as Box<dyn Substrate>],
            Err(error @ Error::Missing { .. }) => {
                missing = Some(error.to_string());
                Vec::new()
            }
            Err(error) => panic!("{error:?}"),
        }
    });
    match missing {
        Some(why) => {
            skip(&why);
            None
        }
        None => Some(stage),
    }
}

#[test]
fn a_microvm_reports_obeys_and_leaves_nothing() {
    let Some(mut stage) = stage(false) else { return };
    let mut spec = probes("test/microvm-twin", Fidelity::Microvm);
    let start = Instant::now();
    let status = stage.until(&one(&spec), 120, |status| status.activity == Activity::Running);
    let took = start.elapsed();
    let pid = status.pid.unwrap();
    assert_eq!(status.achieved, Fidelity::Microvm);
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim(), "1000");
    stage.next_with(Field::WakeLagP50);
    print_cost("microvm", pid, took);
    spec.order.probes.as_mut().unwrap().rate_hz = 2.0;
    stage.until(&one(&spec), 30, |status| status.activity == Activity::Running);
    thread::sleep(Duration::from_secs(4));
    stage.drain();
    let rate = stage.next_with(Field::ProbeRate).frame.get(Field::ProbeRate);
    assert!(rate <= 2.01, "{rate}");
    spec.paused = true;
    stage.until(&one(&spec), 30, |status| status.activity == Activity::Paused);
    thread::sleep(Duration::from_millis(500));
    stage.drain();
    thread::sleep(Duration::from_secs(2));
    assert!(stage.reports.try_recv().is_err(), "a stopped guest says nothing");
    spec.paused = false;
    let status = stage.until(&one(&spec), 30, |status| status.activity == Activity::Running);
    assert_eq!((status.pid, status.restarts), (Some(pid), 0));
    assert!(stage.twins.converge(&Desired::default(), Instant::now()).is_empty());
    assert!(traces(&stage.owner).is_empty(), "{:?}", traces(&stage.owner));
    let left: Vec<_> =
        fs::read_dir(stage.directory.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "only the owner's name and the unpacked kernel are left: {left:?}");
}

/// On a clock of instructions, the same guest measures the same, however busy the host is.
#[test]
fn a_counted_guest_measures_the_same_twice() {
    let short = || {
        let mut stage = stage(true)?;
        let spec = probes("test/counted-twin", Fidelity::Microvm);
        stage.until(&one(&spec), 240, |status| status.traffic.frames > 20);
        let report = stage.next_with(Field::ShortCpu);
        Some(report.frame.get(Field::ShortCpu))
    };
    let (Some(first), Some(second)) = (short(), short()) else { return };
    eprintln!("a short unit takes {:.3} and {:.3} ms of a counted guest", 1e3 * first, 1e3 * second);
    assert!((first / second - 1.0).abs() < 0.02, "{first} {second}");
}
