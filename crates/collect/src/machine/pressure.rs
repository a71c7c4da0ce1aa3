//! How long work was held up for want of processors, memory or disks, from `/proc/pressure`.

use foretwin_core::{Metric, Role, Value};
use foretwin_host::Error;
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc;

use super::section::{Layout, Section, fill};

/// Resources that have a file.
pub(super) const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// One file of `/proc/pressure`.
pub(super) struct Pressure {
    file: ProcFile,
    resource: &'static str,
}

impl Pressure {
    /// None where the kernel has no pressure accounting, or it was switched off at boot.
    pub(super) fn open(resource: &'static str) -> Result<Option<Self>, Error> {
        let Some(file) = ProcFile::open_if_present(format!("/proc/pressure/{resource}"))? else {
            return Ok(None);
        };
        match file.read_record(&mut Buffer::default()) {
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
            Ok(_) => Ok(Some(Self { file, resource })),
        }
    }
}

impl Section for Pressure {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for kind in ["some", "full"] {
            let time = Metric::counter("system.pressure.time", "us", Role::Saturation);
            metrics.push(time.with("pressure.resource", self.resource).with("pressure.kind", kind));
        }
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let pressure = proc::Pressure::parse(self.file.read_record(buffer)?)?;
        fill(cells, [pressure.some_us, pressure.full_us]);
        Ok(Layout::Same)
    }
}
