//! Processors that instances share, and what other tenants take of them.

use super::chance::Chance;

/// A queue is never longer than at this use.
const BUSIEST: f64 = 0.995;

/// Another tenant that takes more and more.
#[derive(Debug, Clone, Copy)]
pub struct Tenant {
    pub from: u32,
    /// Minutes until it takes all that it will; 0: at once.
    pub lasts: u32,
    /// When it is gone.
    pub until: u32,
    /// What it takes in the end, in cores.
    pub wants: f64,
    takes: f64,
}

impl Tenant {
    pub fn new(from: u32, lasts: u32, wants: f64, chance: &mut Chance) -> Self {
        let until = from + lasts + chance.between(40.0, 240.0) as u32;
        Self { from, lasts, until, wants, takes: 0.0 }
    }
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Host {
    pub name: String,
    pub cores: f64,
    pub tenant: Option<Tenant>,
    /// How busy it is, 0 to 1.
    pub busy: f64,
}

impl Host {
    /// Lives through a minute in which its instances want so many cores.
    pub fn step(&mut self, minute: u32, wanted: f64, chance: &mut Chance) {
        self.tenant = self.tenant.filter(|tenant| minute < tenant.until);
        let mut taken = 0.0;
        if let Some(tenant) = self.tenant.as_mut().filter(|tenant| minute >= tenant.from) {
            let more = tenant.wants / f64::from(tenant.lasts.max(1)) * chance.exponential(1.0);
            tenant.takes = (tenant.takes + more).min(tenant.wants);
            if tenant.lasts == 0 {
                tenant.takes = tenant.wants;
            }
            taken = tenant.takes * chance.between(0.93, 1.07);
        }
        self.busy = ((wanted + taken) / self.cores).min(BUSIEST);
    }

    /// How many times longer a request takes than on an idle machine: its place in the queue.
    pub fn delay(&self) -> f64 {
        1.0 + 0.5 * self.busy.powi(4) / (1.0 - self.busy)
    }
}
