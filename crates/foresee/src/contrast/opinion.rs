//! A verdict that forms over several windows: probabilities smoothed in time, and since when it is not well.

use foretwin_core::{Evidence, InstanceId, Timestamp, Verdict, VerdictClass};

use super::fuse::Fused;
use super::state::{Reader, Writer};
use crate::Error;

/// Weight of the newest second. Slower (0.12) found one fault in twenty less within half a minute and was no calmer.
const SMOOTHING: f32 = 0.2;

/// What is thought so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Opinion {
    /// In the order of [`VerdictClass::ALL`].
    probabilities: [f32; 8],
    /// How much of the time it was self-inflicted, smoothed.
    self_inflicted: f32,
    since: Option<Timestamp>,
}

impl Default for Opinion {
    fn default() -> Self {
        let probabilities =
            VerdictClass::ALL.map(|class| f32::from(u8::from(class == VerdictClass::Healthy)));
        Self { probabilities, self_inflicted: 0.0, since: None }
    }
}

impl Opinion {
    pub fn encode(&self, to: &mut Writer) {
        self.probabilities.iter().chain([&self.self_inflicted]).for_each(|&value| to.f32(value));
        to.moment(self.since);
    }

    pub fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let mut probabilities = [0.0; 8];
        for probability in &mut probabilities {
            *probability = from.f32()?;
        }
        let (self_inflicted, since) = (from.f32()?, from.moment()?);
        let sum: f32 = probabilities.iter().chain([&self_inflicted]).sum();
        if !sum.is_finite() || probabilities.iter().any(|p| !(0.0..=1.001).contains(p)) {
            return Err(Error::Comparison("a probability is none"));
        }
        Ok(Self { probabilities, self_inflicted, since })
    }

    /// Takes in what one window says.
    pub fn take(&mut self, at: Timestamp, fused: &Fused) {
        for (held, new) in self.probabilities.iter_mut().zip(fused.probabilities) {
            *held += SMOOTHING * (new - *held);
        }
        self.self_inflicted += SMOOTHING * (f32::from(u8::from(fused.self_inflicted)) - self.self_inflicted);
        self.since = match self.class() {
            VerdictClass::Healthy => None,
            _ => self.since.or(Some(at)),
        };
    }

    /// The likeliest class.
    pub fn class(&self) -> VerdictClass {
        let all = VerdictClass::ALL.into_iter().zip(self.probabilities);
        all.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(VerdictClass::Undetermined, |(class, _)| class)
    }

    /// Whether it may be learned from.
    pub fn is_calm(&self) -> bool {
        self.probabilities[0] > 0.8
    }

    /// The opinion as a verdict. `named` is who uses more than ever, in words too; only where the infrastructure is
    /// blamed it matters.
    pub fn verdict(&self, named: Option<(InstanceId, Evidence)>, mut evidence: Vec<Evidence>) -> Verdict {
        let class = self.class();
        let blames = matches!(class, VerdictClass::Infrastructure | VerdictClass::Both);
        let is_own = matches!(class, VerdictClass::Workload | VerdictClass::Instance);
        let all = VerdictClass::ALL.into_iter().zip(self.probabilities.map(f64::from));
        let probabilities: Vec<(VerdictClass, f64)> = all.filter(|(_, p)| *p > 0.0).collect();
        let probability = probabilities.iter().map(|(_, p)| *p).fold(0.0, f64::max);
        let named = named.filter(|_| blames);
        let consumer = named.as_ref().map(|(id, _)| id.clone());
        if let Some((_, words)) = named {
            evidence.insert(0, words);
        }
        Verdict {
            class,
            self_inflicted: is_own && self.self_inflicted > 0.5,
            consumer,
            probability,
            since: self.since,
            evidence: if class == VerdictClass::Healthy { Vec::new() } else { evidence },
            probabilities,
        }
    }
}
