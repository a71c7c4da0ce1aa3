//! When a probability becomes an alert: not at once.

/// Remembers the last statement of one instance; an alert needs two consecutive exceedances, and ends at the first
/// statement well below.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Alert {
    exceeded: bool,
    raised: bool,
}

impl Alert {
    /// Share of the threshold below which an alert ends: one that hovers around the threshold is one alert.
    const RELEASE: f64 = 0.6;

    /// Takes the next calibrated probability; whether an alert stands.
    pub fn take(&mut self, probability: f64, threshold: f64) -> bool {
        let exceeds = probability > threshold;
        self.raised =
            if self.raised { probability > Self::RELEASE * threshold } else { exceeds && self.exceeded };
        self.exceeded = exceeds;
        self.raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exceedance_is_none_and_hovering_is_one() {
        let mut alert = Alert::default();
        let said: Vec<bool> =
            [0.6, 0.2, 0.6, 0.7, 0.45, 0.55, 0.1, 0.6].iter().map(|&p| alert.take(p, 0.5)).collect();
        assert_eq!(said, [false, false, false, true, true, true, false, false]);
    }
}
