//! `/proc/stat`: processor time, interrupts, context switches, processes.

use crate::parse::{Fields, lines};
use crate::{ABSENT, Error};

/// Microseconds in the tick (`USER_HZ`, 100 on every architecture Linux still has) that processor time is told in.
pub const TICK_US: u64 = 10_000;

/// Time one processor, or all of them, spent in each mode since boot, in ticks. Guests' time is part of `user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTimes {
    /// Programs.
    pub user: u64,
    /// Programs of lowered priority.
    pub nice: u64,
    /// The kernel.
    pub system: u64,
    /// Nothing to do.
    pub idle: u64,
    /// Nothing to do while a disk works.
    pub iowait: u64,
    /// Interrupts.
    pub irq: u64,
    /// What interrupts left to do later.
    pub softirq: u64,
    /// Ready, while the hypervisor ran somebody else.
    pub steal: u64,
}

impl CpuTimes {
    const NONE: Self = Self::from_ticks([ABSENT; 8]);

    const fn from_ticks(t: [u64; 8]) -> Self {
        let [user, nice, system, idle, iowait, irq, softirq, steal] = t;
        Self { user, nice, system, idle, iowait, irq, softirq, steal }
    }

    /// Kernels before 2.6.11 tell no steal; the four first fields every kernel has.
    fn parse(mut fields: Fields<'_>) -> Option<Self> {
        let mut ticks = [ABSENT; 8];
        for (index, tick) in ticks.iter_mut().enumerate() {
            match fields.number() {
                Some(number) => *tick = number,
                None if index >= 4 && fields.rest().is_empty() => break,
                None => return None,
            }
        }
        Some(Self::from_ticks(ticks))
    }

    /// Ticks spent on anything: neither idle nor waiting for a disk. Time stolen is not spent here.
    #[must_use]
    pub fn busy(&self) -> u64 {
        [self.user, self.nice, self.system, self.irq, self.softirq]
            .into_iter()
            .filter(|&ticks| ticks != ABSENT)
            .fold(0, u64::wrapping_add)
    }
}

/// The numbers of `/proc/stat`, [`ABSENT`] where a line is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// All processors together.
    pub total: CpuTimes,
    /// Number and times of each processor that is online.
    pub cpus: Vec<(u32, CpuTimes)>,
    /// Context switches since boot.
    pub context_switches: u64,
    /// Interrupts served since boot.
    pub interrupts: u64,
    /// Soft interrupts served since boot.
    pub soft_interrupts: u64,
    /// Processes and threads created since boot.
    pub forks: u64,
    /// Threads running or ready to.
    pub running: u64,
    /// Threads waiting for a disk.
    pub blocked: u64,
    /// Time of boot, seconds since the epoch.
    pub boot_time_s: u64,
}

impl Default for Stat {
    fn default() -> Self {
        Self {
            total: CpuTimes::NONE,
            cpus: Vec::new(),
            context_switches: ABSENT,
            interrupts: ABSENT,
            soft_interrupts: ABSENT,
            forks: ABSENT,
            running: ABSENT,
            blocked: ABSENT,
            boot_time_s: ABSENT,
        }
    }
}

const WRONG: Error = Error::Parse { format: "/proc/stat", expected: "a line of numbers" };

impl Stat {
    /// Takes over a new text; allocates only when there are more processors than before.
    ///
    /// # Errors
    /// [`Error::Parse`] if the line of all processors is not there or a known line has no number.
    pub fn parse(&mut self, text: &[u8]) -> Result<(), Error> {
        let cpus = std::mem::take(&mut self.cpus);
        *self = Self { cpus, ..Self::default() };
        self.cpus.clear();
        for line in lines(text) {
            let mut fields = Fields::new(line);
            let Some(name) = fields.next() else { continue };
            if let Some(cpu) = name.strip_prefix(b"cpu") {
                self.cpu(cpu, fields)?;
            } else if let Some(slot) = self.slot(name) {
                *slot = fields.number().ok_or(WRONG)?;
            }
        }
        if self.total == CpuTimes::NONE { Err(WRONG) } else { Ok(()) }
    }

    fn cpu(&mut self, number: &[u8], fields: Fields<'_>) -> Result<(), Error> {
        let times = CpuTimes::parse(fields).ok_or(WRONG)?;
        if number.is_empty() {
            self.total = times;
        } else {
            let number = crate::parse::number(number).and_then(|n| u32::try_from(n).ok()).ok_or(WRONG)?;
            self.cpus.push((number, times));
        }
        Ok(())
    }

    fn slot(&mut self, name: &[u8]) -> Option<&mut u64> {
        Some(match name {
            b"ctxt" => &mut self.context_switches,
            b"intr" => &mut self.interrupts,
            b"softirq" => &mut self.soft_interrupts,
            b"processes" => &mut self.forks,
            b"procs_running" => &mut self.running,
            b"procs_blocked" => &mut self.blocked,
            b"btime" => &mut self.boot_time_s,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX_6_18: &str = "\
cpu  42163 0 6327 208343 804 0 119 122 7 0
cpu0 20315 0 2810 105515 237 0 9 59 0 0
cpu3 21848 0 3517 102827 567 0 110 62 0 0
intr 376557 0 0 0 25 1 15
ctxt 506995
btime 1795328174
processes 11647
procs_running 6
procs_blocked 1
softirq 219666 0 30599 4 8862 74370 0 148 41747 0 63936
";
    /// 2.6.32: nine fields per processor.
    const LINUX_2_6_32: &str = "\
cpu  1 2 3 4 5 6 7 8 9
cpu0 1 2 3 4 5 6 7 8 9
intr 114930548 113199788 3 0
ctxt 1990473
btime 1062191376
processes 2915
procs_running 1
procs_blocked 0
";
    const LINUX_2_4: &str = "cpu  100 2 30 4000\ncpu0 100 2 30 4000\npage 1 2\nctxt 9\n";

    #[test]
    fn a_recent_kernel() {
        let mut stat = Stat::default();
        stat.parse(LINUX_6_18.as_bytes()).unwrap();
        assert_eq!((stat.total.user, stat.total.steal, stat.total.busy()), (42163, 122, 42163 + 6327 + 119));
        assert_eq!(
            stat.cpus.iter().map(|cpu| (cpu.0, cpu.1.idle)).collect::<Vec<_>>(),
            [(0, 105515), (3, 102827)]
        );
        assert_eq!((stat.interrupts, stat.context_switches, stat.forks), (376_557, 506_995, 11_647));
        assert_eq!((stat.running, stat.blocked, stat.soft_interrupts), (6, 1, 219_666));
    }

    #[test]
    fn what_old_kernels_do_not_tell_is_absent() {
        let mut stat = Stat::default();
        stat.parse(LINUX_6_18.as_bytes()).unwrap();
        stat.parse(LINUX_2_6_32.as_bytes()).unwrap();
        assert_eq!((stat.total.steal, stat.soft_interrupts, stat.cpus.len()), (8, ABSENT, 1));
        stat.parse(LINUX_2_4.as_bytes()).unwrap();
        assert_eq!((stat.total.iowait, stat.total.busy(), stat.running), (ABSENT, 132, ABSENT));
    }

    #[test]
    fn garbled_text_is_an_error() {
        for text in
            ["", "cpu  1 2 x 4\n", "cpu  1 2 3\n", "cpu  1 2 3 4\nctxt\n", "cpu  1 2 3 4\ncpux 1 2 3 4\n"]
        {
            assert!(Stat::default().parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
