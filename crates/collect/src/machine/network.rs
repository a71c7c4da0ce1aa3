//! What each network interface does, from `/proc/net/dev`.

use foretwin_core::{Metric, Role, Value};
use foretwin_host::Error;
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::net::{Flow, rows};

use super::config::Config;
use super::roster::Roster;
use super::section::{Layout, Section, fill};

/// Cells of each interface.
const WIDTH: usize = 8;

/// `/proc/net/dev`.
pub(super) struct Interfaces {
    file: ProcFile,
    roster: Roster,
    skip: Vec<String>,
    loopback: bool,
}

impl Interfaces {
    pub(super) fn open(config: &Config) -> Result<Option<Self>, Error> {
        let (skip, loopback) = (config.skip_interfaces.clone(), config.loopback);
        let file = ProcFile::open_if_present("/proc/net/dev")?;
        Ok(file.map(|file| Self { file, roster: Roster::default(), skip, loopback }))
    }
}

impl Section for Interfaces {
    fn name(&self) -> &'static str {
        "network interfaces"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for interface in self.roster.names() {
            metrics.extend(["receive", "transmit"].into_iter().flat_map(|way| describe(interface, way)));
        }
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let text = self.file.read(buffer)?;
        let is_watched = |name: &str| match name {
            "lo" => self.loopback,
            // An alias has no counts of its own.
            _ => !name.contains(':') && !self.skip.iter().any(|start| name.starts_with(start.as_str())),
        };
        if self.roster.update(rows(text).map(|row| row.name), is_watched) {
            return Ok(Layout::Changed);
        }
        let mut next = 0;
        for row in rows(text) {
            if let Some(index) = self.roster.index(row.name, next) {
                let (received, sent) = row.flows()?;
                let numbers = values(&received).into_iter().chain(values(&sent));
                fill(&mut cells[index * WIDTH..(index + 1) * WIDTH], numbers);
                next = index + 1;
            }
        }
        Ok(Layout::Same)
    }
}

fn describe(interface: &str, way: &str) -> [Metric; WIDTH / 2] {
    let counter = |name, unit, role| {
        let metric = Metric::counter(name, unit, role).with("network.interface.name", interface);
        metric.with("network.io.direction", way)
    };
    [
        counter("system.network.io", "By", Role::Rate),
        counter("system.network.packet.count", "{packet}", Role::Rate),
        counter("system.network.errors", "{error}", Role::Errors),
        counter("system.network.packet.dropped", "{packet}", Role::Errors),
    ]
}

fn values(flow: &Flow) -> [u64; WIDTH / 2] {
    [flow.bytes, flow.packets, flow.errors, flow.drops]
}
