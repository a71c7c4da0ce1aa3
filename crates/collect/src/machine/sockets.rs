//! What TCP and UDP do and suffer, from `/proc/net/snmp`, `netstat` and `sockstat`.

use foretwin_core::{Metric, Role, Value};
use foretwin_host::file::{Buffer, ProcFile};
use foretwin_host::proc::{HeadedLines, net};
use foretwin_host::{ABSENT, Error};

use super::section::{Layout, Section, TENTH_MS, fill};

/// A column of the kernel's table, and the counter it becomes.
type Column = (&'static str, &'static str, &'static str, Role);

#[rustfmt::skip]
const TCP: &[Column] = &[
    ("ActiveOpens", "system.network.tcp.connects", "{connection}", Role::Rate),
    ("PassiveOpens", "system.network.tcp.accepts", "{connection}", Role::Rate),
    ("AttemptFails", "system.network.tcp.failed_connects", "{connection}", Role::Errors),
    ("EstabResets", "system.network.tcp.connections_reset", "{connection}", Role::Errors),
    ("InSegs", "system.network.tcp.segments_received", "{segment}", Role::Rate),
    ("OutSegs", "system.network.tcp.segments_sent", "{segment}", Role::Rate),
    ("RetransSegs", "system.network.tcp.retransmits", "{segment}", Role::Errors),
    ("InErrs", "system.network.tcp.receive_errors", "{segment}", Role::Errors),
    ("OutRsts", "system.network.tcp.resets_sent", "{segment}", Role::Errors),
];

#[rustfmt::skip]
const UDP: &[Column] = &[
    ("InDatagrams", "system.network.udp.datagrams_received", "{datagram}", Role::Rate),
    ("OutDatagrams", "system.network.udp.datagrams_sent", "{datagram}", Role::Rate),
    ("NoPorts", "system.network.udp.unwanted", "{datagram}", Role::Errors),
    ("InErrors", "system.network.udp.receive_errors", "{datagram}", Role::Errors),
    ("RcvbufErrors", "system.network.udp.receive_buffer_errors", "{datagram}", Role::Errors),
    ("SndbufErrors", "system.network.udp.send_buffer_errors", "{datagram}", Role::Errors),
];

#[rustfmt::skip]
const TCP_EXTENDED: &[Column] = &[
    ("ListenOverflows", "system.network.tcp.listen.overflows", "{connection}", Role::Errors),
    ("ListenDrops", "system.network.tcp.listen.drops", "{connection}", Role::Errors),
    ("TCPReqQFullDrop", "system.network.tcp.listen.requests_dropped", "{connection}", Role::Errors),
    ("SyncookiesSent", "system.network.tcp.listen.cookies", "{segment}", Role::Saturation),
    ("TCPTimeouts", "system.network.tcp.timeouts", "{timeout}", Role::Errors),
    ("TCPSynRetrans", "system.network.tcp.connect_retransmits", "{segment}", Role::Errors),
    ("TCPLostRetransmit", "system.network.tcp.lost_retransmits", "{segment}", Role::Errors),
    ("TCPSpuriousRTOs", "system.network.tcp.spurious_timeouts", "{timeout}", Role::Saturation),
    ("TCPAbortOnData", "system.network.tcp.aborts_on_data", "{connection}", Role::Errors),
    ("TCPAbortOnTimeout", "system.network.tcp.aborts_on_timeout", "{connection}", Role::Errors),
    ("TCPAbortOnMemory", "system.network.tcp.aborts_on_memory", "{connection}", Role::Errors),
    ("TCPMemoryPressures", "system.network.tcp.memory_pressures", "{event}", Role::Saturation),
    ("PruneCalled", "system.network.tcp.prunes", "{event}", Role::Saturation),
    ("TCPBacklogDrop", "system.network.tcp.backlog_drops", "{segment}", Role::Errors),
    ("TCPToZeroWindowAdv", "system.network.tcp.zero_windows", "{event}", Role::Saturation),
    ("TCPOFOQueue", "system.network.tcp.out_of_order", "{segment}", Role::Saturation),
    ("TCPTimeWaitOverflow", "system.network.tcp.time_wait_overflows", "{connection}", Role::Errors),
];

/// Line and name in `sockstat`, protocol and state of the series.
const STATES: [(&str, &str, &str, &str); 5] = [
    ("TCP:", "inuse", "tcp", "in_use"),
    ("TCP:", "orphan", "tcp", "orphan"),
    ("TCP:", "tw", "tcp", "time_wait"),
    ("TCP:", "alloc", "tcp", "allocated"),
    ("UDP:", "inuse", "udp", "in_use"),
];

/// Some columns of one group of `/proc/net/snmp` or `netstat`.
struct Group {
    columns: &'static [Column],
    numbers: HeadedLines,
}

impl Group {
    fn new(group: &'static str, columns: &'static [Column]) -> Self {
        Self { columns, numbers: HeadedLines::new(group, columns.iter().map(|column| column.0)) }
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        metrics.extend(self.columns.iter().map(|&(_, name, unit, role)| Metric::counter(name, unit, role)));
    }

    /// Returns the cells that are left.
    fn read<'c>(&mut self, text: &[u8], cells: &'c mut [Value]) -> &'c mut [Value] {
        self.numbers.scan(text);
        let (own, left) = cells.split_at_mut(self.columns.len());
        fill(own, self.numbers.values().iter().copied());
        left
    }
}

/// One file of one or more groups.
pub(super) struct Protocols {
    file: ProcFile,
    groups: Vec<Group>,
}

impl Protocols {
    pub(super) fn open_snmp() -> Result<Option<Self>, Error> {
        let groups = vec![Group::new("Tcp:", TCP), Group::new("Udp:", UDP)];
        Ok(ProcFile::open_if_present("/proc/net/snmp")?.map(|file| Self { file, groups }))
    }

    pub(super) fn open_netstat() -> Result<Option<Self>, Error> {
        let groups = vec![Group::new("TcpExt:", TCP_EXTENDED)];
        Ok(ProcFile::open_if_present("/proc/net/netstat")?.map(|file| Self { file, groups }))
    }
}

impl Section for Protocols {
    fn name(&self) -> &'static str {
        "network protocols"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for group in &self.groups {
            group.describe(metrics);
        }
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let text = self.file.read(buffer)?;
        let mut cells = cells;
        for group in &mut self.groups {
            cells = group.read(text, cells);
        }
        Ok(Layout::Same)
    }

    fn good_for_ms(&self) -> i64 {
        TENTH_MS
    }
}

/// `/proc/net/sockstat`.
pub(super) struct Sockets(ProcFile);

impl Sockets {
    pub(super) fn open() -> Result<Option<Self>, Error> {
        Ok(ProcFile::open_if_present("/proc/net/sockstat")?.map(Self))
    }
}

impl Section for Sockets {
    fn name(&self) -> &'static str {
        "sockets"
    }

    fn describe(&self, metrics: &mut Vec<Metric>) {
        for (_, _, protocol, state) in STATES {
            let count = Metric::gauge("system.network.connection.count", "{connection}", Role::Utilization);
            metrics.push(count.with("network.transport", protocol).with("network.connection.state", state));
        }
        metrics.push(Metric::gauge("system.network.tcp.memory", "{page}", Role::Utilization));
    }

    fn read(&mut self, buffer: &mut Buffer, cells: &mut [Value]) -> Result<Layout, Error> {
        let text = self.0.read_record(buffer)?;
        let find =
            |line: &str, name: &str| net::sockets(text, line.as_bytes(), name.as_bytes()).unwrap_or(ABSENT);
        fill(cells, STATES.iter().map(|state| find(state.0, state.1)).chain([find("TCP:", "mem")]));
        Ok(Layout::Same)
    }
}
