//! From the risks of an instance to the answer to "what will fail, when, why, and what should I do?".

use foretwin_core::{FailureProbability, InstanceId, Judgement, Learning, Prediction, Risk, Timestamp};

use crate::{Config, actions, causes};

/// What a prediction is made from.
#[derive(Debug, Clone)]
pub struct Question {
    /// Whose.
    pub instance: InstanceId,
    /// The moment asked at.
    pub at: Timestamp,
    /// The horizon asked for, in seconds. For an exact answer the risks were made with
    /// [`Config::with_horizon`]; between stated horizons probabilities are interpolated.
    pub horizon_s: f64,
    /// One per resource with a limit.
    pub risks: Vec<Risk>,
    /// The latest score, once there is a model.
    pub anomaly: Option<Judgement>,
    /// How far learning has come.
    pub learning: Learning,
}

/// The probability that any of `risks` comes true within `horizon_s`: 1 − Π (1 − pᵢ), as competing modes that are
/// independent given what is known now (Crowder, "Classical Competing Risks", 2001, chapter 1).
#[must_use]
pub fn combine(risks: &[Risk], horizon_s: f64) -> f64 {
    1.0 - risks.iter().map(|risk| 1.0 - risk.at(horizon_s).clamp(0.0, 1.0)).product::<f64>()
}

/// Answers a question.
#[must_use]
pub fn predict(question: Question, config: &Config) -> Prediction {
    let Question { instance, at, horizon_s, mut risks, anomaly, learning } = question;
    risks.sort_by(|a, b| b.at(horizon_s).total_cmp(&a.at(horizon_s)));
    let probabilities = config.horizons_s.iter().map(|&horizon_s| {
        let probability = combine(&risks, horizon_s);
        FailureProbability { horizon_s, probability }
    });
    Prediction {
        failure_probability: combine(&risks, horizon_s),
        confidence: confidence(&risks, horizon_s),
        root_causes: causes(&instance, &risks, at, horizon_s, config),
        recommended_actions: actions(&instance, &risks, horizon_s, config),
        probabilities: probabilities.collect(),
        instance,
        at,
        horizon_s,
        risks,
        anomaly,
        learning,
        contrast: None,
        calibration: None,
        report_id: None,
        flags: Vec::new(),
    }
}

/// The risks' confidence, each weighted by its share in the answer; without risks nothing supports it.
fn confidence(risks: &[Risk], horizon_s: f64) -> f64 {
    let weight = |risk: &Risk| risk.at(horizon_s) + 0.01;
    let total: f64 = risks.iter().map(weight).sum();
    let sum: f64 = risks.iter().map(|risk| weight(risk) * risk.confidence).sum();
    if total > 0.0 { sum / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::tests::leak;
    use foretwin_core::Phase;

    #[test]
    fn modes_compete() {
        assert_eq!(combine(&[], 3600.0), 0.0);
        assert!((combine(&[leak(0.5), leak(0.2)], 3600.0) - 0.6).abs() < 1e-12);
    }

    #[test]
    fn a_prediction_is_whole_and_in_order() {
        let learning = Learning {
            phase: Phase::Gathering,
            progress: 0.0,
            model_version: 0,
            message: "gathering".into(),
        };
        let at = Timestamp::from_seconds(1.7e9);
        let (instance, risks) = (InstanceId::new("h/a"), vec![leak(0.1), leak(0.95)]);
        let question = Question { instance, at, horizon_s: 3600.0, risks, anomaly: None, learning };
        let prediction = predict(question, &Config::default());
        assert_eq!(prediction.failure_probability, combine(&prediction.risks, 3600.0));
        assert!(prediction.failure_probability > 0.95 && prediction.risks[0].at(3600.0) == 0.95);
        assert!((prediction.confidence - 0.8).abs() < 1e-9);
        assert_eq!(
            (prediction.root_causes[0].class.as_str(), prediction.recommended_actions.len()),
            ("leak", 3)
        );
        assert_eq!(prediction.probabilities.len(), 4);
    }

    #[test]
    fn without_risks_nothing_is_claimed() {
        let learning =
            Learning { phase: Phase::Gathering, progress: 0.0, model_version: 0, message: String::new() };
        let (instance, at) = (InstanceId::new("h"), Timestamp(0));
        let question = Question { instance, at, horizon_s: 60.0, risks: Vec::new(), anomaly: None, learning };
        let prediction = predict(question, &Config::default());
        assert_eq!((prediction.failure_probability, prediction.confidence), (0.0, 0.0));
        assert!(prediction.root_causes.is_empty() && prediction.recommended_actions.is_empty());
    }
}
