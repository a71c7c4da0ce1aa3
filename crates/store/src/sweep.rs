//! Reads the same of many instances: a block of a hot file holds several, and is unpacked once for all of them.
//!
//! One instance after the other would unpack each block again for each of its instances, unless all blocks of the hours
//! that are not sealed yet are kept at hand.

use std::collections::HashMap;
use std::sync::Arc;

use foretwin_core::{InstanceId, Schema, Window};

use crate::files::Files;
use crate::frames::{Frames, Span};
use crate::planes;
use crate::query::{Query, Sources, Thinned, exact_window, gather, gather_level};
use crate::reader::{Reader, Wanted};
use crate::{Error, Store};

/// What is read of each instance.
#[derive(Clone, Copy)]
struct Alike<'a> {
    query: &'a Query,
    schema: &'a Arc<Schema>,
    columns: &'a [usize],
    span: Span,
}

impl<'a> Alike<'a> {
    fn of(self, instance: &'a InstanceId) -> Wanted<'a> {
        Wanted { instance, schema: self.schema.id(), columns: self.columns, span: self.span }
    }
}

impl Store {
    /// [`Store::read`] of one schema of many instances, in their order: what `like` asks, of each of them instead of its
    /// own. `None` where an instance has no such frames, or the query names no schema that is known.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_each(&self, instances: &[InstanceId], like: &Query) -> Result<Vec<Option<Window>>, Error> {
        let mut windows: Vec<Option<Window>> = instances.iter().map(|_| None).collect();
        let Some(schema) = like.schema.and_then(|id| self.schema(id)) else { return Ok(windows) };
        let Some(columns) = like.columns(&schema) else { return Ok(windows) };
        let span = Span { from: like.from, to: like.to };
        let alike = Alike { query: like, schema: &schema, columns: &columns, span };
        let mut order: Vec<usize> = (0..instances.len()).collect();
        order.sort_by_key(|&at| (instances[at].partition().0, &instances[at]));
        let partition = |at: usize| instances[at].partition();
        for run in order.chunk_by(|&a, &b| partition(a) == partition(b)) {
            let members: Vec<&InstanceId> = run.iter().map(|&at| &instances[at]).collect();
            for (&at, window) in run.iter().zip(self.read_run(&members, alike)?) {
                windows[at] = window;
            }
        }
        Ok(windows)
    }

    /// Instances of one partition, in order of name.
    fn read_run(&self, members: &[&InstanceId], alike: Alike<'_>) -> Result<Vec<Option<Window>>, Error> {
        let (schema, columns) = (alike.schema, alike.columns);
        let thinned = alike.query.max_points.map(|points| Thinned::new(alike.span, points));
        let memory = || members.iter().map(|id| self.memory(alike.of(id))).collect::<Vec<Frames>>();
        self.steadily(memory, |heads, files, reader| {
            let mut hot = reader.sweep(files, members, alike)?;
            let mut windows = Vec::with_capacity(members.len());
            for (&id, head) in members.iter().zip(heads) {
                let hot = Some(hot.remove(id.as_str()).unwrap_or_else(|| Frames::new(columns.len())));
                let sources = Sources { head, hot, files, reader };
                windows.push(match thinned {
                    None => {
                        exact_window(id, (schema, columns), gather(sources, schema, alike.of(id), |_| true)?)
                    }
                    Some(thinned) => {
                        let found = gather_level(sources, schema, alike.of(id), thinned.level)?;
                        thinned.window((id, alike.query.statistic), (schema, columns), found)
                    }
                });
            }
            Ok(windows)
        })
    }
}

impl Reader<'_> {
    /// Frames of all members in the hot files of their partition, in arrival order.
    fn sweep<'a>(
        &self,
        files: &Files,
        members: &[&'a InstanceId],
        alike: Alike<'_>,
    ) -> Result<HashMap<&'a str, Frames>, Error> {
        let mut found: HashMap<&str, Frames> =
            members.iter().map(|id| (id.as_str(), Frames::new(alike.columns.len()))).collect();
        let Some(partition) = members.first().map(|id| id.partition().0) else { return Ok(found) };
        for hot in files.hot().iter().filter(|hot| hot.counts(partition)) {
            for block in hot.file.of_any(partition, members) {
                if !alike.span.meets(block.first, block.last) {
                    continue;
                }
                let Some(unpacked) = self.unpack(&hot.file, block)? else { continue };
                let visited = planes::visit_unpacked(&unpacked, |name, schema, packed| {
                    let Some(known) = found.get_mut(name).filter(|_| schema == alike.schema.id()) else {
                        return;
                    };
                    let mut frames = Frames::new(alike.columns.len());
                    packed.append_columns_to(&mut frames, alike.columns);
                    frames.clip(alike.span);
                    known.append(frames);
                });
                visited.unwrap_or_else(|| self.note_lost(&hot.file, block));
            }
        }
        Ok(found)
    }
}
