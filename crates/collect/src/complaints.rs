//! Logging of failures: each cause once, and again only after a while.

use std::fmt::{self, Write};

use foretwin_core::Fnv64;

/// How long a cause that was told stays untold.
const QUIET_NS: u64 = 600_000_000_000;
/// Causes remembered for each source; a cause beyond them pushes out the one told longest ago.
const MOST: usize = 16;

/// The causes that one source was blamed for.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Vec<Complaint>);

#[derive(Debug)]
struct Complaint {
    cause: u64,
    told_ns: u64,
    untold: u64,
}

impl Complaints {
    /// Takes note of a failure. Returns how often it happened untold before, if it is to be told now.
    pub(crate) fn note(&mut self, cause: &dyn fmt::Display, now_ns: u64) -> Option<u64> {
        let mut digest = Digest(Fnv64::default());
        // A digest takes any text.
        let _ = write!(digest, "{cause}");
        let cause = digest.0.finish();
        if let Some(known) = self.0.iter_mut().find(|known| known.cause == cause) {
            if now_ns.saturating_sub(known.told_ns) < QUIET_NS {
                known.untold += 1;
                return None;
            }
            known.told_ns = now_ns;
            return Some(std::mem::take(&mut known.untold));
        }
        if self.0.len() == MOST {
            let oldest = (0..MOST).min_by_key(|&at| self.0[at].told_ns).unwrap_or_default();
            self.0.swap_remove(oldest);
        }
        self.0.push(Complaint { cause, told_ns: now_ns, untold: 0 });
        Some(0)
    }
}

/// Hashes text as it is written, so that a cause need not be kept.
struct Digest(Fnv64);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_once_in_a_while() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.note(&"a", 0), Some(0));
        assert_eq!(
            (complaints.note(&"a", 1), complaints.note(&"b", 1), complaints.note(&"a", 2)),
            (None, Some(0), None)
        );
        assert_eq!(complaints.note(&"a", QUIET_NS), Some(2));
        assert_eq!(complaints.note(&"a", QUIET_NS + 1), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut complaints = Complaints::default();
        for n in 0..1000 {
            assert_eq!(complaints.note(&n, n), Some(0));
        }
        assert_eq!(complaints.0.len(), MOST);
    }
}
