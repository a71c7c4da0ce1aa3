//! Response times as what they are made of: how much of the time a request waits.

/// Samples of which the middle one stands for a moment: response times are sampled, and their noise is large.
const TOGETHER: usize = 5;
/// The share of a series that is at least as fast as a request without a queue.
const UNDISTURBED: f64 = 0.1;

/// Where requests queue: what one takes that does not wait.
///
/// In a queue the response time is about s / (1 - use) (Kleinrock, "Queueing Systems", volume 1, 1975, chapter 3): it stays
/// where it is while use grows evenly, and breaks out at the end. The share spent waiting, 1 - s / response, is about
/// the use: it grows when the use does, as evenly, and its noise shrinks where the response time's grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Queue {
    undisturbed: f64,
}

impl Queue {
    /// From response times in any unit; nothing without any.
    #[must_use]
    pub fn new(response: &[f64]) -> Option<Self> {
        let mut known: Vec<f64> = response.iter().copied().filter(|x| x.is_finite() && *x > 0.0).collect();
        known.sort_by(f64::total_cmp);
        let undisturbed = *known.get((UNDISTURBED * known.len() as f64) as usize)?;
        Some(Self { undisturbed })
    }

    /// The share of a response time that is spent waiting; 0 for one that does not wait, and for a wrong reading that is
    /// not positive.
    #[must_use]
    pub fn waiting(&self, response: f64) -> f64 {
        if response <= 0.0 { 0.0 } else { (1.0 - self.undisturbed / response).max(0.0) }
    }

    /// The same of a whole series, each by the middle of the samples around it.
    #[must_use]
    pub fn all_waiting(&self, response: &[f64]) -> Vec<f64> {
        (0..response.len()).map(|at| self.waiting(middle(response, at))).collect()
    }
}

/// The median of a few samples around one; of fewer at the ends.
fn middle(all: &[f64], at: usize) -> f64 {
    let reach = (TOGETHER / 2).min(at).min(all.len() - 1 - at).max(1);
    let mut near: Vec<f64> = all[at.saturating_sub(reach)..(at + reach + 1).min(all.len())].to_vec();
    near.retain(|x| x.is_finite());
    near.sort_by(f64::total_cmp);
    if near.is_empty() { f64::NAN } else { near[(near.len() - 1) / 2] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_that_grows_evenly_is_even_again_and_noise_is_smoothed() {
        // A request of 10 ms on a queue whose use goes from 0 to 0.9; one reading in seven is wrong.
        let response = |i: usize| {
            let used = (0.01 * i as f64 - 0.2).max(0.0);
            10.0 / (1.0 - used) * if i % 7 == 3 { 3.0 } else { 1.0 }
        };
        let all: Vec<f64> = (0..110).map(response).collect();
        let queue = Queue::new(&all).unwrap();
        assert!((queue.waiting(100.0) - 0.9).abs() < 1e-9 && queue.waiting(5.0) == 0.0);
        assert_eq!((queue.waiting(0.0), queue.waiting(-0.1)), (0.0, 0.0), "a wrong reading is no wait");
        let all = queue.all_waiting(&all);
        let even = all.windows(2).skip(25).all(|pair| (-0.001..0.06).contains(&(pair[1] - pair[0])));
        assert!(even && (all[60] - 0.4).abs() < 0.03, "{all:?}");
        assert!(Queue::new(&[]).is_none() && Queue::new(&[f64::NAN, 0.0]).is_none());
    }
}
