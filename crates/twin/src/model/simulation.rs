//! What a twin would do that follows its profile within its limits: a fluid queue in front of its processors, and the
//! sojourn of an M/M/1 queue (Kleinrock, Queueing Systems I, 1975, section 3.2).

use foretwin_core::probe::Field;
use foretwin_core::profile::Generator;
use foretwin_core::{Demand, Dimension, Order, Replay, SECOND_US, Timestamp};

use crate::spec::Resources;

/// Load beyond which the sojourn of a stable queue says nothing any more; the backlog then does.
const MOST_LOAD: f64 = 0.99;

/// One simulated replay.
#[derive(Debug)]
pub(super) struct Simulation {
    order: Order,
    resources: Resources,
    generator: Option<Generator>,
    elapsed_s: f64,
    /// CPU seconds that were commanded and not yet done.
    backlog_s: f64,
    leaked_bytes: f64,
}

/// What one period brought.
#[derive(Debug, PartialEq)]
pub(super) struct Period {
    pub values: Vec<(Field, f64)>,
    /// Whether its memory has reached its limit.
    pub died: bool,
}

impl Simulation {
    pub fn new(order: &Order, resources: &Resources) -> Self {
        let mut made = Self {
            order: Order::default(),
            resources: *resources,
            generator: None,
            elapsed_s: 0.0,
            backlog_s: 0.0,
            leaked_bytes: 0.0,
        };
        made.command(order);
        made
    }

    /// Goes over to another order; what has been simulated so far stays.
    pub fn command(&mut self, order: &Order) {
        let same = |old: &Replay, new: &Replay| old.profile == new.profile;
        let kept = matches!((&self.order.replay, &order.replay), (Some(old), Some(new)) if same(old, new));
        if !kept {
            let profile = order.replay.as_ref().map(|replay| replay.profile.clone());
            self.generator = profile.map(|profile| Generator::new(profile, order.seed));
        }
        self.order = order.clone();
    }

    pub fn resize(&mut self, resources: &Resources) {
        self.resources = *resources;
    }

    pub fn period_s(&self) -> f64 {
        1.0 / self.order.report_hz.clamp(0.01, 100.0)
    }

    /// The next `seconds`.
    pub fn step(&mut self, seconds: f64) -> Period {
        self.elapsed_s += seconds;
        let mut values = vec![(Field::Uptime, self.elapsed_s)];
        let mut used_bytes = 0.0;
        if let (Some(replay), Some(generator)) = (&self.order.replay, &mut self.generator) {
            let ahead_us = (self.elapsed_s * replay.speed * SECOND_US as f64) as i64;
            let at = replay.start + ahead_us;
            let mut demand = generator.next(at);
            for (value, scale) in demand.0.iter_mut().zip(replay.scale) {
                *value *= scale;
            }
            let cores = self.resources.cores.unwrap_or(f64::INFINITY).min(replay.cap_core);
            let todo_s = self.backlog_s + demand.get(Dimension::Cpu) * seconds;
            let done_s = todo_s.min(cores * seconds);
            self.backlog_s = todo_s - done_s;
            let share = if todo_s > 0.0 { done_s / todo_s } else { 1.0 };
            values.extend(achieved(demand, done_s / seconds, share));
            let behind_s = self.backlog_s / cores;
            values.extend([(Field::ReplayCpu, done_s / seconds), (Field::ReplayBehind, behind_s)]);
            values.push((Field::ReplayClock, into_week_s(at)));
            if demand.get(Dimension::Requests) > 0.0 {
                let load = (demand.get(Dimension::Cpu) / cores).min(MOST_LOAD);
                let mean_s = demand.get(Dimension::ServiceTime) / (1.0 - load) + behind_s;
                values.push((Field::RequestSojournP50, mean_s * std::f64::consts::LN_2));
                values.push((Field::RequestSojournP90, mean_s * std::f64::consts::LN_10));
            }
            used_bytes = demand.get(Dimension::WorkingSet);
        }
        let died = self.leak(seconds, used_bytes, &mut values);
        Period { values, died }
    }

    fn leak(&mut self, seconds: f64, used_bytes: f64, values: &mut Vec<(Field, f64)>) -> bool {
        let Some(fault) = &self.order.fault else { return false };
        self.leaked_bytes += fault.memory_bytes_per_s * seconds;
        values.push((Field::LeakedMemory, self.leaked_bytes));
        let limit = fault.memory_limit_bytes.or(self.resources.memory_bytes);
        let died = limit.is_some_and(|limit| self.leaked_bytes + used_bytes >= limit as f64);
        values.push((Field::Failed, f64::from(u8::from(died))));
        died
    }
}

/// What was commanded and what was done in every dimension.
fn achieved(demand: Demand, cores: f64, share: f64) -> impl Iterator<Item = (Field, f64)> {
    Dimension::ALL.into_iter().flat_map(move |dimension| {
        let commanded = demand.get(dimension);
        let done = match dimension {
            Dimension::Cpu => cores,
            // Sizes and lengths are not work that waits.
            Dimension::WorkingSet | Dimension::ServiceTime => commanded,
            _ => commanded * share,
        };
        [(Field::Commanded(dimension), commanded), (Field::Achieved(dimension), done)]
    })
}

fn into_week_s(at: Timestamp) -> f64 {
    foretwin_core::profile::into_week_us(at) as f64 / SECOND_US as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use foretwin_core::{Fault, Profile};

    /// A flat hour of half a core in 50 requests a second of 10 ms.
    fn profile() -> Arc<Profile> {
        let demand = Demand::NONE
            .with(Dimension::Cpu, 0.5)
            .with(Dimension::Requests, 50.0)
            .with(Dimension::ServiceTime, 0.01)
            .with(Dimension::WorkingSet, 5e7);
        let rows: Vec<_> =
            (0..3600).map(|second| (Timestamp::from_seconds(f64::from(second)), demand)).collect();
        Arc::new(Profile::fit(&rows, 1).unwrap())
    }

    fn simulation(cap_core: f64, fault: Option<Fault>) -> Simulation {
        let replay = Replay { profile: profile(), cap_core, ..Replay::default() };
        let order = Order { replay: Some(replay), fault, ..Order::default() };
        Simulation::new(&order, &Resources { memory_bytes: Some(100_000_000), ..Resources::default() })
    }

    fn get(period: &Period, field: Field) -> f64 {
        period.values.iter().find(|(known, _)| *known == field).map_or(f64::NAN, |(_, value)| *value)
    }

    #[test]
    fn a_twin_with_room_keeps_up_and_one_without_falls_behind() {
        let mut roomy = simulation(1.0, None);
        let period = roomy.step(1.0);
        assert!((get(&period, Field::Achieved(Dimension::Cpu)) - 0.5).abs() < 0.01, "{period:?}");
        // 10 ms at half load: 20 ms on average.
        assert!((get(&period, Field::RequestSojournP50) - 0.02 * std::f64::consts::LN_2).abs() < 1e-3);
        assert_eq!(get(&period, Field::ReplayBehind), 0.0);
        let mut tight = simulation(0.25, None);
        let behind: Vec<f64> = (0..10).map(|_| get(&tight.step(1.0), Field::ReplayBehind)).collect();
        assert!((behind[9] - 10.0).abs() < 0.2, "a quarter core a second is left over: {behind:?}");
        assert!(get(&tight.step(1.0), Field::RequestSojournP90) > 10.0);
    }

    #[test]
    fn a_leak_ends_at_the_limit() {
        let fault = Fault { memory_bytes_per_s: 1e6, ..Fault::default() };
        let mut leaking = simulation(1.0, Some(fault));
        let lived = (1..200).find(|_| leaking.step(1.0).died).unwrap();
        assert!((49..=51).contains(&lived), "{lived}");
    }
}
