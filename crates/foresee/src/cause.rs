//! Why a resource runs out, in a first version: from the risk alone, without asking what else happened.
//!
//! Steady growth of what a workload should give back is a leak, growth of what it stores is growth, a limit that is
//! reached is exhaustion, and what remains is unknown. What remains, a diagnosis across metrics and instances may
//! explain ([`explained`]).

use foretwin_core::{Cause, Evidence, FailureMode, InstanceId, Risk, Shape, Timestamp};

use crate::{Config, words};

/// Share of the limit from which a level alone is a cause.
const NEARLY_FULL: f64 = 0.98;
/// The class of what nothing explains.
const UNKNOWN: &str = "unknown";

/// What a cause is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Leak,
    Growth,
    Exhaustion,
}

impl Class {
    fn as_str(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Growth => "growth",
            Self::Exhaustion => "exhaustion",
        }
    }

    fn of(risk: &Risk) -> Self {
        if risk.used >= NEARLY_FULL * risk.limit {
            return Self::Exhaustion;
        }
        match risk.mode {
            FailureMode::MemoryExhaustion
            | FailureMode::DescriptorExhaustion
            | FailureMode::PidExhaustion => Self::Leak,
            _ => Self::Growth,
        }
    }
}

/// The causes of the risks that are notable at `horizon_s`, best first; their probabilities sum to at most 1. Empty
/// while nothing is notable.
#[must_use]
pub fn causes(
    instance: &InstanceId,
    risks: &[Risk],
    at: Timestamp,
    horizon_s: f64,
    config: &Config,
) -> Vec<Cause> {
    let notable: Vec<&Risk> =
        risks.iter().filter(|risk| risk.at(horizon_s) >= config.notable_probability).collect();
    let total: f64 = notable.iter().map(|risk| risk.at(horizon_s)).sum();
    let mut causes = Vec::new();
    let mut unexplained = if notable.is_empty() { 0.0 } else { 1.0 };
    for risk in &notable {
        let probability = risk.at(horizon_s) / total * clarity(risk);
        unexplained -= probability;
        let class = Class::of(risk).as_str().into();
        let evidence = vec![Evidence { metric: risk.metric.clone(), statement: statement(risk, at) }];
        causes.push(Cause { class, place: instance.clone(), probability, evidence });
    }
    if unexplained > 0.05 {
        causes.push(unknown(instance, &notable, unexplained));
    }
    causes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    causes
}

/// What a prediction's causes leave unknown, given to the causes that a diagnosis of the same moment found. Without
/// causes of its own the prediction takes those of the diagnosis.
#[must_use]
pub fn explained(causes: Vec<Cause>, diagnosed: &[Cause]) -> Vec<Cause> {
    let (unknown, mut known): (Vec<Cause>, Vec<Cause>) =
        causes.into_iter().partition(|cause| cause.class == UNKNOWN);
    let open = if known.is_empty() && unknown.is_empty() {
        1.0
    } else {
        unknown.iter().map(|cause| cause.probability).sum()
    };
    let mut left = open;
    for cause in diagnosed.iter().filter(|cause| cause.class != UNKNOWN) {
        let probability = open * cause.probability;
        left -= probability;
        match known.iter_mut().find(|one| one.class == cause.class && one.place == cause.place) {
            Some(same) => {
                same.probability += probability;
                same.evidence.extend(cause.evidence.iter().cloned());
            }
            None => known.push(Cause { probability, ..cause.clone() }),
        }
    }
    if let Some(rest) = unknown.into_iter().next().filter(|_| left > 0.05) {
        known.push(Cause { probability: left, ..rest });
    }
    known.retain(|cause| cause.probability > 0.0);
    known.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    known
}

/// How clearly the movement of a series speaks for its class, 0 to 1.
fn clarity(risk: &Risk) -> f64 {
    let trend = &risk.trend;
    if Class::of(risk) == Class::Exhaustion {
        return 0.95;
    }
    let steady = trend.rate / (trend.rate.abs() + 2.0 * trend.rate_sd).max(f64::MIN_POSITIVE);
    let shape = match trend.shape {
        Shape::Linear | Shape::Accelerating | Shape::Sawtooth => 1.0,
        Shape::Step => 0.8,
        Shape::Plateau | Shape::Flat | Shape::Unknown => 0.4,
    };
    (steady.max(0.0) * shape * risk.confidence.sqrt()).clamp(0.0, 0.95)
}

fn unknown(instance: &InstanceId, notable: &[&Risk], probability: f64) -> Cause {
    let evidence = notable.iter().map(|risk| {
        let statement = format!(
            "{} of history and a rate of {} ± {} do not settle it",
            words::duration(risk.trend.span_s),
            words::rate(risk.mode, risk.trend.rate),
            words::rate(risk.mode, risk.trend.rate_sd),
        );
        Evidence { metric: risk.metric.clone(), statement }
    });
    Cause { class: UNKNOWN.into(), place: instance.clone(), probability, evidence: evidence.collect() }
}

/// Observed, limit, rate, since when, and when it ends.
fn statement(risk: &Risk, at: Timestamp) -> String {
    let (mode, trend) = (risk.mode, &risk.trend);
    let level = format!(
        "{} is at {}, {} of its limit of {}",
        risk.metric,
        words::amount(mode, risk.used),
        words::percent(risk.used / risk.limit),
        words::amount(mode, risk.limit),
    );
    if risk.used >= risk.limit {
        return format!("{level}: nothing is left");
    }
    let since = Timestamp::from_seconds(at.seconds() - trend.span_s);
    let end = match risk.time_to_failure.p50 {
        Some(p50) => format!("; as likely as not the limit is reached within {}", words::duration(p50)),
        None => String::new(),
    };
    format!(
        "{level}; {} at {} ± {} since {since} ({}){end}",
        movement(trend.shape),
        words::rate(mode, trend.rate),
        words::rate(mode, trend.rate_sd),
        words::duration(trend.span_s),
    )
}

fn movement(shape: Shape) -> &'static str {
    match shape {
        Shape::Linear => "rising evenly",
        Shape::Accelerating => "rising faster and faster",
        Shape::Step => "rising in steps",
        Shape::Sawtooth => "its peaks and floor rising",
        Shape::Plateau => "it rose and levels off",
        Shape::Flat | Shape::Unknown => "moving",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use foretwin_core::{Quantiles, Trend};

    pub(crate) fn leak(p: f64) -> Risk {
        const MIB: f64 = 1024.0 * 1024.0;
        Risk {
            mode: FailureMode::MemoryExhaustion,
            metric: "container.memory.unreclaimable".into(),
            used: 180.0 * MIB,
            limit: 256.0 * MIB,
            within: vec![(3600.0, p)],
            time_to_failure: Quantiles { p10: Some(65.0), p50: Some(76.0), p90: Some(99.0) },
            never: 1.0 - p,
            confidence: 0.8,
            trend: Trend { shape: Shape::Linear, rate: MIB, rate_sd: 0.03 * MIB, span_s: 180.0 },
        }
    }

    #[test]
    fn a_leak_is_named_with_its_numbers() {
        let at = Timestamp::from_seconds(1.7e9);
        let causes = causes(&InstanceId::new("h/a"), &[leak(0.95)], at, 3600.0, &Config::default());
        assert_eq!(causes[0].class, "leak");
        let said = &causes[0].evidence[0].statement;
        for words in ["180 MiB", "256 MiB", "70 %", "1 MiB/s", "2023-11-14T22:10:20", "1 min 16 s"] {
            assert!(said.contains(words), "{said} lacks {words}");
        }
        assert!(causes.iter().map(|cause| cause.probability).sum::<f64>() <= 1.0 + 1e-9);
    }

    #[test]
    fn nothing_notable_has_no_cause() {
        let at = Timestamp::from_seconds(1.7e9);
        assert!(causes(&InstanceId::new("h/a"), &[leak(0.1)], at, 3600.0, &Config::default()).is_empty());
    }

    #[test]
    fn a_diagnosis_explains_what_risks_leave_unknown() {
        let (host, at) = (InstanceId::new("h"), Timestamp::from_seconds(1.7e9));
        let config = Config::default();
        let mut vague = leak(0.9);
        vague.trend.shape = Shape::Plateau;
        let alone = causes(&InstanceId::new("h/a"), &[vague], at, 3600.0, &config);
        let evidence = vec![Evidence { metric: "m".into(), statement: "rose".into() }];
        let contention =
            Cause { class: "contention".into(), place: host, probability: 0.8, evidence: evidence.clone() };
        let both = explained(alone.clone(), std::slice::from_ref(&contention));
        let total = |causes: &[Cause]| causes.iter().map(|cause| cause.probability).sum::<f64>();
        let of = |class: &str| both.iter().find(|cause| cause.class == class).unwrap().probability;
        let unknown = alone.iter().find(|cause| cause.class == UNKNOWN).unwrap().probability;
        assert!((of("contention") - 0.8 * unknown).abs() < 1e-12 && of(UNKNOWN) < unknown);
        assert!((total(&both) - total(&alone)).abs() < 1e-12);
        assert_eq!(explained(Vec::new(), &[contention])[0].probability, 0.8);
    }

    #[test]
    fn classes_follow_mode_and_level() {
        let disk = Risk { mode: FailureMode::DiskFull, ..leak(0.9) };
        let full = Risk { used: 256.0 * 1024.0 * 1024.0, ..leak(1.0) };
        assert_eq!((Class::of(&disk), Class::of(&full)), (Class::Growth, Class::Exhaustion));
        assert!(statement(&full, Timestamp(0)).contains("nothing is left"));
    }
}
