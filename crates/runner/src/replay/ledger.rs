//! What the replay was told to do and what it did, dimension by dimension.

use std::sync::{Mutex, PoisonError};

use foretwin_core::profile::DIMENSIONS;
use foretwin_core::{Demand, Dimension};

/// Work older than this is given up: a replay that fell behind must not end in one long burst.
const MOST_BEHIND_S: f64 = 10.0;

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    /// Now: a rate per second, or a level.
    command: f64,
    /// Sum of the commands over time since the last report.
    commanded: f64,
    achieved: f64,
    /// Commanded, neither done nor given up.
    due: f64,
}

/// Shared by the driver, which commands, and the workers.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<[Account; DIMENSIONS]>);

/// Of one dimension, over a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Told {
    pub commanded: f64,
    pub achieved: f64,
    pub behind_s: f64,
}

/// Whether a dimension is a level that is held, not a rate that is worked off.
fn is_level(dimension: Dimension) -> bool {
    matches!(dimension, Dimension::WorkingSet | Dimension::ServiceTime)
}

impl Ledger {
    fn with<T>(&self, act: impl FnOnce(&mut [Account; DIMENSIONS]) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Commands a demand, from now on, after `passed_s` under the one before.
    pub fn command(&self, demand: &Demand, passed_s: f64) {
        self.with(|accounts| {
            for (account, dimension) in accounts.iter_mut().zip(Dimension::ALL) {
                let work = account.command * passed_s;
                account.commanded += work;
                if !is_level(dimension) {
                    account.due = (account.due + work).min(account.command * MOST_BEHIND_S);
                }
                account.command = demand.get(dimension);
            }
        });
    }

    /// The command in force.
    pub fn level(&self, dimension: Dimension) -> f64 {
        self.with(|accounts| accounts[dimension.index()].command)
    }

    /// What waits to be done.
    pub fn due(&self, dimension: Dimension) -> f64 {
        self.with(|accounts| accounts[dimension.index()].due)
    }

    /// Puts down work that was done, or the level that is held.
    pub fn did(&self, dimension: Dimension, amount: f64) {
        self.with(|accounts| {
            let account = &mut accounts[dimension.index()];
            if is_level(dimension) {
                account.achieved = amount;
            } else {
                account.achieved += amount;
                account.due = (account.due - amount).max(0.0);
            }
        });
    }

    /// Tells of the period since the last time.
    pub fn take(&self, dimension: Dimension, period_s: f64) -> Told {
        self.with(|accounts| {
            let account = &mut accounts[dimension.index()];
            let commanded = std::mem::take(&mut account.commanded) / period_s;
            if is_level(dimension) {
                return Told { commanded, achieved: account.achieved, behind_s: f64::NAN };
            }
            let achieved = std::mem::take(&mut account.achieved) / period_s;
            let behind_s = if account.command > 0.0 { account.due / account.command } else { 0.0 };
            Told { commanded, achieved, behind_s }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_owed_until_it_is_done_or_too_old() {
        let ledger = Ledger::default();
        let demand = Demand::NONE.with(Dimension::Reads, 10.0).with(Dimension::WorkingSet, 5e6);
        ledger.command(&demand, 0.0);
        ledger.command(&demand, 2.0);
        assert_eq!(ledger.due(Dimension::Reads), 20.0);
        ledger.did(Dimension::Reads, 5.0);
        ledger.did(Dimension::WorkingSet, 4e6);
        let told = ledger.take(Dimension::Reads, 2.0);
        assert_eq!(told, Told { commanded: 10.0, achieved: 2.5, behind_s: 1.5 });
        let told = ledger.take(Dimension::WorkingSet, 2.0);
        assert_eq!((told.commanded, told.achieved), (5e6, 4e6));
        ledger.command(&demand, 1000.0);
        assert_eq!(ledger.due(Dimension::Reads), 100.0);
        ledger.command(&Demand::NONE, 0.0);
        assert_eq!(ledger.level(Dimension::Reads), 0.0);
    }
}
