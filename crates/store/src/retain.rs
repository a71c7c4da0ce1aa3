//! Lets go of what is too old or too much.

use std::sync::Arc;

use foretwin_core::{DAY_US, Timestamp};

use crate::files::Files;
use crate::sealed::{Level, SealedFile};
use crate::{Error, Store};

/// A minute file that was never merged, for its clock was wrong perhaps, is not kept for that forever.
const PATIENCE_US: i64 = 2 * DAY_US;

impl Store {
    /// Removes files beyond their age, then the oldest while there are too many bytes: raw, minutes, hours in this
    /// order. Nothing goes before the tier made from it is there. Returns how many files went.
    pub(crate) fn retain(&self, now: Timestamp) -> Result<usize, Error> {
        let files = self.files();
        let old = |file: &Arc<SealedFile>| self.is_old(&files, file, now);
        let mut going: Vec<_> =
            files.sealed().iter().map(|one| &one.file).filter(|file| old(file)).cloned().collect();
        let (hot, sealed) = files.bytes();
        let mut bytes = hot + sealed - going.iter().map(|file| file.bytes).sum::<u64>();
        let mut staying: Vec<_> = files.sealed().iter().map(|one| Arc::clone(&one.file)).collect();
        staying
            .retain(|file| !going.iter().any(|gone| Arc::ptr_eq(gone, file)) && self.is_spare(&files, file));
        staying.sort_by_key(|file| (file.coverage.level, file.newest()));
        for file in staying {
            if bytes <= self.config.retention_bytes {
                break;
            }
            bytes -= file.bytes;
            going.push(file);
        }
        for file in &going {
            self.remove_sealed(file)?;
        }
        if !going.is_empty() {
            self.disk.sync_dir(&self.dir).map_err(|error| Error::disk("sync", &self.dir, error))?;
            self.forget(now);
        }
        Ok(going.len())
    }

    fn is_old(&self, files: &Files, file: &SealedFile, now: Timestamp) -> bool {
        let lifetime_us = self.config.lifetimes_us()[file.coverage.level as usize];
        let age_us = now.0.saturating_sub(file.newest().0);
        age_us > lifetime_us
            && (self.is_spare(files, file) || age_us > lifetime_us + PATIENCE_US)
            && !stands_for_hot(files, file)
    }

    /// Whether the tier that is to be made from a file has been made.
    fn is_spare(&self, files: &Files, file: &SealedFile) -> bool {
        let own = file.coverage;
        let tiers = &self.config.tiers;
        let next = match own.level {
            Level::Raw if tiers.minute_days > 0 => Some(Level::Minute),
            Level::Minute if tiers.hour_days > 0 => Some(Level::Hour),
            _ => None,
        };
        let made = next.is_none_or(|next| own.mask() & !files.standing(next, own.flushes) == 0);
        made && !stands_for_hot(files, file)
    }

    /// Drops instances that vanished longer ago than anything of them is kept.
    fn forget(&self, now: Timestamp) {
        let longest_us = self.config.lifetimes_us().into_iter().max().unwrap_or(0);
        let gone = |at: Timestamp| now.0.saturating_sub(at.0) > longest_us;
        self.catalog_write().forget(|_, entry| entry.vanished.is_some_and(gone));
    }
}

/// The newest hot file stays though it is sealed. Without the file that stands for it, it would count again.
fn stands_for_hot(files: &Files, file: &SealedFile) -> bool {
    let own = file.coverage;
    own.level == Level::Raw && files.hot().iter().any(|hot| own.spans((hot.file.sequence, hot.file.sequence)))
}
