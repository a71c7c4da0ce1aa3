//! What the verdicts were worth: per kind and strength, with the twin and without.

use std::collections::BTreeMap;

use foretwin_core::{Contrast, Verdict, VerdictClass};
use serde::Serialize;

use super::ramp::{Foresight, WAYS};
use super::recording::{Recording, Truth};

/// A verdict has so long from the begin of a fault.
const WITHIN_S: f64 = 60.0;
/// A fault's verdict is the one that is held longest from here on, as a share of what it lasts.
const SETTLED: f64 = 0.5;
/// Seconds after a fault that still belong to it: queues run empty, windows run out.
const AFTER_S: f64 = 15.0;

/// What was said in one second.
pub struct Said {
    pub contrast: Contrast,
    pub learned: bool,
    /// The twin's drift.
    pub drift: Option<f64>,
}

/// What a kind of fault should be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Healthy,
    Infrastructure,
    /// Instance or workload.
    Application,
    SelfInflicted,
    Both,
}

fn expected(kind: &str) -> Expected {
    match kind {
        "healthy" => Expected::Healthy,
        "cpu_hog" | "disk_hog" | "memory_hog" | "throttled" => Expected::Infrastructure,
        "saturate" => Expected::SelfInflicted,
        "cpu_hog_slower" | "disk_hog_leak" => Expected::Both,
        _ => Expected::Application,
    }
}

fn blames(class: VerdictClass) -> bool {
    matches!(class, VerdictClass::Infrastructure | VerdictClass::Both)
}

fn is_right(expected: Expected, verdict: &Verdict) -> bool {
    let own = matches!(verdict.class, VerdictClass::Workload | VerdictClass::Instance);
    match expected {
        Expected::Healthy => verdict.class == VerdictClass::Healthy,
        Expected::Infrastructure => verdict.class == VerdictClass::Infrastructure,
        Expected::Application => own && !verdict.self_inflicted,
        Expected::SelfInflicted => own && verdict.self_inflicted,
        Expected::Both => verdict.class == VerdictClass::Both,
    }
}

/// What came of one fault, for one of the two verdicts.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub kind: String,
    pub strength: f64,
    /// The class that was held longest once it had settled.
    pub class: VerdictClass,
    pub right: bool,
    pub blamed: bool,
    /// Whether the neighbour was named most of the time; nothing where there is none.
    pub named: Option<bool>,
    /// Seconds to the first right verdict.
    pub seconds: Option<f64>,
}

/// Healthy time.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Calm {
    pub seconds: f64,
    /// Times that something was said to be wrong.
    pub alarms: u32,
    /// Of these, times that the infrastructure or the twin was.
    pub twin_alarms: u32,
}

/// All outcomes: with the twin first, then from counters alone.
#[derive(Default)]
pub struct Score {
    outcomes: [Vec<Outcome>; 2],
    calm: [Calm; 2],
    /// One per way to look ahead.
    foresight: [Foresight; WAYS.len()],
}

fn verdicts(said: &Said) -> [&Verdict; 2] {
    [&said.contrast.verdict, &said.contrast.verdict_counters_only]
}

impl Score {
    /// Adds a recording.
    pub fn add(&mut self, recording: &Recording, said: &[Said]) {
        // A ramp has no moment from which it should be seen; what counts is when it was announced (`ramp`).
        for fault in recording.truth.iter().filter(|fault| !fault.kind.starts_with("ramp")) {
            let during: Vec<&Said> = said
                .iter()
                .filter(|said| {
                    let at = said.contrast.at.seconds();
                    said.learned && at > fault.begin && at <= fault.end.min(fault.begin + WITHIN_S)
                })
                .collect();
            if during.is_empty() {
                continue;
            }
            for (which, outcomes) in self.outcomes.iter_mut().enumerate() {
                outcomes.push(outcome(fault, &during, which));
            }
        }
        for which in 0..2 {
            let calm = calm(recording, said, which);
            self.calm[which].seconds += calm.seconds;
            self.calm[which].alarms += calm.alarms;
            self.calm[which].twin_alarms += calm.twin_alarms;
        }
    }

    /// Adds what was announced.
    pub fn add_ramps(&mut self, foresight: [Foresight; WAYS.len()]) {
        self.foresight.iter_mut().zip(foresight).for_each(|(all, new)| all.add(new));
    }

    /// Everything as numbers.
    pub fn summary(&self) -> serde_json::Value {
        let half = |range: std::ops::Range<usize>, which: usize| Totals::of(&self.outcomes[which][range]);
        let count = self.outcomes[0].len();
        let both = |range: std::ops::Range<usize>| serde_json::json!({ "with_twin": half(range.clone(), 0), "counters_only": half(range, 1) });
        serde_json::json!({
            "first_half": both(0..count / 2),
            "second_half": both(count / 2..count),
            "all": both(0..count),
            "healthy": { "with_twin": self.calm[0], "counters_only": self.calm[1] },
            "ramps": { "by_both": self.foresight[0], "by_drift": self.foresight[1], "by_latency": self.foresight[2] },
            "runs": { "with_twin": self.outcomes[0], "counters_only": self.outcomes[1] },
        })
    }

    /// For people.
    pub fn tell(&self) {
        let count = self.outcomes[0].len();
        let halves = [("first half", 0..count / 2), ("second half", count / 2..count), ("all", 0..count)];
        for (name, range) in halves {
            println!("{name}: {} faults", range.len());
            for (which, label) in ["with the twin", "counters alone"].iter().enumerate() {
                println!("  {label:<15} {}", Totals::of(&self.outcomes[which][range.clone()]).said());
            }
        }
        self.tell_kinds();
        self.tell_rest();
    }

    fn tell_kinds(&self) {
        println!(
            "kind and strength: runs; right with twin / counters; found or blamed; named; median seconds"
        );
        let mut kinds: BTreeMap<(String, i64), Vec<usize>> = BTreeMap::new();
        for (at, outcome) in self.outcomes[0].iter().enumerate() {
            kinds.entry((outcome.kind.clone(), (outcome.strength * 100.0) as i64)).or_default().push(at);
        }
        for ((kind, strength), runs) in kinds {
            let of = |which: usize, is: fn(&Outcome) -> bool| {
                runs.iter().filter(|&&run| is(&self.outcomes[which][run])).count()
            };
            let classes: Vec<&str> = runs.iter().map(|&run| self.outcomes[0][run].class.as_str()).collect();
            println!(
                "  {kind:<15} {strength:>4} %: {:>2}; {:>2} / {:>2}; {:>2} / {:>2}; {:>2} / {:>2}; {}  [{}]",
                runs.len(),
                of(0, |o| o.right),
                of(1, |o| o.right),
                of(0, |o| o.blamed),
                of(1, |o| o.blamed),
                of(0, |o| o.named == Some(true)),
                of(1, |o| o.named == Some(true)),
                median(runs.iter().filter_map(|&run| self.outcomes[0][run].seconds)),
                classes.join(" "),
            );
        }
    }

    fn tell_rest(&self) {
        for (calm, label) in self.calm.iter().zip(["with the twin", "counters alone"]) {
            println!(
                "healthy, {label}: {:.0} s, {} alarms, {} of them of twin or infrastructure",
                calm.seconds, calm.alarms, calm.twin_alarms
            );
        }
        for (foresight, label) in self.foresight.iter().zip(WAYS) {
            foresight.tell(label);
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map_or("-".into(), |value| format!("{value:.0} s"))
}

fn outcome(fault: &Truth, during: &[&Said], which: usize) -> Outcome {
    let expected = expected(&fault.kind);
    let settled = fault.begin + SETTLED * (fault.end.min(fault.begin + WITHIN_S) - fault.begin);
    let late: Vec<&Verdict> = (during.iter())
        .filter(|said| said.contrast.at.seconds() >= settled)
        .map(|said| verdicts(said)[which])
        .collect();
    let longest = |class: VerdictClass| late.iter().filter(|verdict| verdict.class == class).count();
    let class = VerdictClass::ALL
        .into_iter()
        .max_by_key(|&class| longest(class))
        .unwrap_or(VerdictClass::Undetermined);
    let held: Vec<&&Verdict> = late.iter().filter(|verdict| verdict.class == class).collect();
    let most =
        |is: &dyn Fn(&Verdict) -> bool| 2 * held.iter().filter(|verdict| is(verdict)).count() > held.len();
    let names = |verdict: &Verdict| verdict.consumer.as_ref().is_some_and(|id| id.as_str() == fault.consumer);
    let first = during.iter().find(|said| is_right(expected, verdicts(said)[which]));
    Outcome {
        kind: fault.kind.clone(),
        strength: fault.strength,
        class,
        right: most(&|verdict| is_right(expected, verdict)),
        blamed: blames(class),
        named: (!fault.consumer.is_empty()).then(|| blames(class) && most(&names)),
        seconds: first.map(|said| said.contrast.at.seconds() - fault.begin),
    }
}

/// Alarms in time that is healthy and not just after a fault.
fn calm(recording: &Recording, said: &[Said], which: usize) -> Calm {
    let mut calm = Calm::default();
    let (mut was, mut twin_was) = (false, false);
    for said in said.iter().filter(|said| said.learned) {
        let at = said.contrast.at.seconds();
        let sick = |fault: &Truth| fault.kind != "healthy" && at > fault.begin && at <= fault.end + AFTER_S;
        if recording.truth.iter().any(sick) {
            (was, twin_was) = (true, true);
            continue;
        }
        let class = verdicts(said)[which].class;
        let (alarm, twin) =
            (class != VerdictClass::Healthy, blames(class) || class == VerdictClass::TwinFault);
        calm.seconds += 1.0;
        calm.alarms += u32::from(alarm && !was);
        calm.twin_alarms += u32::from(twin && !twin_was);
        (was, twin_was) = (alarm, twin);
    }
    calm
}

/// Shares over some faults.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Totals {
    infrastructure: usize,
    found: usize,
    application: usize,
    blamed: usize,
    all: usize,
    right: usize,
    with_neighbour: usize,
    named: usize,
}

impl Totals {
    fn of(outcomes: &[Outcome]) -> Self {
        let mut totals = Self::default();
        for outcome in outcomes {
            match expected(&outcome.kind) {
                Expected::Healthy => continue,
                Expected::Infrastructure | Expected::Both => {
                    totals.infrastructure += 1;
                    totals.found += usize::from(outcome.blamed);
                }
                Expected::Application | Expected::SelfInflicted => {
                    totals.application += 1;
                    totals.blamed += usize::from(outcome.blamed);
                }
            }
            totals.all += 1;
            totals.right += usize::from(outcome.right);
            totals.with_neighbour += usize::from(outcome.named.is_some());
            totals.named += usize::from(outcome.named == Some(true));
        }
        totals
    }

    fn said(&self) -> String {
        format!(
            "found {} of {}, blamed wrongly {} of {}, right {} of {}, named {} of {}",
            self.found,
            self.infrastructure,
            self.blamed,
            self.application,
            self.right,
            self.all,
            self.named,
            self.with_neighbour
        )
    }
}

/// Every second with its verdicts, to find out why.
pub fn tell_seconds(recording: &Recording, said: &[Said]) {
    for (said, second) in said.iter().zip(&recording.seconds) {
        let at = said.contrast.at.seconds();
        let fault = recording.truth.iter().find(|fault| at > fault.begin && at <= fault.end);
        let [with, without] = verdicts(said);
        let words: Vec<&str> = with.evidence.iter().map(|evidence| evidence.statement.as_str()).collect();
        println!(
            "{at:.0} {:<16} {:<14} {:.2} {:<14} {:.2} self {} model {:.2} drift {:.2} consumer {} | {}",
            fault.map_or("-".into(), |fault| format!("{}-{:.0}", fault.kind, fault.strength * 100.0)),
            with.class,
            with.probability,
            without.class,
            without.probability,
            with.self_inflicted,
            second.twin_score,
            said.drift.unwrap_or(f64::NAN),
            with.consumer.as_ref().map_or("-", |id| id.as_str()),
            words.join("; ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foretwin_core::{Fidelity, InstanceId, Timestamp};

    fn verdict(class: VerdictClass, consumer: Option<&str>) -> Verdict {
        Verdict {
            class,
            self_inflicted: false,
            consumer: consumer.map(InstanceId::new),
            probability: 0.9,
            since: None,
            evidence: Vec::new(),
            probabilities: vec![(class, 1.0)],
        }
    }

    /// A fault from second 100 to 140; the twin's verdict comes after 12 s, counters blame the wrong way.
    fn said(kind: &str) -> (Recording, Vec<Said>) {
        let fault =
            Truth { kind: kind.into(), strength: 1.0, begin: 100.0, end: 140.0, consumer: "host/hog".into() };
        let said = (0..200).map(|second| {
            let with = match second {
                113..=145 => verdict(VerdictClass::Infrastructure, Some("host/hog")),
                _ => verdict(VerdictClass::Healthy, None),
            };
            let contrast = Contrast {
                instance: InstanceId::new("host/app"),
                at: Timestamp(second * 1_000_000),
                fidelity: Fidelity::Process,
                verdict: with,
                verdict_counters_only: verdict(
                    if second == 30 { VerdictClass::Instance } else { VerdictClass::Healthy },
                    None,
                ),
            };
            Said { contrast, learned: second >= 20, drift: None }
        });
        (Recording { seconds: Vec::new(), frames: Vec::new(), truth: vec![fault] }, said.collect())
    }

    #[test]
    fn a_hog_that_is_found_and_named_counts() {
        let (recording, said) = said("cpu_hog");
        let mut score = Score::default();
        score.add(&recording, &said);
        let [with, without] = &score.outcomes;
        assert!(with[0].right && with[0].blamed && with[0].named == Some(true));
        assert_eq!((with[0].seconds, with[0].class), (Some(13.0), VerdictClass::Infrastructure));
        assert!(!without[0].right && !without[0].blamed && without[0].seconds.is_none());
        // Seconds 20 to 100, and from 15 s after the fault on.
        assert_eq!((score.calm[0].seconds, score.calm[0].alarms), (125.0, 0));
        assert_eq!((score.calm[1].alarms, score.calm[1].twin_alarms), (1, 0));
    }

    #[test]
    fn an_application_that_is_excused_by_the_machine_counts_against_it() {
        let (recording, said) = said("leak");
        let mut score = Score::default();
        score.add(&recording, &said);
        let totals = Totals::of(&score.outcomes[0]);
        assert_eq!((totals.application, totals.blamed, totals.right, totals.infrastructure), (1, 1, 0, 0));
    }
}
