//! The list of what was found damaged: noted once, kept for the operator, never in the way of reading the rest.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::error::Damage;

/// More than this many damaged parts say no more than this many.
const MOST: usize = 1000;

/// Damage noted so far.
#[derive(Debug, Default)]
pub(crate) struct Damages(Mutex<Vec<Damage>>);

impl Damages {
    pub(crate) fn note(&self, path: &Path, what: String) {
        let mut damages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let damage = Damage { path: path.into(), what };
        if damages.len() < MOST && !damages.contains(&damage) {
            tracing::warn!(file = %path.display(), "{}", damage.what);
            damages.push(damage);
        }
    }

    pub(crate) fn list(&self) -> Vec<Damage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
