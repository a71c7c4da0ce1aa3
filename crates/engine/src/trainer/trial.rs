//! Champion against challenger: a new model takes over only if it does as well on recent frames that neither has seen.

use std::ops::{ControlFlow, Range};

use foretwin_core::Timestamp;
use foretwin_learn::{Error, HeldOut, Job, Margins, Model, Progress, Reason, Span, Start, Verdict, compare, fit};

use super::Budget;

/// The latest part of a window that is held out at most.
const HELD_OUT: f64 = 0.2;
/// Rows that warm both models.
const WARM: usize = 60;

/// What becomes of a new model.
pub(crate) enum Decision {
    /// It takes over: there was nothing to compare it with, or it won.
    Promote(Box<Model>, Option<Verdict>),
    /// The one at work stays.
    Keep(Verdict),
}

/// Fits a model, and compares it with the `champion` if there is one: on the latest frames that the champion was not
/// trained on, left out of the challenger's job too. A winner is fitted again to everything, going on from what it knows.
pub(crate) fn decide(job: &Job, champion: Option<&Model>, budget: &Budget<'_>) -> Result<Decision, Error> {
    let mut observe = |_: Progress| -> ControlFlow<()> { budget.allow() };
    let Some(champion) = champion else {
        return Ok(Decision::Promote(Box::new(fit(job, &mut observe)?), None));
    };
    let rows = held_out(&job.window.times, champion.trained_at());
    let Some(&cut) = job.window.times.get(rows.start) else {
        return Ok(Decision::Promote(Box::new(fit(job, &mut observe)?), None));
    };
    let unseen: Vec<Span> = job.left_out.iter().copied().chain([(cut, Timestamp(i64::MAX))]).collect();
    let challenger = fit(&Job { left_out: &unseen, ..*job }, &mut observe)?;
    let held_out = HeldOut { window: job.window, rows, warm: WARM, left_out: job.left_out };
    let verdict = compare(champion, &challenger, &held_out, &Margins::at(job.config.false_alarm_rate));
    // Where too little is held out nothing speaks against the newer data.
    if !verdict.promotes() && verdict.reason != Reason::TooLittle {
        return Ok(Decision::Keep(verdict));
    }
    let whole = fit(&Job { start: Start::Parent(&challenger), ..*job }, &mut observe)?;
    Ok(Decision::Promote(Box::new(whole), Some(verdict)))
}

/// The latest rows that a model trained at a moment has not seen, a fifth of all at most.
fn held_out(times: &[Timestamp], trained_at: Timestamp) -> Range<usize> {
    let fresh = times.partition_point(|&at| at <= trained_at);
    let most = (times.len() as f64 * HELD_OUT) as usize;
    fresh.max(times.len() - most)..times.len()
}
