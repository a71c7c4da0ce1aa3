//! What else is known of an instance at a moment, beside what grows: its anomaly, its contrast, its known issues.

/// Signs of trouble that no growing resource shows. What is not known is no sign.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Signs {
    /// The anomaly score; above 1 is anomalous.
    pub anomaly: Option<f64>,
    /// Probability that the machine underneath is in trouble, by the contrast of production and twin.
    pub infrastructure: Option<f64>,
    /// Known issues that its newest report has: a number for each rule, the same for the same rule.
    pub issues: Vec<u64>,
}

/// How many numbers of them are features of the hazard.
pub(crate) const SIGNS: usize = 2;
/// Logarithm of the anomaly score beyond which more is no more news.
const MOST: f64 = 3.0;

impl Signs {
    /// As features: nothing while all is ordinary or nothing is known. Issues are not among them: each has a weight of its
    /// own.
    pub(crate) fn features(&self) -> [f64; SIGNS] {
        let anomaly = self.anomaly.filter(|score| score.is_finite()).map_or(0.0, |score| score.max(1.0).ln());
        let infrastructure = self.infrastructure.filter(|p| p.is_finite());
        [anomaly.min(MOST), infrastructure.map_or(0.0, |p| p.clamp(0.0, 1.0))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ordinary_or_unknown_is_no_sign() {
        assert_eq!(Signs::default().features(), [0.0; SIGNS]);
        let calm = Signs { anomaly: Some(0.4), infrastructure: Some(0.0), issues: vec![3] };
        assert_eq!(calm.features(), [0.0; SIGNS]);
        let odd = Signs { anomaly: Some(std::f64::consts::E), infrastructure: Some(f64::NAN), ..calm };
        assert_eq!(odd.features(), [1.0, 0.0]);
        let loud = Signs { anomaly: Some(1e9), infrastructure: Some(0.9), ..odd };
        assert_eq!(loud.features(), [MOST, 0.9]);
    }
}
