//! Incident or routine: what was anomalous at the same time of day on several days, or of the week in several weeks, is
//! how the instance works.
//!
//! Such spans are not left out of learning like incidents: the model's clock is shown them, all of them, and nothing else
//! of the model is. Once the clock knows them they raise no alarm any more; from then on the model itself says when they
//! are.

use foretwin_core::{DAY_US, SECOND_US, Timestamp, Window};
use foretwin_learn::{Routine, Span};
use foretwin_store::Query;

use super::spans::{self, Runs};
use super::{Due, reach};
use crate::pipeline::Pipeline;
use crate::{Error, outputs};

/// Days, or weeks, from which on it is no coincidence.
const OCCASIONS: usize = 3;
/// What comes weekly is looked for in the scores of so long: the third time must not have left when the fourth comes.
const WEEKS_US: i64 = 22 * DAY_US;
/// It may begin so much earlier or later, or so many steps if that is more.
const TOLERANCE_US: i64 = 600 * SECOND_US;
const TOLERANCE_STEPS: f64 = 3.0;
/// Frames before a span that warm a state.
const WARM_STEPS: f64 = 64.0;
/// Part of the frames of a training that the routine may add.
const MOST_FRAMES: f64 = 0.25;
/// Scores read at once.
const CHUNK_STEPS: f64 = 65_536.0;

/// What of an instance's past is not learned like the rest.
#[derive(Debug, Default)]
pub(crate) struct Apart {
    /// Not learned at all.
    pub(crate) left_out: Vec<Span>,
    /// What comes back by the clock, in order.
    pub(crate) routine: Vec<Span>,
    /// The frames of that, warmed.
    pub(crate) frames: Option<Window>,
}

impl Apart {
    /// Both kinds.
    pub(crate) fn all(&self) -> Vec<Span> {
        self.left_out.iter().chain(&self.routine).copied().collect()
    }

    /// For a job.
    pub(crate) fn routine(&self) -> Option<Routine<'_>> {
        self.frames.as_ref().map(|window| Routine { window, spans: &self.routine })
    }
}

impl Pipeline {
    /// What of a window is not learned like the rest. Scores count once they come from a model that has settled.
    pub(super) fn apart(&self, due: &Due, window: &Window) -> Result<Apart, Error> {
        let mut left_out = spans::recorded(&due.instance, &self.store.failures(), &self.store.maintenance());
        // What the model of a whole cohort takes for anomalous may be how this member is.
        let Some(champion) = due.settled().filter(|_| due.individual) else {
            return Ok(Apart { left_out, ..Apart::default() });
        };
        let settled = due.first + (self.config.training.settled_s * 1e6) as i64;
        let early = due.reach.from.min(due.reach.to - WEEKS_US).max(settled);
        let runs = self.runs(due, early)?;
        // What was recorded is no routine, however often it came.
        let recorded = |run: &Span| left_out.iter().any(|span| span.0 <= run.1 && run.0 <= span.1);
        let (known, unknown): (Vec<Span>, Vec<Span>) = runs.iter().partition(|&run| recorded(run));
        let (usual, mut strange) = split(&unknown, due.reach.from, tolerance_us(due.reach.step_s));
        strange.extend(known);
        strange.sort_unstable();
        let mut routine = spans::guarded(&usual, due.reach.step_s, 0.0);
        routine.extend(champion.appointments(early, due.reach.from.max(early), due.reach.to));
        let routine = merged(routine);
        // What fills so much of the time is no appointment, but a way to be that the model does not know.
        let share = self.config.training.left_out_share;
        let (routine, strange) = if spans::within(&routine, &window.times, share) {
            (routine, strange)
        } else {
            (Vec::new(), runs)
        };
        let strange: Vec<Span> = strange.into_iter().filter(|run| run.1 >= due.reach.from).collect();
        let strange = spans::guarded(&strange, due.reach.step_s, spans::JOIN_STEPS);
        left_out.extend(spans::incidents(strange, &window.times, share));
        let frames = self.routine_frames(due, &routine)?;
        Ok(Apart { left_out, routine, frames })
    }

    /// Runs of scores above 1 from a moment on. All scores are read, though not all at once: of frames that a training
    /// reads in stretches most mornings would be missed.
    fn runs(&self, due: &Due, from: Timestamp) -> Result<Vec<Span>, Error> {
        let (mut runs, mut start) = (Runs::default(), from);
        while start <= due.reach.to {
            let end = (start + (CHUNK_STEPS * due.reach.step_s * 1e6) as i64).min(due.reach.to + 1);
            let all = Query::new(due.instance.id.clone(), start, end);
            let (schema, metrics) = (Some(outputs::schema().id()), Some(vec![outputs::SCORE.to_owned()]));
            for window in self.store.read(&Query { schema, metrics, ..all })? {
                let scores = window.numbers(outputs::SCORE).unwrap_or_default();
                window.times.iter().zip(scores).for_each(|(&at, score)| runs.take(at, score));
            }
            start = end;
        }
        Ok(runs.found)
    }

    /// Every frame of the latest routine spans, as far as a training can take them, each with frames that warm a state.
    fn routine_frames(&self, due: &Due, routine: &[Span]) -> Result<Option<Window>, Error> {
        let us = |steps: f64| (steps * due.reach.step_s * 1e6) as i64;
        let most_us = us(MOST_FRAMES * due.reach.most as f64);
        let warmed = routine.iter().rev().map(|&(from, to)| (from - us(WARM_STEPS), to));
        let mut spent_us = 0;
        let affordable = warmed.take_while(|(from, to)| {
            spent_us += to.0 - from.0;
            spent_us <= most_us
        });
        let mut whole: Option<Window> = None;
        for (from, to) in merged(affordable.collect()) {
            let query = Query { schema: Some(due.schema), ..Query::new(due.instance.id.clone(), from, to) };
            for window in self.store.read(&query)?.into_iter().filter(|one| one.schema.id() == due.schema) {
                match &mut whole {
                    Some(whole) => reach::append(whole, window),
                    None => whole = Some(window),
                }
            }
        }
        Ok(whole)
    }
}

fn tolerance_us(step_s: f64) -> i64 {
    TOLERANCE_US.max((TOLERANCE_STEPS * step_s * 1e6) as i64)
}

/// Runs that come back by the clock, and those that do not. What comes daily is looked for from `from` on, what comes
/// weekly in all of them.
fn split(runs: &[Span], from: Timestamp, tolerance_us: i64) -> (Vec<Span>, Vec<Span>) {
    let recent = &runs[runs.partition_point(|run| run.0 < from)..];
    let (days, weeks) = (Turns::of(recent, DAY_US), Turns::of(runs, 7 * DAY_US));
    runs.iter().partition(|run| {
        run.0 >= from && days.comes_back(**run, tolerance_us) || weeks.comes_back(**run, tolerance_us)
    })
}

/// Runs by where in the turns of the clock they begin.
struct Turns {
    length_us: i64,
    by_phase: Vec<(i64, Span)>,
}

impl Turns {
    fn of(runs: &[Span], length_us: i64) -> Self {
        let mut by_phase: Vec<(i64, Span)> =
            runs.iter().map(|&run| (run.0.0.rem_euclid(length_us), run)).collect();
        by_phase.sort_unstable();
        Self { length_us, by_phase }
    }

    /// Whether one of them has its like in enough other turns. One that goes on for longer than those did is an incident
    /// that began with them.
    fn comes_back(&self, run: Span, tolerance_us: i64) -> bool {
        let phase = run.0.0.rem_euclid(self.length_us);
        let (mut turns, mut longest_us) = (Vec::new(), 0);
        // Around the end of a turn, too.
        for center in [phase - self.length_us, phase, phase + self.length_us] {
            let first = self.by_phase.partition_point(|(other, _)| *other < center - tolerance_us);
            let near = self.by_phase[first..].iter().take_while(|(other, _)| *other <= center + tolerance_us);
            for (other, (start, end)) in near {
                let turn = (start.0 - run.0.0 - (other - center)) / self.length_us;
                turns.push(turn);
                if turn != 0 {
                    longest_us = longest_us.max(end.0 - start.0);
                }
            }
        }
        turns.sort_unstable();
        turns.dedup();
        turns.len() >= OCCASIONS && run.1.0 - run.0.0 <= 2 * longest_us + tolerance_us
    }
}

/// The same spans in order, those that meet made one.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.0 <= last.1 => last.1 = last.1.max(span.1),
            _ => merged.push(span),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of some minutes that begins at a minute of a day.
    fn run(day: i64, minute: i64, minutes: i64) -> Span {
        let start = Timestamp(day * DAY_US + minute * 60 * SECOND_US);
        (start, start + minutes * 60 * SECOND_US)
    }

    fn usual(runs: &[Span]) -> Vec<Span> {
        split(runs, Timestamp(14 * DAY_US), TOLERANCE_US).0
    }

    #[test]
    fn three_mornings_are_a_routine_and_two_are_not() {
        let mornings = [run(15, 360, 10), run(16, 363, 12), run(18, 355, 8)];
        let odd = [run(16, 900, 10), run(17, 905, 10)];
        let mut all = [&mornings[..], &odd].concat();
        all.sort_unstable();
        let (found, rest) = split(&all, Timestamp(14 * DAY_US), TOLERANCE_US);
        assert_eq!((&found[..], &rest[..]), (&mornings[..], &odd[..]));
        // Around midnight too.
        let nights = [run(14, 1439, 3), run(16, 2, 3), run(17, 1, 3)];
        assert_eq!(usual(&nights), nights);
    }

    #[test]
    fn what_goes_on_for_longer_is_an_incident() {
        let mornings = [run(15, 360, 10), run(16, 360, 10), run(17, 360, 10), run(18, 362, 200)];
        assert_eq!(usual(&mornings), mornings[..3]);
    }

    #[test]
    fn sundays_count_over_weeks_and_old_mornings_do_not() {
        let sundays = [run(3, 180, 10), run(10, 185, 10), run(17, 178, 10)];
        assert_eq!(usual(&sundays), sundays);
        assert!(usual(&sundays[..2]).is_empty());
        let old = [run(8, 360, 10), run(9, 360, 10), run(10, 360, 10), run(15, 360, 10)];
        assert!(usual(&old).is_empty(), "only one of them is in the window");
    }
}
