//! Says an anomaly once: what lasts, or follows closely and is no worse, is no news.

/// What was told last.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct News {
    /// How bad that was.
    told: f64,
    /// Frames for which it is remembered.
    left: usize,
}

/// Frames for which only worse is news.
const QUIET_FRAMES: usize = 200;
/// How much worse, as a factor.
const WORSE: f64 = 1.3;

impl News {
    /// The value where it is news, else zero.
    pub fn filter(&mut self, value: f64, least: f64) -> f64 {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.told = 0.0;
        }
        if value <= least || value <= WORSE * self.told {
            return 0.0;
        }
        *self = Self { told: value, left: QUIET_FRAMES + 1 };
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_is_told_once_and_again_when_it_gets_worse_or_returns() {
        let mut news = News::default();
        let told: Vec<f64> = [3.0, 3.2, 3.0, 4.0, 4.1].iter().map(|x| news.filter(*x, 0.5)).collect();
        assert_eq!(told, [3.0, 0.0, 0.0, 4.0, 0.0]);
        assert!((0..QUIET_FRAMES).all(|_| news.filter(0.1, 0.5) == 0.0));
        assert_eq!(news.filter(3.0, 0.5), 3.0);
    }
}
