//! What happened to each source: ticks late and missed, errors, panics, time spent.

use std::sync::atomic::{AtomicU64, Ordering};

/// The account of every source, shared between the loop that writes and the source that reports it.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Vec<Account>);

/// The account of one source.
#[derive(Debug)]
pub(crate) struct Account {
    name: &'static str,
    late: AtomicU64,
    missed: AtomicU64,
    errors: AtomicU64,
    panics: AtomicU64,
    duration_us: AtomicU64,
}

/// What an account holds, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Ticks that began later than allowed.
    pub(crate) late: u64,
    /// Ticks that never were.
    pub(crate) missed: u64,
    /// Readings that failed, wholly or partly.
    pub(crate) errors: u64,
    /// Readings that panicked.
    pub(crate) panics: u64,
    /// Time spent reading.
    pub(crate) duration_us: u64,
}

impl Ledger {
    /// Empty accounts for sources of these names.
    pub(crate) fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self(names.into_iter().map(Account::new).collect())
    }

    /// The accounts, in the order of the names.
    pub(crate) fn accounts(&self) -> &[Account] {
        &self.0
    }
}

impl Account {
    fn new(name: &'static str) -> Self {
        let zero = || AtomicU64::new(0);
        Self { name, late: zero(), missed: zero(), errors: zero(), panics: zero(), duration_us: zero() }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Adds what happened at one tick.
    pub(crate) fn add(&self, tick: Counts) {
        let pairs = [
            (&self.late, tick.late),
            (&self.missed, tick.missed),
            (&self.errors, tick.errors),
            (&self.panics, tick.panics),
            (&self.duration_us, tick.duration_us),
        ];
        for (total, more) in pairs {
            total.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Everything so far.
    pub(crate) fn counts(&self) -> Counts {
        let get = |total: &AtomicU64| total.load(Ordering::Relaxed);
        Counts {
            late: get(&self.late),
            missed: get(&self.missed),
            errors: get(&self.errors),
            panics: get(&self.panics),
            duration_us: get(&self.duration_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_add_up() {
        let ledger = Ledger::new(["machine", "groups"]);
        ledger.accounts()[1].add(Counts { late: 1, duration_us: 30, ..Counts::default() });
        ledger.accounts()[1].add(Counts { errors: 2, duration_us: 12, ..Counts::default() });
        let expected = Counts { late: 1, errors: 2, duration_us: 42, ..Counts::default() };
        assert_eq!(ledger.accounts()[1].counts(), expected);
        assert_eq!(
            (ledger.accounts()[0].name(), ledger.accounts()[0].counts()),
            ("machine", Counts::default())
        );
    }
}
