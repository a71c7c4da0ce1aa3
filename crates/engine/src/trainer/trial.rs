//! Champion against challenger: a new model takes over only if it does as well on recent frames that neither has seen.

use std::ops::{ControlFlow, Range};

use foretwin_core::Timestamp;
use foretwin_learn::{
    Error, HeldOut, Job, Margins, Model, Progress, Reason, Span, Start, Verdict, compare, fit,
};

use super::Budget;

/// The latest part of a window that is held out at most.
const HELD_OUT: f64 = 0.2;
/// Rows that warm both models.
const WARM: usize = 60;

/// What becomes of a new model.
pub(crate) enum Decision {
    /// It takes over: there was nothing to compare it with, or it won.
    Promote(Box<Model>, Option<Verdict>),
    /// The one at work stays; the challenger is worth a record.
    Keep(Box<Model>, Verdict),
}

/// How a model is fitted to a job, going on from what a challenger knows if there is one.
pub(crate) type Fit<'a> = dyn FnMut(&Job, Option<&Model>) -> Result<Model, Error> + 'a;

/// Fits as the job says, a second time from the challenger.
pub(crate) fn plainly<'a>(
    budget: &'a Budget<'_>,
) -> impl FnMut(&Job, Option<&Model>) -> Result<Model, Error> + 'a {
    |job, challenger| {
        let start = challenger.map_or(job.start, Start::Parent);
        fit(&Job { start, ..*job }, &mut |progress: Progress| -> ControlFlow<()> { budget.hear(progress) })
    }
}

/// Fits a model, and compares it with the `champion` if there is one: on the latest frames that the champion was not
/// trained on, left out of the challenger's job too. A winner is fitted again to everything, going on from what it knows.
pub(crate) fn decide(job: &Job, champion: Option<&Model>, fit: &mut Fit<'_>) -> Result<Decision, Error> {
    let Some(champion) = champion else {
        return Ok(Decision::Promote(Box::new(fit(job, None)?), None));
    };
    let rows = held_out(&job.window.times, champion.trained_at());
    let Some(&cut) = job.window.times.get(rows.start) else {
        return Ok(Decision::Promote(Box::new(fit(job, None)?), None));
    };
    let unseen: Vec<Span> = job.left_out.iter().copied().chain([(cut, Timestamp(i64::MAX))]).collect();
    let challenger = fit(&Job { left_out: &unseen, ..*job }, None)?;
    // What comes back by the clock is known to one of them from more mornings than to the other.
    let routine = job.routine.iter().flat_map(|routine| routine.spans);
    let apart: Vec<Span> = job.left_out.iter().chain(routine).copied().collect();
    let held_out = HeldOut { window: job.window, rows, warm: WARM, left_out: &apart };
    let verdict = compare(champion, &challenger, &held_out, &Margins::at(job.config.false_alarm_rate));
    // Where too little is held out nothing speaks against the newer data.
    if !verdict.promotes() && verdict.reason != Reason::TooLittle {
        return Ok(Decision::Keep(Box::new(challenger), verdict));
    }
    let whole = fit(job, Some(&challenger))?;
    Ok(Decision::Promote(Box::new(whole), Some(verdict)))
}

/// A verdict in words, for the record of a version.
pub(crate) fn words(verdict: &Verdict) -> String {
    let Verdict { reason, ratio, metrics, champion, challenger } = verdict;
    let decided = match reason {
        Reason::GoodEnough => "as good as the champion",
        Reason::LessAccurate => "less accurate than the champion",
        Reason::FalseAlarms => "more false alarms than the champion and than stated",
        Reason::TooLittle => "too little held out to compare",
    };
    format!(
        "{decided}: error {:.3} against {:.3} (ratio {ratio:.3} over {metrics} metrics), {} against {} alarms in {} frames",
        challenger.error, champion.error, challenger.alarms, champion.alarms, challenger.frames
    )
}

/// The latest rows that a model trained at a moment has not seen, a fifth of all at most.
fn held_out(times: &[Timestamp], trained_at: Timestamp) -> Range<usize> {
    let fresh = times.partition_point(|&at| at <= trained_at);
    let most = (times.len() as f64 * HELD_OUT) as usize;
    fresh.max(times.len() - most)..times.len()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Value, Window};
    use foretwin_learn::Config;

    use super::*;

    /// A metric whose next value depends on the last by `keep`, after `strange` rows that know nothing of each other.
    fn window(strange: usize, rows: usize, keep: f64) -> Window {
        let metric = Metric::gauge("x", "1", Role::Rate).stored(Storage::F64);
        let mut window = Window::new(InstanceId::new("one"), Schema::new(vec![metric]));
        let (mut rng, mut x) = (Rng::new(3), 0.0f64);
        for n in 0..strange + rows {
            x = if n < strange { 3.0 * rng.normal() } else { keep * x + rng.normal() };
            window.push(Timestamp(n as i64 * 1_000_000), &[Value::float(x)]);
        }
        window
    }

    fn decided(champion: &Window, job: &Job) -> Decision {
        let never = AtomicBool::new(false);
        let champion = fit(&Job::new(champion, job.config), &mut |_| ControlFlow::Continue(())).unwrap();
        decide(job, Some(&champion), &mut plainly(&Budget::new(&never, None))).unwrap()
    }

    #[test]
    fn a_challenger_that_learned_from_what_is_strange_loses() {
        let config = Config { lstm_min_rows: usize::MAX, ..Config::default() };
        let normal = window(0, 4000, 0.97);
        // The champion knows this behaviour; most of what the challenger saw is of another.
        let recent = window(8000, 2500, 0.97);
        match decided(&normal, &Job::new(&recent, &config)) {
            Decision::Keep(_, verdict) => assert_eq!(verdict.reason, Reason::LessAccurate, "{verdict:?}"),
            Decision::Promote(_, verdict) => panic!("promoted: {verdict:?}"),
        }
    }

    #[test]
    fn a_challenger_that_knows_the_present_wins_and_learns_everything() {
        let config = Config { lstm_min_rows: usize::MAX, ..Config::default() };
        let (old, mut new) = (window(4000, 0, 0.0), window(0, 4000, 0.97));
        new.times.iter_mut().for_each(|at| *at = *at + 4_000_000_000);
        let Decision::Promote(model, Some(verdict)) = decided(&old, &Job::new(&new, &config)) else {
            panic!("the champion knows nothing of this behaviour")
        };
        assert!(verdict.ratio < 0.9 && verdict.challenger.frames > 500, "{verdict:?}");
        assert_eq!(model.rows(), new.len(), "the winner was fitted to everything");
        assert!(words(&verdict).starts_with("as good as the champion: error 0."), "{}", words(&verdict));
    }

    #[test]
    fn held_out_is_what_the_champion_has_not_seen() {
        let times: Vec<Timestamp> = (0..100).map(Timestamp).collect();
        assert_eq!(held_out(&times, Timestamp(89)), 90..100);
        assert_eq!(held_out(&times, Timestamp(10)), 80..100, "a fifth at most");
        assert!(held_out(&times, Timestamp(500)).is_empty());
    }
}
