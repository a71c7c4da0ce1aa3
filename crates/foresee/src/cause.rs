//! Why a resource runs out, in a first version: from the risk alone, without asking what else happened.
//!
//! Steady growth of what a workload should give back is a leak, growth of what it stores is growth, a limit that is
//! reached is exhaustion, and what remains is unknown. A causal diagnosis with topology and the twin's contrast takes
//! the same risks and gives the same [`Cause`]s.

use foretwin_core::{Cause, Evidence, FailureMode, InstanceId, Risk, Shape, Timestamp};

use crate::{Config, words};

/// Share of the limit from which a level alone is a cause.
const NEARLY_FULL: f64 = 0.98;

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
    Cause { class: "unknown".into(), place: instance.clone(), probability, evidence: evidence.collect() }
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
    fn classes_follow_mode_and_level() {
        let disk = Risk { mode: FailureMode::DiskFull, ..leak(0.9) };
        let full = Risk { used: 256.0 * 1024.0 * 1024.0, ..leak(1.0) };
        assert_eq!((Class::of(&disk), Class::of(&full)), (Class::Growth, Class::Exhaustion));
        assert!(statement(&full, Timestamp(0)).contains("nothing is left"));
    }
}
