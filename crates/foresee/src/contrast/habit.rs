//! What each neighbour uses when all is well, and who uses more than that.

use std::collections::BTreeMap;

use foretwin_core::InstanceId;

use super::second::Neighbour;
use super::state::{Reader, Writer};
use super::window::Use;
use crate::Error;

/// How much more than ever before is worth naming: cores, bytes per second, share of the time, bytes.
pub(super) const WORTH: Use = Use { cpu: 0.08, io: 2e6, io_stall: 0.1, memory: 64e6 };
/// A level is new if it exceeds the highest by this factor.
const MORE: f32 = 1.1;
/// The highest use fades by half in two days, so that what was once is not allowed for ever.
const HALF_S: f32 = 2.0 * 86_400.0;

/// A resource that somebody can use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Cpu,
    Io,
    IoStall,
    Memory,
}

impl Resource {
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Io, Self::IoStall, Self::Memory];

    pub fn of(self, used: &Use) -> f32 {
        match self {
            Self::Cpu => used.cpu,
            Self::Io => used.io,
            Self::IoStall => used.io_stall,
            Self::Memory => used.memory,
        }
    }
}

/// The highest use of everybody while nothing was wrong.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Habits {
    own: Use,
    others: BTreeMap<InstanceId, Use>,
}

/// Who uses more than ever.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Excess {
    /// Place among the neighbours.
    pub who: usize,
    pub resource: Resource,
    /// In units of what is worth naming.
    pub size: f32,
    /// What it uses now, and what it used at most.
    pub now: f32,
    pub before: f32,
}

fn raise(highest: &mut Use, used: &Use) {
    let up = |old: f32, new: f32| old.max(if new.is_finite() { new } else { 0.0 });
    *highest = Use {
        cpu: up(highest.cpu, used.cpu),
        io: up(highest.io, used.io),
        io_stall: up(highest.io_stall, used.io_stall),
        memory: up(highest.memory, used.memory),
    };
}

/// Use beyond the highest, in units of what is worth naming; 0 where it is not known.
fn beyond(resource: Resource, used: &Use, highest: &Use) -> f32 {
    let size = (resource.of(used) - MORE * resource.of(highest)) / resource.of(&WORTH);
    if size.is_finite() { size.max(0.0) } else { 0.0 }
}

fn excess(who: usize, used: &Use, highest: &Use) -> Excess {
    let of = |resource: Resource| {
        let (now, before) = (resource.of(used), resource.of(highest));
        Excess { who, resource, size: beyond(resource, used, highest), now, before }
    };
    let [cpu, io, io_stall, memory] = Resource::ALL.map(of);
    let larger = |a: Excess, b: Excess| if b.size > a.size { b } else { a };
    larger(larger(cpu, io), larger(io_stall, memory))
}

impl Habits {
    pub fn encode(&self, to: &mut Writer) {
        to.used(&self.own);
        to.count(self.others.len());
        for (id, used) in &self.others {
            to.bytes(id.as_str().as_bytes());
            to.used(used);
        }
    }

    pub fn decode(from: &mut Reader<'_>) -> Result<Self, Error> {
        let own = from.used()?;
        let count = from.count(4 + 16)?;
        let others = (0..count).map(|_| Ok((from.name()?, from.used()?))).collect::<Result<_, Error>>()?;
        Ok(Self { own, others })
    }

    /// Lets so many seconds pass.
    pub fn fade(&mut self, seconds: f32) {
        let keep = 0.5f32.powf(seconds / HALF_S);
        for Use { cpu, io, io_stall, memory } in self.others.values_mut().chain([&mut self.own]) {
            [cpu, io, io_stall, memory].into_iter().for_each(|highest| *highest *= keep);
        }
    }

    /// Takes in what was used in a window in which nothing was wrong.
    pub fn learn(&mut self, own: &Use, neighbours: &[Neighbour], others: &[Use]) {
        raise(&mut self.own, own);
        for (neighbour, used) in neighbours.iter().zip(others) {
            raise(self.others.entry(neighbour.id.clone()).or_default(), used);
        }
    }

    /// By how much the original uses more of a resource than ever, in units of what is worth naming.
    pub fn own_excess(&self, own: &Use, resource: Resource) -> f32 {
        beyond(resource, own, &self.own)
    }

    /// The neighbour that exceeds its habits most, and by how much.
    pub fn excess(&self, neighbours: &[Neighbour], others: &[Use]) -> Option<Excess> {
        let all = neighbours.iter().zip(others).enumerate().map(|(at, (neighbour, used))| {
            let highest = self.others.get(&neighbour.id).copied().unwrap_or_default();
            excess(at, used, &highest)
        });
        all.max_by(|a, b| a.size.total_cmp(&b.size)).filter(|most| most.size > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(name: &str) -> Neighbour {
        Neighbour { id: InstanceId::new(name), cpu: 0.0, io: 0.0, io_stall: 0.0, memory: 0.0, inside: false }
    }

    #[test]
    fn who_does_what_it_always_did_is_not_named() {
        let (mut habits, all) = (Habits::default(), [neighbour("batch"), neighbour("hog")]);
        let usual = [Use { cpu: 0.8, ..Use::default() }, Use::default()];
        habits.learn(&Use { cpu: 0.2, ..Use::default() }, &all, &usual);
        assert_eq!(habits.excess(&all, &usual), None);
        let hogged = [usual[0], Use { cpu: 0.4, io: 1e6, ..Use::default() }];
        let found = habits.excess(&all, &hogged).unwrap();
        assert_eq!((found.who, found.resource), (1, Resource::Cpu));
        assert!((found.size - 5.0).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn habits_are_forgotten_by_half_in_two_days() {
        let (mut habits, all) = (Habits::default(), [neighbour("batch")]);
        habits.learn(&Use::default(), &all, &[Use { cpu: 0.8, ..Use::default() }]);
        (0..720).for_each(|_| habits.fade(240.0));
        let found = habits.excess(&all, &[Use { cpu: 0.8, ..Use::default() }]).unwrap();
        assert!((found.before - 0.4).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn who_was_never_seen_has_no_habits() {
        let (habits, new) = (Habits::default(), [neighbour("new")]);
        let found = habits.excess(&new, &[Use { io: 4e7, ..Use::default() }]).unwrap();
        assert_eq!((found.resource, found.before), (Resource::Io, 0.0));
        assert_eq!(habits.own_excess(&Use { cpu: f32::NAN, ..Use::default() }, Resource::Cpu), 0.0);
    }
}
