//! Takes over the models of data directories of format 1: one file for each champion, `*.model`, a label before its
//! bytes.

use std::path::Path;

use foretwin_core::{InstanceId, Phase, SchemaId, WorkloadId};
use foretwin_disk::Disk;
use foretwin_learn::{Model, Provenance};
use serde::Deserialize;

use crate::Error;
use crate::error::Chain;
use crate::registry::manifest::Because;
use crate::registry::{Line, Registry};

/// What such a file says before the model's own bytes.
#[derive(Deserialize)]
struct Label {
    instance: String,
    workload: WorkloadId,
    schema: SchemaId,
    phase: Phase,
    /// CRC-32 of the model's bytes.
    checksum: u32,
}

impl Registry {
    /// Takes every old file over and deletes it; what cannot be read stays for people.
    pub(super) fn carry_over(&self, disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
        let at = |operation| move |source| Error::File { operation, path: dir.to_path_buf(), source };
        for path in disk.list(dir).map_err(at("listing"))? {
            if path.extension().is_none_or(|ending| ending != "model") {
                continue;
            }
            let (label, model) = match read(disk, &path) {
                Ok(read) => read,
                Err(reason) => {
                    tracing::warn!("{}: {reason}; the model is trained again", path.display());
                    continue;
                }
            };
            // After a kill between the two steps below the line is there already.
            let line = Line::new(&InstanceId::new(&label.instance), label.schema);
            if self.index().own(&line).is_none()
                && let Err(error) = self.carry(&line, &label, &model)
            {
                tracing::warn!("{}: {}; the model is trained again", path.display(), Chain(&error));
                continue;
            }
            disk.remove(&path).map_err(at("cleaning"))?;
        }
        Ok(())
    }

    fn carry(&self, line: &Line, label: &Label, model: &Model) -> Result<(), Error> {
        let provenance = Provenance {
            instance: label.instance.clone(),
            to_us: model.trained_at(),
            rows: model.rows(),
            phase: Some(label.phase),
            reason: "taken over from format 1".into(),
            ..Provenance::default()
        };
        // Its number goes on: judgements of before name it.
        self.add_and(line, &label.workload, (model, &provenance), |manifest, version, at| {
            manifest.promote(version, Because { at, reason: &provenance.reason })
        })?;
        Ok(())
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<(Label, Model), String> {
    let length = disk.length(path).map_err(|error| error.to_string())?;
    let bytes = disk.read(path, 0, length as usize).map_err(|error| error.to_string())?;
    let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("it has no label")?;
    let label: Label = serde_json::from_slice(&bytes[..end]).map_err(|error| error.to_string())?;
    let body = &bytes[end + 1..];
    if foretwin_wire::checksum(body) != label.checksum {
        return Err("its checksum does not match".into());
    }
    let model = Model::decode(body).map_err(|error| error.to_string())?;
    Ok((label, model))
}
