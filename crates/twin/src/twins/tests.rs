//! Tests of convergence, with a substrate that only notes what it is asked for.
#![cfg(test)]

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use foretwin_core::{Order, Probes};

use super::*;
use crate::spec::{Confinement, Resources};

/// What was asked of a noted substrate, and how it shall behave.
#[derive(Debug, Default)]
struct Notes {
    calls: Vec<String>,
    missing: bool,
    refuses: bool,
    exit: Option<Exit>,
    deaf: bool,
    heard: Option<Instant>,
}

type Shared = Arc<Mutex<Notes>>;

struct Noted(Fidelity, Shared);
struct NotedTwin(Shared);

impl NotedTwin {
    fn note(&self, call: String) -> Result<(), Error> {
        let mut notes = self.0.lock().unwrap();
        if notes.deaf {
            return Err(Error::twin("command", "x")(std::io::ErrorKind::BrokenPipe.into()));
        }
        notes.calls.push(call);
        Ok(())
    }
}

impl Substrate for Noted {
    fn fidelity(&self) -> Fidelity {
        self.0
    }
    fn check(&mut self) -> Result<(), Error> {
        let missing = Error::Missing { what: "no such thing".into(), remedy: "install it".into() };
        if self.1.lock().unwrap().missing { Err(missing) } else { Ok(()) }
    }
    fn start(&mut self, spec: &Spec, _: &Sink) -> Result<Box<dyn Running>, Error> {
        let mut notes = self.1.lock().unwrap();
        notes.calls.push(format!("start {}", spec.label));
        let refused = Error::Start { program: "x".into(), source: std::io::ErrorKind::NotFound.into() };
        if notes.refuses { Err(refused) } else { Ok(Box::new(NotedTwin(Arc::clone(&self.1)))) }
    }
    fn sweep(&mut self, keep: &[Spec]) -> Result<Vec<String>, Error> {
        Ok(vec![format!("{} but {}", self.0, keep.len())])
    }
}

impl Running for NotedTwin {
    fn poll(&mut self) -> Option<Exit> {
        self.0.lock().unwrap().exit.clone()
    }
    fn command(&mut self, order: &Order) -> Result<(), Error> {
        self.note(format!("command {}", order.seed))
    }
    fn resize(&mut self, resources: &Resources) -> Result<(), Error> {
        self.note(format!("resize {:?}", resources.memory_bytes))
    }
    fn pause(&mut self, paused: bool) -> Result<(), Error> {
        self.note(format!("pause {paused}"))
    }
    fn confinement(&self) -> Confinement {
        Confinement::Rlimits
    }
    fn pid(&self) -> Option<u32> {
        None
    }
    fn traffic(&self) -> (Traffic, Option<Instant>) {
        (Traffic { frames: 1, ..Traffic::default() }, self.0.lock().unwrap().heard)
    }
}

impl Drop for NotedTwin {
    fn drop(&mut self) {
        self.0.lock().unwrap().calls.push("end".into());
    }
}

fn spec() -> Spec {
    Spec {
        label: InstanceId::new("h/foretwin-twin"),
        order: Order { probes: Some(Probes::default()), ..Order::default() },
        resources: Resources::default(),
        level: Fidelity::Process,
        parent: String::new(),
        paused: false,
        restarts: true,
    }
}

fn twins(rungs: &[(Fidelity, &Shared)]) -> Twins {
    let (sink, _) = mpsc::sync_channel(1);
    let boxed = |(fidelity, notes): &(Fidelity, &Shared)| {
        Box::new(Noted(*fidelity, Arc::clone(notes))) as Box<dyn Substrate>
    };
    Twins::new(rungs.iter().map(boxed).collect(), sink)
}

fn one(spec: Spec) -> Desired {
    Desired { twins: vec![spec] }
}

fn calls(notes: &Shared) -> Vec<String> {
    std::mem::take(&mut notes.lock().unwrap().calls)
}

#[test]
fn asking_twice_changes_nothing_and_changes_are_told() {
    let notes = Shared::default();
    let (mut twins, now) = (twins(&[(Fidelity::Process, &notes)]), Instant::now());
    for _ in 0..3 {
        let status = twins.converge(&one(spec()), now);
        assert_eq!((status[0].achieved, &status[0].activity), (Fidelity::Process, &Activity::Starting));
    }
    assert_eq!(calls(&notes), ["start h/foretwin-twin"]);
    let mut wish = spec();
    (wish.order.seed, wish.resources.memory_bytes) = (7, Some(9));
    twins.converge(&one(wish.clone()), now);
    assert_eq!(calls(&notes), ["resize Some(9)", "command 7"]);
    wish.paused = true;
    assert_eq!(twins.converge(&one(wish.clone()), now)[0].activity, Activity::Paused);
    // A stopped runner would not read its order.
    wish.order.seed = 8;
    twins.converge(&one(wish.clone()), now);
    assert_eq!(calls(&notes), ["pause true", "pause false", "command 8", "pause true"]);
    wish.parent = "elsewhere".into();
    twins.converge(&one(wish), now);
    assert_eq!(calls(&notes), ["end", "start h/foretwin-twin", "pause true"]);
    assert!(twins.converge(&Desired::default(), now).is_empty());
    assert_eq!(calls(&notes), ["end"]);
}

#[test]
fn what_ends_is_started_again_later_and_a_rehearsal_is_not() {
    let notes = Shared::default();
    let (mut twins, now) = (twins(&[(Fidelity::Process, &notes)]), Instant::now());
    twins.converge(&one(spec()), now);
    notes.lock().unwrap().exit = Some(Exit::silent(137, true));
    let status = twins.converge(&one(spec()), now).remove(0);
    let why = "the kernel killed it for want of memory".to_owned();
    assert_eq!((status.activity, status.restarts), (Activity::Waiting { seconds: 1, why }, 1));
    notes.lock().unwrap().exit = None;
    let status = twins.converge(&one(spec()), now + Duration::from_secs(2)).remove(0);
    assert_eq!((status.activity, status.traffic.frames), (Activity::Starting, 2));
    assert_eq!(calls(&notes), ["start h/foretwin-twin", "end", "start h/foretwin-twin"]);
    let once = one(Spec { restarts: false, ..spec() });
    twins.converge(&once, now);
    notes.lock().unwrap().exit = Some(Exit::silent(0, false));
    for later in [3, 3000] {
        let status = twins.converge(&once, now + Duration::from_secs(later)).remove(0);
        assert_eq!(status.activity, Activity::Ended(Exit::silent(0, false)));
    }
}

#[test]
fn silence_and_deafness_lead_to_a_new_start() {
    let notes = Shared::default();
    let (mut twins, now) = (twins(&[(Fidelity::Process, &notes)]), Instant::now());
    twins.converge(&one(spec()), now);
    let status = twins.converge(&one(spec()), now + Duration::from_secs(41)).remove(0);
    assert!(
        matches!(status.activity, Activity::Waiting { ref why, .. } if why.contains("silent")),
        "{status:?}"
    );
    let later = now + Duration::from_secs(100);
    twins.converge(&one(spec()), later);
    calls(&notes);
    notes.lock().unwrap().deaf = true;
    let mut wish = spec();
    wish.order.seed = 7;
    twins.converge(&one(wish), later);
    assert_eq!(calls(&notes), ["end", "start h/foretwin-twin"]);
}

#[test]
fn a_lower_level_steps_in_and_says_why() {
    let (process, container) = (Shared::default(), Shared::default());
    container.lock().unwrap().missing = true;
    let rungs = [(Fidelity::Process, &process), (Fidelity::Container, &container)];
    let (mut twins, now) = (twins(&rungs), Instant::now());
    let wish = one(Spec { level: Fidelity::Container, ..spec() });
    let status = twins.converge(&wish, now).remove(0);
    assert_eq!((status.wanted, status.achieved), (Fidelity::Container, Fidelity::Process));
    assert_eq!(status.shortfall.unwrap(), "container: no such thing; install it");
    // Once it can be had, the wanted level takes over.
    container.lock().unwrap().missing = false;
    assert_eq!(twins.converge(&wish, now).remove(0).achieved, Fidelity::Process, "the answer still holds");
    let later = now + CHECK_HOLDS;
    process.lock().unwrap().heard = Some(later);
    let status = twins.converge(&wish, later).remove(0);
    assert_eq!((status.achieved, status.shortfall), (Fidelity::Container, None));
    assert_eq!(calls(&process), ["start h/foretwin-twin", "end"]);
    let (removed, errors) = twins.sweep(&wish);
    assert_eq!((removed, errors.len()), (vec!["container but 1".to_owned(), "process but 0".to_owned()], 0));
}

#[test]
fn what_cannot_start_waits_longer_and_longer() {
    let process = Shared::default();
    let (mut twins, now) = (twins(&[(Fidelity::Process, &process)]), Instant::now());
    let wish = one(spec());
    process.lock().unwrap().refuses = true;
    let status = twins.converge(&wish, now).remove(0);
    assert!(matches!(status.activity, Activity::Waiting { seconds: 1, .. }), "{status:?}");
    let status = twins.converge(&wish, now + Duration::from_secs(2)).remove(0);
    assert!(matches!(status.activity, Activity::Waiting { seconds: 2, .. }), "{status:?}");
}

/// On any machine: what can be had is had, what cannot says why.
#[test]
fn a_data_directory_is_all_that_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, reports) = mpsc::sync_channel(10);
    let config = Config {
        container_socket: "/nonexistent/docker.sock".into(),
        qemu: "qemu-system-none".into(),
        ..Config::default()
    };
    let mut twins = Twins::of(dir.path(), &config, sink).unwrap();
    let now = Instant::now();
    let levels = twins.levels(now);
    let why = |level| levels.iter().find(|(found, _)| *found == level).unwrap().1.clone();
    assert!(
        why(Fidelity::Model).is_none()
            && why(Fidelity::Microvm).is_some()
            && why(Fidelity::Container).is_some()
    );
    let mut wish = spec();
    (wish.level, wish.order.report_hz) = (Fidelity::Model, 50.0);
    let status = twins.converge(&one(wish), now).remove(0);
    assert_eq!((status.achieved, status.confinement), (Fidelity::Model, Some(Confinement::Simulated)));
    assert_eq!(reports.recv_timeout(Duration::from_secs(10)).unwrap().fidelity, Fidelity::Model);
    let wrong = Config { budget: crate::Budget { cpu_share: 2.0, ..crate::Budget::default() }, ..config };
    let (sink, _) = mpsc::sync_channel(1);
    let error = Twins::of(dir.path(), &wrong, sink).err().unwrap().to_string();
    assert_eq!(error, "twin.budget.cpu_share: 2 is no share; give 0 to 1");
}
