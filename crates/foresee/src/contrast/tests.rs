//! Verdicts on a simulated host: every row of the table of causes, with the twin and without.

use foretwin_core::{Contrast, Fidelity, InstanceId, Rng, Timestamp, Verdict, VerdictClass};

use super::{COSTS, Comparison, Kernel, Neighbour, Probe, Production, Second, TWIN};

/// What happens, as factors and shares; all is well by default.
#[derive(Debug, Clone, Copy)]
struct Event {
    /// Times the usual load.
    load: f64,
    /// Times the usual work per request.
    work: f64,
    /// Bytes leaked per second.
    leak: f64,
    /// Share of the time that a quota of its own holds it back.
    limited: f64,
    /// Cores that a neighbour takes.
    hog: f64,
    /// Times that everything costs, for original and twin alike, as a machine underneath makes it.
    slow: f64,
    /// Times that one kind of probe costs, and nothing else.
    twin: f64,
    /// Cores stolen.
    steal: f64,
}

const WELL: Event =
    Event { load: 1.0, work: 1.0, leak: 0.0, limited: 0.0, hog: 0.0, slow: 1.0, twin: 1.0, steal: 0.0 };

/// A host whose load doubles and halves, and on which a batch job works now and then.
struct World {
    rng: Rng,
    second: i64,
    leaked: f64,
}

impl World {
    fn new() -> Self {
        Self { rng: Rng::new(5), second: 0, leaked: 0.0 }
    }

    fn noise(&mut self, size: f64) -> f64 {
        (size * self.rng.normal()).exp()
    }

    /// What everything costs the twin in such a crowd; `alone` is what reclaim costs beside.
    fn twin(&mut self, crowd: f64, alone: f64) -> [f64; COSTS] {
        std::array::from_fn(|cost| {
            let (key, kind) = TWIN[cost];
            let unit = if key.ends_with("run_delay") { 0.005 } else { 2e-4 };
            let alone = if kind == Probe::Reclaim { alone } else { 1.0 };
            unit * crowd.powf(0.8) * alone * self.noise(0.2)
        })
    }

    fn next(&mut self, event: Event) -> Second {
        self.second += 1;
        self.leaked = if event.leak > 0.0 { self.leaked + event.leak } else { 0.0 };
        let wave = (std::f64::consts::TAU * self.second as f64 / 97.0).sin();
        let rate = 150.0 * (0.8 * wave).exp2() * event.load * self.noise(0.05);
        let cpu = rate * 1e-3 * event.work * self.noise(0.02);
        let batch = if self.second / 30 % 2 == 0 { 0.5 } else { 0.0 };
        let saturated = (cpu - 0.6).max(0.0);
        // A core that others use makes waking up slower; batch work of low weight hardly does.
        let crowd = (1.0 + 4.0 * event.hog + 0.3 * batch + 8.0 * saturated) * event.slow;
        let delay = 0.03 * crowd * (1.0 + cpu) * self.noise(0.15) + event.limited;
        let latency = 1.2e-3 * event.work * crowd.sqrt() * (1.0 + 5.0 * event.limited) * self.noise(0.06);
        let twin = self.twin(crowd, event.twin);
        let neighbours = vec![neighbour("host/batch", batch), neighbour("host/hog", event.hog)];
        Second {
            at: Timestamp(self.second * 1_000_000),
            production: Production {
                rate,
                errors: 0.0,
                latency_p50_s: latency,
                latency_p90_s: 2.2 * latency * self.noise(0.1),
                cpu: cpu.min(0.6),
                memory: 4e7 + self.leaked,
                io: 1e5,
                throttled: event.limited,
            },
            kernel: Kernel {
                parent_throttled: saturated,
                cpu_stall: delay,
                io_stall: 0.002,
                run_delay: delay,
                steal: event.steal + 0.005 * self.rng.uniform(),
                ..Kernel::UNKNOWN
            },
            neighbours,
            twin: Some(twin),
            twin_score: f64::NAN,
        }
    }
}

fn neighbour(name: &str, cpu: f64) -> Neighbour {
    Neighbour { id: InstanceId::new(name), cpu, io: 0.0, io_stall: 0.0, memory: 1e7, inside: false }
}

/// Learns for ten minutes, then lets the event last 45 seconds; the last contrast.
fn after(event: Event) -> Contrast {
    after_seconds(event, 45)
}

fn after_seconds(event: Event, seconds: usize) -> Contrast {
    let (mut comparison, mut world) = learned();
    let mut last = None;
    for _ in 0..seconds {
        last = Some(comparison.step(world.next(event)));
    }
    last.unwrap()
}

fn learned() -> (Comparison, World) {
    let mut comparison = Comparison::new(InstanceId::new("host/app"), Fidelity::Process);
    let mut world = World::new();
    for _ in 0..600 {
        comparison.step(world.next(WELL));
    }
    assert!(comparison.has_learned());
    (comparison, world)
}

fn assert_said(verdict: &Verdict, class: VerdictClass) {
    assert_eq!(verdict.class, class, "{verdict:#?}");
    let sum: f64 = verdict.probabilities.iter().map(|(_, p)| p).sum();
    assert!((sum - 1.0).abs() < 1e-3, "{sum}");
}

#[test]
fn a_little_more_work_for_each_request_is_the_application_once_it_lasts() {
    let slower = Event { work: 1.15, ..WELL };
    assert_said(&after_seconds(slower, 12).verdict, VerdictClass::Healthy);
    assert_said(&after(slower).verdict, VerdictClass::Instance);
}

#[test]
fn more_load_than_ever_that_harms_nothing_is_news_once() {
    let (mut comparison, mut world) = learned();
    let mut news = Vec::new();
    for _ in 0..10 {
        let busy = Event { load: 1.6, ..WELL };
        let busier = (0..194).map(|_| comparison.step(world.next(busy)).verdict.class);
        news.push(busier.filter(|class| *class == VerdictClass::Workload).count());
        (0..97).for_each(|_| drop(comparison.step(world.next(WELL))));
    }
    assert!(news[0] > 10 && news[2..].iter().all(|&seconds| seconds == 0), "{news:?}");
}

#[test]
fn an_hour_of_load_that_doubles_and_halves_is_healthy() {
    let (mut comparison, mut world) = learned();
    let all = (0..3600).map(|_| comparison.step(world.next(WELL)));
    let wrong: Vec<Contrast> =
        all.filter(|contrast| contrast.verdict.class != VerdictClass::Healthy).collect();
    assert!(wrong.is_empty(), "{} seconds, first {:#?}", wrong.len(), wrong.first());
}

#[test]
fn a_neighbour_that_hogs_is_named_and_batch_work_is_not() {
    let contrast = after(Event { hog: 0.6, ..WELL });
    assert_said(&contrast.verdict, VerdictClass::Infrastructure);
    assert_eq!(contrast.verdict.consumer.as_ref().map(InstanceId::as_str), Some("host/hog"));
    assert!(contrast.verdict.evidence[0].statement.contains("host/hog uses 0.60 cores"));
    assert!(contrast.verdict.since.is_some_and(|since| since.0 >= 600_000_000));
}

#[test]
fn what_the_application_does_is_not_blamed_on_the_machine() {
    for event in [Event { work: 1.4, ..WELL }, Event { leak: 2e6, ..WELL }, Event { limited: 0.5, ..WELL }] {
        let contrast = after(event);
        assert_said(&contrast.verdict, VerdictClass::Instance);
        assert_said(&contrast.verdict_counters_only, VerdictClass::Instance);
        assert_eq!(contrast.verdict.consumer, None);
    }
}

#[test]
fn a_load_never_seen_is_workload_and_self_inflicted_once_it_saturates() {
    // While the wave is high: half a wave later twice the load is what it was at most before.
    let more = after_seconds(Event { load: 2.0, ..WELL }, 25);
    assert_said(&more.verdict, VerdictClass::Workload);
    assert!(!more.verdict.self_inflicted);
    let most = after_seconds(Event { load: 6.0, ..WELL }, 25);
    assert_said(&most.verdict, VerdictClass::Workload);
    assert!(most.verdict.self_inflicted, "{:#?}", most.verdict);
}

#[test]
fn a_machine_that_slows_down_without_a_consumer_is_infrastructure_and_nobody_is_named() {
    let contrast = after(Event { slow: 3.0, steal: 0.2, ..WELL });
    assert_said(&contrast.verdict, VerdictClass::Infrastructure);
    assert_eq!(contrast.verdict.consumer, None);
}

#[test]
fn what_one_kind_of_probe_sees_alone_is_a_fault_of_the_twin() {
    let contrast = after(Event { twin: 8.0, ..WELL });
    assert_said(&contrast.verdict, VerdictClass::TwinFault);
    assert_said(&contrast.verdict_counters_only, VerdictClass::Healthy);
}

#[test]
fn both_at_once_are_both() {
    let contrast = after(Event { hog: 0.6, leak: 2e6, ..WELL });
    assert_said(&contrast.verdict, VerdictClass::Both);
    assert_eq!(contrast.verdict.consumer.as_ref().map(InstanceId::as_str), Some("host/hog"));
}

#[test]
fn without_a_twin_there_is_no_contrast_but_counters_still_judge() {
    let (mut comparison, mut world) = learned();
    let mut last = None;
    for _ in 0..45 {
        let second = Second { twin: None, ..world.next(Event { work: 1.5, ..WELL }) };
        last = Some(comparison.step(second));
    }
    let contrast = last.unwrap();
    assert_eq!(contrast.verdict.class, VerdictClass::NoContrast);
    assert_said(&contrast.verdict_counters_only, VerdictClass::Instance);
}

#[test]
fn a_fault_that_lasts_is_not_learned() {
    let (mut comparison, mut world) = learned();
    let event = Event { hog: 0.6, ..WELL };
    let seconds = (0..1800).map(|_| comparison.step(world.next(event)));
    let missed = seconds.skip(30).filter(|contrast| contrast.verdict.class != VerdictClass::Infrastructure);
    assert_eq!(missed.count(), 0);
}

#[test]
fn a_machine_that_slows_down_over_hours_is_not_learned() {
    let (mut comparison, mut world) = learned();
    const HOURS_S: usize = 3 * 3600;
    let slower = |second: usize| Event { slow: 1.0 + 1.5 * second as f64 / HOURS_S as f64, ..WELL };
    let last = (0..HOURS_S).map(|second| comparison.step(world.next(slower(second)))).last().unwrap();
    assert_said(&last.verdict, VerdictClass::Infrastructure);
    let drift = comparison.ahead().drift().unwrap();
    assert!(drift > 0.4, "costs are 2.1 times what they were: {drift}");
}

#[test]
fn a_state_goes_on_where_it_was_and_damage_is_refused() {
    let (mut comparison, mut world) = learned();
    let event = Event { hog: 0.6, ..WELL };
    for _ in 0..30 {
        comparison.step(world.next(event));
    }
    let bytes = comparison.encode();
    let (id, fidelity) = (InstanceId::new("host/app"), Fidelity::Process);
    let mut again = Comparison::decode(id.clone(), fidelity, &bytes).unwrap();
    assert_eq!(again.encode(), bytes);
    for _ in 0..20 {
        let second = world.next(event);
        comparison.step(second.clone());
        again.step(second);
    }
    let second = world.next(event);
    let (here, there) = (comparison.step(second.clone()), again.step(second));
    assert_eq!(here.verdict.class, there.verdict.class);
    assert_eq!(here.verdict.since, there.verdict.since);
    for cut in [0, 1, 7, bytes.len() / 2, bytes.len() - 1] {
        assert!(Comparison::decode(id.clone(), fidelity, &bytes[..cut]).is_err());
    }
    assert!(Comparison::decode(id, fidelity, &[&bytes[..], &[0]].concat()).is_err());
}
