//! Rehearsals that were asked for, from their start to what they say.

use std::time::Instant;

use foretwin_core::Fidelity;
use foretwin_twin::rehearsal::Rehearsal;
use foretwin_twin::{Activity, Report, Spec, Status};

use super::verify;
use super::view::RehearsalView;
use super::wishes::{MOST_REHEARSALS, Shared, Wishes};

/// Those that run.
#[derive(Default)]
pub(super) struct Rehearsals(Vec<Running>);

struct Running {
    id: u64,
    rehearsal: Rehearsal,
    began: Instant,
    over: bool,
    /// What it ran in; of one that has ended nobody can tell any more.
    achieved: Fidelity,
}

impl Rehearsals {
    /// Begins what was asked for, and says what runs.
    pub(super) fn specs(&mut self, wishes: &Wishes) -> Vec<Spec> {
        let mut shared = wishes.shared();
        while let Some((id, question)) = shared.rehearse.pop_front() {
            if shared.cancelled(id) {
                continue;
            }
            match Rehearsal::new(question) {
                Ok(rehearsal) => {
                    self.0.push(Running {
                        id,
                        rehearsal,
                        began: Instant::now(),
                        over: false,
                        achieved: Fidelity::Model,
                    });
                }
                Err(error) => shared.update(id, |view| {
                    (view.done, view.message) = (true, error.to_string());
                }),
            }
        }
        self.0.iter().map(|running| running.rehearsal.spec().clone()).collect()
    }

    /// Shows a report to the rehearsal that it is of; false if it is of none.
    pub(super) fn frame(&mut self, report: &Report) -> bool {
        let Some(running) = self.0.iter_mut().find(|one| one.rehearsal.spec().label == report.label) else {
            return false;
        };
        running.achieved = running.achieved.max(report.fidelity);
        running.over |= running.rehearsal.frame(&report.frame);
        true
    }

    /// Notices what has ended and says so.
    pub(super) fn watch(&mut self, statuses: &[Status], wishes: &Wishes) {
        let mut shared = wishes.shared();
        self.0.retain_mut(|running| {
            // What is wished for no more is ended by the twins' keeper.
            if shared.cancelled(running.id) {
                return false;
            }
            let status = statuses.iter().find(|status| status.label == running.rehearsal.spec().label);
            let elapsed_s = running.began.elapsed().as_secs_f64();
            if let Some(Activity::Ended(exit)) = status.map(|status| &status.activity) {
                running.rehearsal.exit(exit, elapsed_s);
                running.over = true;
            }
            running.achieved = running.achieved.max(status.map_or(Fidelity::Model, |status| status.achieved));
            let achieved = running.achieved;
            shared.update(running.id, |view| {
                view.progress = (elapsed_s / running.rehearsal.duration_s()).min(1.0);
                view.fidelity = Some(achieved);
                if running.over {
                    conclude(view, &running.rehearsal, achieved);
                }
            });
            !running.over
        });
    }
}

fn conclude(view: &mut RehearsalView, rehearsal: &Rehearsal, achieved: Fidelity) {
    (view.done, view.progress) = (true, 1.0);
    let Some(outcome) = rehearsal.outcome(achieved) else {
        view.message = "it ended without saying anything".into();
        return;
    };
    view.resolution_s = Some(outcome.resolution_s);
    (view.comparable, view.not_comparable) = (outcome.comparable, outcome.not_comparable);
    if let Some(foreseen) = &view.foreseen {
        let broke = outcome.broken.as_ref().map(|broken| (broken.mode, broken.after_s));
        let how = (achieved, outcome.rehearsed_s, outcome.resolution_s);
        view.verified = Some(verify::told(foreseen, broke, how));
    }
    match outcome.broken {
        Some(broken) => {
            (view.mode, view.after_s, view.message) = (Some(broken.mode), Some(broken.after_s), broken.seen);
        }
        None => view.message = format!("nothing broke within {:.0} s", outcome.rehearsed_s),
    }
}

impl Shared {
    fn update(&mut self, id: u64, change: impl FnOnce(&mut RehearsalView)) {
        if let Some(view) = self.rehearsals.iter_mut().find(|view| view.id == id) {
            change(view);
        }
    }

    /// Whether a rehearsal is wished for no more.
    fn cancelled(&self, id: u64) -> bool {
        self.rehearsals.iter().any(|view| view.id == id && view.cancelled)
    }

    /// Takes the wish for a rehearsal back, unless it is over.
    pub(super) fn cancel(&mut self, id: u64) {
        self.update(id, |view| {
            if !view.done {
                (view.done, view.cancelled, view.message) = (true, true, "it was cancelled".into());
            }
        });
    }

    /// Remembers a rehearsal that was asked for, and lets the oldest go.
    pub(super) fn remember(&mut self, view: RehearsalView) {
        self.rehearsals.push_back(view);
        while self.rehearsals.len() > MOST_REHEARSALS {
            self.rehearsals.pop_front();
        }
    }
}
