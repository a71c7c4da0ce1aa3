//! The source that reads all sections into one frame.

use std::ops::Range;
use std::sync::Arc;

use foretwin_core::{Instance, MISSING, Schema, Timestamp, Value};
use foretwin_host::file::Buffer;

use super::collection::{Collection, Own};
use super::config::Config;
use super::cpu::{Processors, RunDelay};
use super::disks::Disks;
use super::file_systems::FileSystems;
use super::limits::{OpenFiles, ThreadLimit, TrackedConnections};
use super::memory::Memory;
use super::network::Interfaces;
use super::paging::Paging;
use super::pressure::{Pressure, RESOURCES};
use super::section::{Layout, Section};
use super::sockets::{Protocols, Sockets};
use super::tasks::Tasks;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::sink::{Sink, Source};

/// Name of the source.
pub const NAME: &str = "machine";

/// A section and its place in the frame.
struct Part {
    section: Box<dyn Section>,
    cells: Range<usize>,
    read_at: Option<Timestamp>,
}

/// The machine.
pub struct Machine {
    instance: Instance,
    is_announced: bool,
    parts: Vec<Part>,
    schema: Arc<Schema>,
    values: Vec<Value>,
    buffer: Buffer,
}

impl Machine {
    /// The machine under the name `host`, without metrics of collection itself.
    #[must_use]
    pub fn new(host: &str, config: &Config) -> Self {
        Self::open(super::instance(host), config, Arc::default())
    }

    /// Opens every file that this kernel has. What cannot be opened is said once and left out.
    pub(crate) fn open(instance: Instance, config: &Config, ledger: Arc<Ledger>) -> Self {
        let mut sections = Sections(Vec::new());
        sections.open(config);
        sections.0.push(Box::new(Collection(ledger)));
        Self::of(instance, sections.0)
    }

    fn of(instance: Instance, sections: Vec<Box<dyn Section>>) -> Self {
        let part = |section| Part { section, cells: 0..0, read_at: None };
        let parts = sections.into_iter().map(part).collect();
        let (schema, values) = (Schema::new(Vec::new()), Vec::new());
        let mut machine =
            Self { instance, is_announced: false, parts, schema, values, buffer: Buffer::default() };
        machine.describe();
        machine
    }

    /// Makes the schema that the sections have now, with nothing read.
    fn describe(&mut self) {
        let mut metrics = Vec::new();
        for part in &mut self.parts {
            let start = metrics.len();
            part.section.describe(&mut metrics);
            (part.cells, part.read_at) = (start..metrics.len(), None);
        }
        self.values = vec![MISSING; metrics.len()];
        self.schema = Schema::new(metrics);
        debug_assert_eq!(self.schema.width(), self.values.len(), "two metrics have one key");
    }

    /// Reads the sections that are due.
    fn read_parts(&mut self, at: Timestamp, errors: &mut Vec<Error>) -> Layout {
        let mut layout = Layout::Same;
        for part in self.parts.iter_mut().filter(|part| part.is_due(at)) {
            let cells = &mut self.values[part.cells.clone()];
            // What a failed reading does not fill is missing; what it held before is not repeated.
            cells.fill(MISSING);
            part.read_at = Some(at);
            match part.section.read(&mut self.buffer, cells) {
                Ok(Layout::Same) => {}
                Ok(Layout::Changed) => layout = Layout::Changed,
                Err(source) => errors.push(Error::Read { object: part.section.name(), source }),
            }
        }
        layout
    }
}

impl Part {
    /// A clock that went back makes everything due.
    fn is_due(&self, at: Timestamp) -> bool {
        let Some(before) = self.read_at else { return true };
        at < before || at >= before + self.section.good_for_ms() * 1000
    }
}

impl Source for Machine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(&mut self, at: Timestamp, sink: &mut dyn Sink) -> Result<(), Error> {
        if !self.is_announced {
            sink.instance(&self.instance);
            self.is_announced = true;
        }
        let mut errors = Vec::new();
        if self.read_parts(at, &mut errors) == Layout::Changed {
            self.describe();
            errors.clear();
            // What changes once more in between is described at the next tick, and missing in this frame.
            if self.read_parts(at, &mut errors) == Layout::Changed {
                self.describe();
            }
        }
        sink.frame(&self.instance.id, &self.schema, at, &self.values);
        Error::all(errors)
    }
}

/// The sections of this machine, in the order of the frame.
struct Sections(Vec<Box<dyn Section>>);

impl Sections {
    fn open(&mut self, config: &Config) {
        self.add("processors", Processors::open(config.cpus_each).map(Some));
        self.add("run delay", RunDelay::open());
        self.add("processes", Tasks::open().map(Some));
        self.add("thread limit", ThreadLimit::open());
        self.add("memory", Memory::open().map(Some));
        self.add("paging", Paging::open().map(Some));
        for resource in RESOURCES {
            self.add("pressure", Pressure::open(resource));
        }
        self.add("disks", Disks::open(&config.skip_disks));
        self.add("file systems", FileSystems::open(&config.skip_mounts));
        self.add("network interfaces", Interfaces::open(config));
        self.add("network protocols", Protocols::open_snmp());
        self.add("network protocols", Protocols::open_netstat());
        self.add("sockets", Sockets::open());
        self.add("tracked connections", TrackedConnections::open());
        self.add("open descriptors", OpenFiles::open());
        self.add("own use", Own::open());
    }

    fn add<S: Section + 'static>(
        &mut self,
        name: &'static str,
        opened: Result<Option<S>, foretwin_host::Error>,
    ) {
        match opened {
            Ok(Some(section)) => self.0.push(Box::new(section)),
            Ok(None) => tracing::debug!(section = name, "this kernel does not tell"),
            Err(error) => tracing::warn!(section = name, cause = %crate::error::Chain(&error), "left out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use foretwin_core::{InstanceId, InstanceKind, Metric, Role};

    use super::*;

    /// A section that has as many cells as told, and may fail; it fills each with the number of its readings.
    struct Scripted {
        widths: Vec<usize>,
        reads: usize,
        fails: bool,
        good_for_ms: i64,
    }

    fn scripted(widths: &[usize], fails: bool, good_for_ms: i64) -> Box<dyn Section> {
        Box::new(Scripted { widths: widths.to_vec(), reads: 0, fails, good_for_ms })
    }

    impl Section for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn describe(&self, metrics: &mut Vec<Metric>) {
            let number = |at: usize| Metric::gauge(&format!("m{}.{at}", self.good_for_ms), "1", Role::Rate);
            metrics.extend((0..self.widths[0]).map(number));
        }

        fn read(&mut self, _: &mut Buffer, cells: &mut [Value]) -> Result<Layout, foretwin_host::Error> {
            self.reads += 1;
            if self.fails && self.reads == 2 {
                return Err(foretwin_host::Error::Parse { format: "script", expected: "luck" });
            }
            if self.widths.len() > 1 {
                self.widths.remove(0);
                return Ok(Layout::Changed);
            }
            cells.fill(Value(self.reads as u64));
            Ok(Layout::Same)
        }

        fn good_for_ms(&self) -> i64 {
            self.good_for_ms
        }
    }

    #[derive(Default)]
    struct Frames(Vec<Vec<Option<u64>>>);

    impl Sink for Frames {
        fn instance(&mut self, _: &Instance) {}

        fn vanished(&mut self, _: &InstanceId, _: Timestamp) {}

        fn frame(&mut self, _: &InstanceId, schema: &Arc<Schema>, _: Timestamp, values: &[Value]) {
            assert_eq!(schema.width(), values.len());
            self.0.push(values.iter().map(|value| (!value.is_missing()).then_some(value.0)).collect());
        }
    }

    fn frames(sections: Vec<Box<dyn Section>>, ticks_ms: &[i64]) -> (Frames, Vec<bool>) {
        let mut machine = Machine::of(Instance::new("h", InstanceKind::Host, "h", "w"), sections);
        let mut sink = Frames::default();
        let read = |ms: &i64| machine.read(Timestamp(ms * 1000), &mut sink).is_ok();
        let outcomes = ticks_ms.iter().map(read).collect();
        (sink, outcomes)
    }

    #[test]
    fn a_failing_section_is_missing_beside_good_ones() {
        let sections = vec![scripted(&[1], false, 0), scripted(&[2], true, 1)];
        let (sink, outcomes) = frames(sections, &[0, 1000, 2000]);
        assert_eq!(outcomes, [true, false, true]);
        assert_eq!(sink.0[1], [Some(2), None, None]);
        assert_eq!(sink.0[2], [Some(3), Some(3), Some(3)]);
    }

    #[test]
    fn a_changed_section_gets_its_place_at_once() {
        let sections = vec![scripted(&[0, 2], false, 0), scripted(&[1], false, 1)];
        let (sink, outcomes) = frames(sections, &[0, 1000]);
        assert_eq!(outcomes, [true, true]);
        assert_eq!(sink.0[0], [Some(2), Some(2), Some(2)], "all are read again under the new schema");
        assert_eq!(sink.0[1], [Some(3); 3]);
    }

    #[test]
    fn one_that_never_settles_costs_the_frame_but_not_the_source() {
        let sections = vec![scripted(&[1, 2, 3, 4, 5, 6], false, 0), scripted(&[1], false, 1)];
        let (sink, outcomes) = frames(sections, &[0, 1000]);
        assert_eq!((outcomes, sink.0.len()), (vec![true, true], 2));
        assert!(sink.0[0].iter().all(Option::is_none));
    }

    #[test]
    fn slow_sections_are_repeated_until_they_are_due() {
        let sections = vec![scripted(&[1], false, 0), scripted(&[1], false, 5000)];
        let (sink, _) = frames(sections, &[0, 1000, 4999, 5000, 100]);
        let slow: Vec<_> = sink.0.iter().map(|frame| frame[1]).collect();
        assert_eq!(slow, [Some(1), Some(1), Some(1), Some(2), Some(3)], "a clock set back makes all due");
    }
}
