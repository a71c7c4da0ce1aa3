//! What a simulated fleet came to, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::calibration::{Horizon, coverage};
use super::judge::{Judgement, LEADS, Verdict};
use super::run::Course;
use super::world::TEAMS;

/// What false alarms mistook, with how often.
fn mistaken(judgement: &Judgement<'_>) -> BTreeMap<String, usize> {
    let mut mistaken = BTreeMap::new();
    for one in judgement.alerts.iter().filter(|one| one.verdict == Verdict::False) {
        *mistaken.entry(format!("{}: {}", one.mistook.0, one.mistook.1)).or_insert(0) += 1;
    }
    mistaken
}

fn per_team_day(judgement: &Judgement<'_>) -> f64 {
    judgement.alerts.len() as f64 / (TEAMS as f64 * f64::from(judgement.days))
}

/// One JSON document.
pub fn json(course: &Course, judgement: &Judgement<'_>, horizons: &[Horizon]) -> Value {
    let kinds: BTreeMap<&str, Value> = judgement
        .recall
        .iter()
        .map(|(kind, one)| {
            let foreseeable = kind.is_foreseeable();
            let value = json!({"foreseeable": foreseeable, "failures": one.failures, "mode": kind.mode(),
                "known_so_long_before": one.could, "said_so_long_before": one.said});
            (kind.name(), value)
        })
        .collect();
    let leads: Vec<Value> = LEADS
        .iter()
        .enumerate()
        .map(|(n, lead)| {
            let (recall, of) = judgement.recall(n);
            json!({"lead_min": lead, "recall": recall, "failures": of, "precision": judgement.precision(*lead)})
        })
        .collect();
    let horizons: Vec<Value> = horizons.iter().map(|one| json!(one.reliability)).collect();
    let (inside, stated) = coverage(course);
    json!({
        "seed": course.plan.seed, "instances": course.plan.instances, "days": course.plan.days,
        "learn_days": course.learn_days, "failures_learned": course.lessons, "growths_read": course.reads,
        "alerts": {
            "shown": judgement.alerts.len(), "held": judgement.held, "per_team_day": per_team_day(judgement),
            "right": judgement.count(|one| matches!(one, Verdict::Right(_))),
            "averted": judgement.count(|one| one == Verdict::Averted),
            "false": judgement.count(|one| one == Verdict::False),
            "open": judgement.count(|one| one == Verdict::Open),
            "instances_of_right": judgement.members_of_right(),
        },
        "false_per_1000_instance_days": judgement.false_rate(), "false_mistook": mistaken(judgement),
        "leads": leads, "kinds": kinds, "horizons": horizons,
        "cause_class_right": judgement.classes(),
        "interval": {"coverage": inside, "statements": stated},
    })
}

/// The same, to be read.
pub fn text(course: &Course, judgement: &Judgement<'_>, horizons: &[Horizon]) -> String {
    let mut out = String::new();
    let plan = course.plan;
    let count = |of: &dyn Fn(Verdict) -> bool| judgement.count(of);
    let _ = writeln!(
        out,
        "{} instances, {} days, seed {}; learned from {} failures, judged on {:.0} instance-days",
        plan.instances, plan.days, plan.seed, course.lessons, judgement.instance_days
    );
    let _ = writeln!(
        out,
        "alerts: {} shown ({:.2} per team and day), {} held; {} right, {} averted, {} false, {} open",
        judgement.alerts.len(),
        per_team_day(judgement),
        judgement.held,
        count(&|one| matches!(one, Verdict::Right(_))),
        count(&|one| one == Verdict::Averted),
        count(&|one| one == Verdict::False),
        count(&|one| one == Verdict::Open),
    );
    let _ = writeln!(out, "false alarms per 1,000 instance-days: {:.2}", judgement.false_rate());
    for (what, n) in mistaken(judgement) {
        let _ = writeln!(out, "  {n:4} {what}");
    }
    in_time(&mut out, judgement);
    likely(&mut out, course, horizons);
    out
}

/// What was said in time, and why.
fn in_time(out: &mut String, judgement: &Judgement<'_>) {
    for (n, lead) in LEADS.into_iter().enumerate() {
        let (recall, of) = judgement.recall(n);
        let precision = judgement.precision(lead);
        let _ = writeln!(out, "{lead:4} min ahead: recall {recall:.2} of {of}, precision {precision:.2}");
    }
    let (right, all) = judgement.classes();
    let _ = writeln!(out, "cause class right: {right} of {all} right alerts");
    let _ = writeln!(out, "{:20} {:>8}   said / could be said 5 min, 1 h, 6 h ahead", "kind", "failures");
    for (kind, one) in &judgement.recall {
        let pair = |n: usize| format!("{}/{}", one.said[n], one.could[n]);
        let note = if kind.is_foreseeable() { "" } else { "  (cannot be foreseen)" };
        let (name, failures) = (kind.name(), one.failures);
        let _ = writeln!(out, "{name:20} {failures:8}   {} {} {}{note}", pair(0), pair(1), pair(2));
    }
}

/// What probabilities and times are worth.
fn likely(out: &mut String, course: &Course, horizons: &[Horizon]) {
    for one in horizons {
        let known = &one.reliability;
        let _ = writeln!(
            out,
            "within {:6.0} s: Brier {:.5} (base rate {:.5}), ECE {:.5}, {} statements",
            one.horizon_s,
            known.brier.unwrap_or(f64::NAN),
            known.brier_of_base_rate.unwrap_or(f64::NAN),
            known.calibration_error.unwrap_or(f64::NAN),
            known.statements
        );
    }
    let (inside, stated) = coverage(course);
    let _ = writeln!(out, "interval p10 to p90 held {:.0} % of {stated} times", 100.0 * inside);
}
