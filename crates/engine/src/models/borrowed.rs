//! Instances that have no model of their own yet, and are judged by one that was made for all of their workload.

use foretwin_core::InstanceId;

use crate::models::ModelLineView;
use crate::pipeline::Pipeline;

impl Pipeline {
    /// The lines of an instance without versions: one for each schema by which it is judged, the main one first.
    pub(super) fn borrowed(&self, id: &InstanceId) -> Vec<ModelLineView> {
        let cohorts = self.cohorts();
        let lines = self.with(id, |watched| {
            let main = watched.main().map(|feed| feed.schema.id());
            let judged = watched.current().filter_map(|feed| {
                let (model, _) = feed.model()?;
                let schema = feed.schema.id();
                let leader = cohorts.leader(watched.cohort, schema)?;
                Some(ModelLineView {
                    instance: id.as_str().to_owned(),
                    schema: schema.to_string(),
                    main: main == Some(schema),
                    champion: None,
                    judging: Some(model.version()),
                    judged_for_all: Some(leader.as_str().to_owned()),
                    reference: None,
                    challengers: Vec::new(),
                    rollback_to: None,
                    versions: Vec::new(),
                    changes: Vec::new(),
                })
            });
            judged.collect::<Vec<_>>()
        });
        let mut lines = lines.unwrap_or_default();
        lines.sort_by_key(|line| !line.main);
        lines
    }
}
