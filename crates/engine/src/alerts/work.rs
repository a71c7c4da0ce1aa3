//! Planned work: what is planned, and its end before its time.

use foretwin_core::{Maintenance, Timestamp, fnv64};
use serde::Serialize;

use crate::Error;
use crate::handle::Handle;

/// Planned work with its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaintenanceView {
    /// Its name, from instance and beginning.
    pub id: String,
    /// The work.
    #[serde(flatten)]
    pub work: Maintenance,
    /// Whether it is under way.
    pub active: bool,
}

impl MaintenanceView {
    fn new(work: Maintenance, now: Timestamp) -> Self {
        let hash = fnv64(work.instance.as_str().as_bytes());
        let id = format!("{:016x}-{hash:016x}", work.from.0.max(0));
        let active = (work.from..work.to).contains(&now);
        Self { id, work, active }
    }
}

impl Handle {
    /// All planned work, latest first.
    #[must_use]
    pub fn maintenance(&self) -> Vec<MaintenanceView> {
        let now = self.now();
        let all = self.pipeline.store.maintenance().into_iter();
        let mut views: Vec<MaintenanceView> = all.map(|work| MaintenanceView::new(work, now)).collect();
        views.sort_by_key(|view| std::cmp::Reverse(view.work.from));
        views
    }

    /// Ends planned work now, or calls it off if it has not begun. What is over stays as it is.
    ///
    /// # Errors
    /// If there is none of this name, or the log refuses.
    pub fn end_maintenance(&self, id: &str) -> Result<MaintenanceView, Error> {
        let found = self.maintenance().into_iter().find(|view| view.id == id);
        let found = found.ok_or_else(|| Error::UnknownMaintenance(id.into()))?;
        let now = self.now();
        if found.work.to <= now {
            return Ok(found);
        }
        // The same beginning with another end: the later record counts.
        let work = Maintenance { to: now.max(found.work.from), ..found.work };
        self.ingest(vec![foretwin_core::Record::Maintenance(work.clone())])?;
        Ok(MaintenanceView::new(work, now))
    }
}
