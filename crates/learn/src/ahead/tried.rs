//! What was tried to expect a metric at a lead, what each way came to on held-out data, and which one is used.

use serde::{Deserialize, Serialize};

use super::heads::{Errors, Way};
use super::trace::bases;
use super::{Ahead, Method};

/// A way to expect a metric at a lead, and its held-out errors in standardised units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The way.
    pub method: Method,
    /// Root mean square error.
    pub rms: f64,
    /// Mean absolute error, by which direct ways are chosen; none where only the other was measured.
    pub mae: Option<f64>,
}

/// How a metric is expected at a lead, and what that beat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Column of the metric in the schema.
    pub column: usize,
    /// Seconds ahead.
    pub lead_s: f64,
    /// Seconds that one value is the mean of.
    pub step_s: f64,
    /// The way that is used.
    pub chosen: Candidate,
    /// The others, the best of each kind, by their error. Of several ways of one kind the best is told; one that is
    /// richer than the chosen one and hardly better stands here too.
    pub beaten: Vec<Candidate>,
}

impl Ahead {
    /// What was tried for every metric at every lead.
    #[must_use]
    pub fn tried(&self) -> Vec<Tried> {
        let simple = bases(self.seasons.len());
        let way = |at: usize| match at {
            at if at < simple => Way::Base(at as u32),
            at if at == simple => Way::Own,
            _ => Way::Joint,
        };
        let mut tried = Vec::new();
        for (lead, heads) in self.heads.iter().enumerate() {
            for (n, head) in heads.iter().enumerate() {
                let all = head.errors.iter().enumerate().map(|(at, errors)| self.candidate(way(at), *errors));
                let mut all: Vec<Candidate> = all.collect();
                let used = Errors { rms: head.scale, mae: f32::NAN };
                let place = (0..all.len()).find(|&at| way(at) == head.way);
                let direct = place.map_or_else(|| self.candidate(head.way, used), |at| all[at]);
                let chosen = self.corrected(direct, (lead, n));
                let mut beaten = Vec::new();
                if chosen.method != direct.method {
                    beaten.push(direct);
                }
                all.sort_by(|a, b| order(a).total_cmp(&order(b)));
                for one in all {
                    let same = |other: &Candidate| other.method == one.method;
                    if one.method != direct.method && !beaten.iter().any(same) {
                        beaten.push(one);
                    }
                }
                let lead_s = self.leads[lead] as f64 * self.step_s();
                let (column, step_s) = (self.columns[n] as usize, self.step_s());
                tried.push(Tried { column, lead_s, step_s, chosen, beaten });
            }
        }
        tried
    }

    fn candidate(&self, way: Way, errors: Errors) -> Candidate {
        let mae = Some(f64::from(errors.mae)).filter(|mae| mae.is_finite());
        Candidate { method: self.method(way), rms: f64::from(errors.rms), mae }
    }

    /// A direct way with the LSTM's correction, where that is used.
    fn corrected(&self, direct: Candidate, (lead, n): (usize, usize)) -> Candidate {
        let (squared, absolute) = (self.left(lead, n), self.left_absolute(lead, n));
        if squared >= 1.0 {
            return direct;
        }
        let (rms, mae) = (direct.rms * f64::from(squared).sqrt(), direct.mae.zip(absolute));
        let mae = mae.map(|(mae, left)| mae * f64::from(left));
        Candidate { method: Method::Lstm, rms, mae }
    }
}

fn order(one: &Candidate) -> f64 {
    one.mae.unwrap_or(one.rms)
}
