//! The binary as others use it: orders in, frames out, exit codes.
#![allow(clippy::unwrap_used)] // What the tests share may fail like a test.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use foretwin_core::probe::Field;
use foretwin_core::{Demand, Dimension, Fault, Order, Probes, Profile, Replay, Timestamp};
use foretwin_wire::frame::{Frame, Reader};
use foretwin_wire::order;

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("foretwin-runner-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn bytes_of(order: &Order) -> Vec<u8> {
    let mut bytes = Vec::new();
    order::encode(order, &mut bytes);
    bytes
}

fn start(name: &str, order: &[u8], arguments: &[&str]) -> Child {
    let path = scratch(name).join("order");
    std::fs::write(&path, order).unwrap();
    Command::new(env!("CARGO_BIN_EXE_foretwin-runner"))
        .arg("--order")
        .arg(path)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn frames(output: &Output) -> Vec<Frame> {
    let mut reader = Reader::default();
    reader.push(&output.stdout);
    let frames: Vec<Frame> = reader.by_ref().collect();
    assert_eq!((reader.lost(), reader.skipped_bytes()), (0, 0));
    frames
}

fn end(child: Child) -> Output {
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    child.wait_with_output().unwrap()
}

/// Reads frames as they come until one satisfies `found`; the runner says one a tenth of a second here.
fn await_frame(child: &mut Child, found: impl Fn(&Frame) -> bool) -> Frame {
    let (mut reader, mut piece) = (Reader::default(), [0; 4096]);
    loop {
        let length = child.stdout.as_mut().unwrap().read(&mut piece).unwrap();
        assert!(length > 0, "the runner ended");
        reader.push(&piece[..length]);
        let seen: Vec<Frame> = reader.by_ref().collect();
        assert!(seen.iter().all(|frame| frame.sequence < 3000), "it never came");
        if let Some(frame) = seen.into_iter().find(|frame| found(frame)) {
            return frame;
        }
    }
}

fn quick() -> Order {
    Order { report_hz: 10.0, ..Order::default() }
}

#[test]
fn a_damaged_order_is_refused_in_one_line() {
    let mut damaged = bytes_of(&quick());
    damaged[20] ^= 1;
    let wrong = bytes_of(&Order { report_hz: -1.0, ..Order::default() });
    for (name, order, says) in [("damaged", damaged, "checksum"), ("wrong", wrong, "report_hz: give")] {
        let output = start(name, &order, &[]).wait_with_output().unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(line.contains(says) && line.trim_end().lines().count() == 1, "{line}");
    }
}

#[test]
fn every_probe_tells_what_its_unit_costs() {
    let directory = scratch("probes").to_str().unwrap().to_owned();
    let probes = Probes { directory: Some(directory.clone()), cap_core: 1.0, ..Probes::default() };
    let order = Order { report_hz: 1.0, probes: Some(probes), ..Order::default() };
    let child = start("probes", &bytes_of(&order), &[]);
    std::thread::sleep(Duration::from_millis(3500));
    let output = end(child);
    assert_eq!(output.status.code(), Some(0));
    let frames = frames(&output);
    assert!(frames.len() >= 3 && frames[0].sequence == 0, "{frames:?}");
    for field in [
        Field::WakeLagP90,
        Field::ShortStretchMean,
        Field::ShortCpu,
        Field::LongStretch,
        Field::TouchP50,
        Field::FaultP90,
        Field::WriteP50,
        Field::SyncP50,
        Field::TcpP90,
        Field::SojournP90,
    ] {
        let told: Vec<f64> =
            frames.iter().map(|frame| frame.get(field)).filter(|value| value.is_finite()).collect();
        assert!(told.iter().any(|value| *value > 0.0), "{field:?} was never told");
    }
    let left: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["order"], "probing leaves nothing behind");
}

#[test]
fn a_new_order_replaces_the_old_one() {
    let probing = Order { probes: Some(Probes::default()), ..quick() };
    let mut child = start("control", &bytes_of(&probing), &["--control", "stdin"]);
    await_frame(&mut child, |frame| frame.get(Field::Ticks) > 0.0);
    child.stdin.as_mut().unwrap().write_all(&bytes_of(&quick())).unwrap();
    await_frame(&mut child, |frame| frame.get(Field::Ticks).is_nan());
    child.stdin.as_mut().unwrap().write_all(&bytes_of(&probing)).unwrap();
    await_frame(&mut child, |frame| frame.get(Field::Ticks) > 0.0);
    assert_eq!(end(child).status.code(), Some(0));
}

fn steady(demand: Demand) -> Arc<Profile> {
    let rows: Vec<(Timestamp, Demand)> = (0..60).map(|n| (Timestamp(n * 1_000_000), demand)).collect();
    Arc::new(Profile::fit(&rows, 1).unwrap())
}

#[test]
fn a_replay_does_what_it_is_told() {
    let demand = Demand::NONE
        .with(Dimension::Cpu, 0.05)
        .with(Dimension::WorkingSet, 8e6)
        .with(Dimension::Turnover, 1e6)
        .with(Dimension::Reads, 20.0)
        .with(Dimension::ReadBytes, 80_000.0)
        .with(Dimension::Writes, 20.0)
        .with(Dimension::WriteBytes, 80_000.0)
        .with(Dimension::Syncs, 1.0)
        .with(Dimension::RoundTrips, 50.0)
        .with(Dimension::NetworkBytes, 100_000.0)
        .with(Dimension::Requests, 40.0)
        .with(Dimension::ServiceTime, 0.0002);
    let directory = Some(scratch("replay").to_str().unwrap().to_owned());
    let replay =
        Replay { profile: steady(demand), yields: false, cap_core: 1.0, directory, ..Replay::default() };
    let mut child =
        start("replay", &bytes_of(&Order { replay: Some(replay), report_hz: 0.5, ..quick() }), &[]);
    // At the lowest priority it may be late; it is never ahead, and each dimension comes to move.
    let mut moved = [false; 12];
    for _ in 0..10 {
        let frame = await_frame(&mut child, |frame| frame.get(Field::ReplayPace).is_finite());
        for dimension in Dimension::ALL {
            let achieved = frame.get(Field::Achieved(dimension));
            moved[dimension.index()] |= achieved > 0.3 * demand.get(dimension);
            let most = 2.5 * demand.get(dimension) + 1.0;
            assert!(achieved <= most, "{dimension:?}: {achieved} of {}", demand.get(dimension));
        }
        if moved == [true; 12] {
            break;
        }
    }
    assert_eq!(moved, [true; 12], "in the order of Dimension::ALL");
    assert_eq!(end(child).status.code(), Some(0));
}

#[test]
fn a_commanded_leak_ends_at_its_limit() {
    let directory = Some(scratch("leak").to_str().unwrap().to_owned());
    let probes = Probes { directory, long_unit_hz: 0.0, sync_hz: 0.0, ..Probes::default() };
    let leaks = [
        Fault { memory_bytes_per_s: 4e6, memory_limit_bytes: Some(2_000_000), ..Fault::default() },
        Fault { descriptors_per_s: 40.0, descriptors_limit: Some(20), ..Fault::default() },
        Fault { threads_per_s: 40.0, threads_limit: Some(20), ..Fault::default() },
        Fault { disk_bytes_per_s: 4e6, disk_limit_bytes: Some(2_000_000), ..Fault::default() },
    ];
    for (kind, fault) in leaks.into_iter().enumerate() {
        let order = Order { probes: Some(probes.clone()), fault: Some(fault), ..quick() };
        let output = start("leak", &bytes_of(&order), &[]).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3), "leak {kind}");
        let frames = frames(&output);
        let last = frames.last().unwrap();
        assert_eq!(last.get(Field::Failed), kind as f64 + 1.0);
        // Half a second to the limit, and it was seen coming.
        assert!(frames.len() >= 3, "leak {kind}: {} frames", frames.len());
        assert_eq!(frames[0].get(Field::Failed), 0.0);
    }
}

#[test]
fn a_runner_holds_what_it_is_said_to_hold() {
    let fault = Fault { memory_bytes_per_s: 1.0, own_bytes: Some(40 << 20), ..Fault::default() };
    let mut child = start("own", &bytes_of(&Order { fault: Some(fault), ..quick() }), &[]);
    let frame = await_frame(&mut child, |frame| frame.get(Field::RunnerMemory) >= f64::from(40 << 20));
    assert!(frame.get(Field::LeakedMemory) < 1e6, "what fills up has not leaked");
    assert_eq!(end(child).status.code(), Some(0));
}
