//! Chooses on held-out data, for every metric and lead, among the ways to expect it; the simpler one wins a draw.

use super::fit::{Job, Source};
use super::heads::{Errors, Head, Origins, WILD, Way};
use super::trace::bases;

/// A richer way must cut the held-out absolute error by this part.
const WORTH: f64 = 0.01;

/// Sets way and scale of every head of a lead by its errors at `held_out` origins.
pub(super) fn choose(sources: &[Source], job: &Job, (h, held_out): (usize, &Origins), heads: &mut [Head]) {
    let (simple, mut others, mut room) = (bases(job.seasons.len()), Vec::new(), Vec::new());
    let mut errors = vec![vec![0.0f64; simple + 2]; heads.len()];
    let mut squares = errors.clone();
    let mut counts = vec![0.0f64; heads.len()];
    for &(s, t) in held_out {
        let (source, t) = (&sources[s as usize], t as usize);
        others.clear();
        source.seen_by_others(&job.inputs, t, &mut others);
        for (n, head) in heads.iter().enumerate().filter(|(n, _)| source.grid.is_seen(t + h, *n)) {
            let (trace, truth) = (&source.traces[n], source.traces[n].y[t + h]);
            counts[n] += 1.0;
            let alone = head.alone(trace, (t, h), &mut room);
            let regressed = [alone, alone + head.by_others(&others)];
            let ways = (0..simple).map(|base| trace.base(base, t, h)).chain(regressed);
            for (way, expected) in ways.enumerate() {
                let error = f64::from((truth - expected).clamp(-WILD, WILD));
                errors[n][way] += error.abs();
                squares[n][way] += error * error;
            }
        }
    }
    for (n, head) in heads.iter_mut().enumerate() {
        let joint = !head.joint.is_empty();
        let way = best(&errors[n][..simple + 1 + usize::from(joint)]);
        head.way = match way {
            way if way < simple => Way::Base(way as u32),
            way if way == simple => Way::Own,
            _ => Way::Joint,
        };
        if head.way != Way::Joint {
            head.joint = Vec::new();
        }
        let few = 1.0 + 10.0 / counts[n].max(1.0);
        head.scale = (squares[n][way] / counts[n].max(1.0) * few).sqrt().max(1e-3) as f32;
        let mean = |sum: f64| sum / counts[n].max(1.0);
        let ways = errors[n].iter().zip(&squares[n]).take(simple + 1 + usize::from(joint));
        head.errors = ways
            .map(|(&mae, &square)| Errors { mae: mean(mae) as f32, rms: mean(square).sqrt() as f32 })
            .collect();
    }
}

/// The place of the least error; a later one must be better by [`WORTH`] than the best before it.
fn best(errors: &[f64]) -> usize {
    let mut best = 0;
    for (at, &error) in errors.iter().enumerate() {
        if error < (1.0 - WORTH) * errors[best] {
            best = at;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn the_simpler_way_wins_a_draw() {
        assert_eq!(best(&[1.0, 0.995, 1.2]), 0);
        assert_eq!(best(&[1.0, 0.95, 0.945, 0.9]), 3);
    }
}
