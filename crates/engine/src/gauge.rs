//! How far long work has come: told by who works, read by who asks.

use std::sync::atomic::{AtomicU32, Ordering};

/// A share that only grows; none until somebody told one.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU32);

/// Shares are kept in these, one more so that nothing told is nought.
const PARTS: f64 = 10_000.0;

impl Gauge {
    /// So much is done, 0 to 1; less than was told before changes nothing.
    pub(crate) fn tell(&self, share: f64) {
        self.0.fetch_max(1 + (share.clamp(0.0, 1.0) * PARTS) as u32, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Option<f64> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(|parts| f64::from(parts) / PARTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_only_grows() {
        let gauge = Gauge::default();
        assert_eq!(gauge.read(), None);
        gauge.tell(0.0);
        assert_eq!(gauge.read(), Some(0.0));
        gauge.tell(0.5);
        gauge.tell(0.25);
        assert_eq!(gauge.read(), Some(0.5));
    }
}
