//! Load, processes and threads, from `/proc/loadavg` and the links of `/proc`.

use foretwin_core::{FailureMode, Metric, Role, Storage, Value};
use foretwin_host::Error;
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::load::{Load, ProcessCount};

use super::section::{Layout, Section, TENTH_MS};

/// `/proc/loadavg` and the number of processes.
pub(super) struct Tasks {
    loadavg: ProcFile,
    processes: ProcessCount,
}

impl Tasks {
    pub(super) fn open() -> Result<Self, Error> {
        Ok(Self { loadavg: ProcFile::open("/proc/loadavg")?, processes: ProcessCount::new()? })
    }
}

impl Section for Tasks {
    fn name(&self) -> &'static str {
        "processes"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for minutes in ["1m", "5m"] {
            let name = format!("system.cpu.load_average.{minutes}");
            metrics.push(Metric::gauge(&name, "{thread}", Role::Saturation).stored(Storage::F64));
        }
        metrics.extend([
            Metric::gauge("system.process.count", "{process}", Role::Utilization),
            Metric::gauge("system.thread.count", "{thread}", Role::Utilization)
                .against("system.thread.limit", FailureMode::PidExhaustion),
        ]);
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let load = Load::parse(self.loadavg.read_record(buffer)?)?;
        let processes = self.processes.read()?;
        cells.copy_from_slice(&[
            Value::float(load.minute),
            Value::float(load.five_minutes),
            Value::unsigned(processes),
            Value::unsigned(load.threads),
        ]);
        Ok(Layout::Same)
    }

    fn good_for_ms(&self) -> i64 {
        TENTH_MS
    }
}
