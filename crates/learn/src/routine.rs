//! What comes back by the clock: how a model learns from it, and the times at which it expects it.
//!
//! A job that runs every morning is no incident, and no part of the ordinary either: it would stretch scales, linear part
//! and threshold for the whole day. So its spans are left out of all of these, and shown to the clock alone.

use foretwin_core::{DAY_US, Timestamp, Window};

use crate::fit::Job;
use crate::model::Model;
use crate::rhythm::{Gatherer, Moment, Rhythm};
use crate::span::{Span, contains, merged};
use crate::state::{Arrival, State};

/// Scales that are so many times as wide make a time of its own.
const APART: f32 = 3.0;

/// What comes back by the clock, as it was.
#[derive(Debug, Clone, Copy)]
pub struct Routine<'a> {
    /// Frames in the spans, and enough before each to warm a state: at least thirty. All of them, where the window to
    /// learn from is thinned; they may reach back further than it.
    pub window: &'a Window,
    /// When it was.
    pub spans: &'a [Span],
}

impl Job<'_> {
    /// All that is not learned like the rest, in order.
    pub(crate) fn apart(&self) -> Vec<Span> {
        let routine = self.routine.iter().flat_map(|routine| routine.spans);
        merged(&self.left_out.iter().chain(routine).copied().collect::<Vec<_>>())
    }
}

impl Model {
    /// What is usual at a moment.
    pub(crate) fn usual(&self, at: Timestamp) -> Moment<'_> {
        self.header.rhythm.as_ref().map(|rhythm| rhythm.at(at)).unwrap_or_default()
    }

    /// Spans up to `to` in which much more than usual is expected by the clock: what comes daily from `from` on, what
    /// comes weekly from `early` on.
    #[must_use]
    pub fn appointments(&self, early: Timestamp, from: Timestamp, to: Timestamp) -> Vec<Span> {
        self.header.rhythm.iter().flat_map(|rhythm| rhythm.spans((early, from, to), APART)).collect()
    }

    /// Learns what is usual by the clock from the model's own surprises over a whole window, and over what is known to
    /// come back. What is left out of learning is left out here too. Nothing before two full days.
    pub(crate) fn rhythm(&self, job: &Job) -> Option<Rhythm> {
        let (all, routine) = (job.window, job.routine.filter(|routine| !routine.window.is_empty()));
        let (&first, &last) = all.times.first().zip(all.times.last())?;
        let first = routine.map_or(first, |routine| first.min(routine.window.times[0]));
        if last.0 - first.0 < 2 * DAY_US - (self.header.step_s * 1e6) as i64 {
            return None;
        }
        let (left_out, apart) = (merged(job.left_out), job.apart());
        let mut gatherer = Gatherer::new(self.header.step_s, self.deviation.len());
        self.gather(all, &mut gatherer, &|at| (!contains(&apart, at)).then_some(true));
        if let Some(routine) = routine {
            let spans = merged(routine.spans);
            let wanted = |at| (!contains(&left_out, at)).then(|| contains(&spans, at));
            self.gather(routine.window, &mut gatherer, &wanted);
        }
        gatherer.finish()
    }

    /// Steps through a window and gathers surprises: `wanted` says whether a frame's are, or none if it is left out.
    fn gather(&self, window: &Window, gatherer: &mut Gatherer, wanted: &dyn Fn(Timestamp) -> Option<bool>) {
        let (mut state, recipe) = (self.start(), &self.header.recipe);
        let mut others = Vec::new();
        for (row, &at) in window.times.iter().enumerate() {
            let Some(wanted) = wanted(at) else { continue };
            match state.clock.arrive(at, self.header.step_s) {
                Arrival::Late => continue,
                Arrival::Gap(steps) => self.pause(&mut state, steps),
                Arrival::Next => {}
            }
            for (column, feature) in recipe.features.iter().enumerate() {
                let get = |other: usize| window.columns[other][row];
                let number = recipe.transformed(column, at, get, &mut state.readings[column]);
                state.scratch.z[column] = feature.standardised(number);
            }
            self.settle(&mut state, at);
            if wanted {
                self.surprises_behind(&state, &mut others);
            }
            if self.judge(&mut state, at) && wanted {
                let targets = self.header.shape.targets.iter().zip(&state.scratch.mean).zip(&self.deviation);
                let z = &state.scratch.z;
                let near =
                    targets.map(|((&column, mean), deviation)| (z[column as usize] - mean) / deviation);
                gatherer.take(at, near.chain(others.iter().copied()));
            }
        }
    }

    /// Surprises of the second look, and of constants, by the row that is about to be judged. A constant that stays is
    /// as surprising as anything ordinary.
    fn surprises_behind(&self, state: &State, into: &mut Vec<f32>) {
        into.clear();
        let targets = self.header.shape.targets.len();
        into.extend((0..targets).map(|t| self.far_surprise(state, t).unwrap_or(f32::NAN)));
        let watches = state.watches.iter().zip(&self.header.constants);
        into.extend(watches.map(|(watch, &column)| {
            let (mut watch, column) = (*watch, column as usize);
            let (z, grave) = (state.scratch.z[column], self.header.recipe.features[column].grave);
            if z.is_nan() { f32::NAN } else { watch.moved(z, grave).max(1.0) }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_apart_is_what_is_left_out_and_what_comes_back() {
        let at = |second: i64| Timestamp(second * 1_000_000);
        let window = Window::new(
            foretwin_core::InstanceId::new("a"),
            foretwin_core::Schema::new(vec![foretwin_core::Metric::gauge(
                "g",
                "1",
                foretwin_core::Role::Rate,
            )]),
        );
        let config = crate::Config::default();
        let routine = Some(Routine { window: &window, spans: &[(at(5), at(9)), (at(20), at(30))] });
        let job = Job { left_out: &[(at(1), at(6))], routine, ..Job::new(&window, &config) };
        assert_eq!(job.apart(), [(at(1), at(9)), (at(20), at(30))]);
    }
}
