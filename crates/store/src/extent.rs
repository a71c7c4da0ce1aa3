//! First and last frame of a series, without opening files that cannot change the answer.

use foretwin_core::{InstanceId, SchemaId, Timestamp};

use crate::Error;
use crate::files::Files;
use crate::reader::Reader;
use crate::sealed::Level;

/// The earliest and latest frame found so far.
pub(crate) struct Extent(pub(crate) Option<(Timestamp, Timestamp)>);

impl Extent {
    /// Whether what lies between the two moments changes nothing.
    fn holds(&self, first: Timestamp, last: Timestamp) -> bool {
        self.0.is_some_and(|(from, to)| from <= first && last <= to)
    }

    fn widen(&mut self, first: Timestamp, last: Timestamp) {
        self.0 = Some(self.0.map_or((first, last), |(from, to)| (from.min(first), to.max(last))));
    }

    pub(crate) fn widen_sealed(
        &mut self,
        files: &Files,
        reader: Reader<'_>,
        (instance, schema): (&InstanceId, SchemaId),
    ) -> Result<(), Error> {
        let part = |file| {
            let file: &crate::sealed::SealedFile = file;
            file.part(instance.partition().0).map(|part| (file, part))
        };
        let raw: Vec<_> = files.of(Level::Raw).filter_map(|one| part(&one.file)).collect();
        // The ends first: what lies between them then need not be opened.
        let outside_in = (0..raw.len()).map(|at| if at % 2 == 0 { at / 2 } else { raw.len() - 1 - at / 2 });
        for (file, part) in outside_in.map(|at| raw[at]) {
            if self.holds(part.first, part.last) {
                continue;
            }
            for series in reader.index(file, part, |name| name == instance.as_str())?.series {
                if file.schema_ids.get(series.schema) == Some(&schema) {
                    self.widen(series.first, series.last);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn widen_hot(
        &mut self,
        files: &Files,
        reader: Reader<'_>,
        (instance, schema): (&InstanceId, SchemaId),
    ) -> Result<(), Error> {
        let partition = instance.partition().0;
        for hot in files.hot().iter().filter(|hot| hot.counts(partition)) {
            for block in hot.file.about(instance) {
                if self.holds(block.first, block.last) {
                    continue;
                }
                let is = |name: &str, id| name == instance.as_str() && id == schema;
                for series in reader.block(&hot.file, block, is)? {
                    series.frames.times.iter().for_each(|&at| self.widen(at, at));
                }
            }
        }
        Ok(())
    }
}
