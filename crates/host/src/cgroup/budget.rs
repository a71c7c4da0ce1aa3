//! How many descriptors may stay open for control groups, all groups together.
#![allow(unsafe_code)] // getrlimit and setrlimit have no safe counterpart in the standard library.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Error;

/// Descriptors left to keep open. What goes beyond it is opened at each read, which costs about five times as much.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// So many descriptors.
    #[must_use]
    pub fn new(descriptors: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(descriptors)))
    }

    /// How many are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One descriptor, given back when dropped; none when all are taken.
    pub(super) fn take(&self) -> Option<Permit> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.ok().map(|_| Permit(Arc::clone(&self.0)))
    }
}

/// One descriptor of a [`Budget`].
#[derive(Debug)]
pub(super) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Raises this process's soft limit of open descriptors towards `wanted`, as far as the hard limit allows, and
/// returns the limit that now holds.
///
/// # Errors
/// If the limit can be neither read nor set.
pub fn raise_descriptor_limit(wanted: u64) -> Result<u64, Error> {
    let failed =
        |call| Error::Call { call, object: "open descriptors".into(), source: io::Error::last_os_error() };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live local of the type the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(failed("getrlimit"));
    }
    let raised = wanted.min(limit.rlim_max);
    if raised > limit.rlim_cur {
        limit.rlim_cur = raised;
        // SAFETY: as above; the call only reads it.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(failed("setrlimit"));
        }
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_come_back() {
        let budget = Budget::new(1);
        let first = budget.take();
        assert!(first.is_some() && budget.take().is_none());
        drop(first);
        assert_eq!(budget.left(), 1);
    }

    #[test]
    fn the_limit_never_falls() {
        let now = raise_descriptor_limit(0).unwrap();
        assert!(now > 0 && raise_descriptor_limit(now).unwrap() == now);
    }
}
