//! What a model carries from frame to frame: the past, the recurrent memory, smoothed evidence.

use foretwin_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::adapt::Tail;
use crate::feature::Reading;
use crate::linear::Room;
use crate::lstm::Memory;
use crate::table::{ABSENT_FADE, GAP_STEPS};

/// This many frames in a row that are older than the newest, but in order, mean that the clock was set back.
const SET_BACK_FRAMES: u32 = 10;

/// The order of time, as far as frames have shown it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Clock {
    /// The newest frame.
    pub newest: Option<Timestamp>,
    /// The latest of the frames that came late in a row, and how many.
    late: Option<(Timestamp, u32)>,
}

/// Where a frame stands in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Arrival {
    /// It follows the last one.
    Next,
    /// It follows after a pause of this many steps, or after the clock was set.
    Gap(f64),
    /// It is older than what was seen, or was seen already.
    Late,
}

impl Clock {
    /// Takes note of a frame.
    pub fn arrive(&mut self, at: Timestamp, step_s: f64) -> Arrival {
        let Some(newest) = self.newest else {
            self.newest = Some(at);
            return Arrival::Gap(0.0);
        };
        if at <= newest {
            let count = match self.late {
                Some((before, count)) if at > before => count + 1,
                _ => 1,
            };
            self.late = Some((at, count));
            if count < SET_BACK_FRAMES {
                return Arrival::Late;
            }
            *self = Self { newest: Some(at), late: None };
            return Arrival::Gap(f64::from(SET_BACK_FRAMES));
        }
        *self = Self { newest: Some(at), late: None };
        let steps = at.since(newest) / step_s;
        if steps > GAP_STEPS { Arrival::Gap(steps) } else { Arrival::Next }
    }
}

/// A metric that never moved while learning, as it is seen now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Watch {
    /// Where it is by now, on the common scale; 0 is where it always was.
    pub level: f32,
    /// How far it has been moving lately: movement of this size is no longer news.
    pub habit: f32,
    /// Evidence of its latest movement, fading.
    pub evidence: f32,
}

/// The state of one model for one instance. Belongs to the model version that started it.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub(crate) clock: Clock,
    /// Frames since the last gap.
    pub(crate) age: u32,
    pub(crate) score: f64,
    /// Per column, the latest sample of counters.
    pub(crate) readings: Vec<Reading>,
    pub(crate) past: Past,
    /// Per target, smoothed squared surprise.
    pub(crate) evidence: Vec<f32>,
    /// The same of the second look, where there is one.
    pub(crate) far: Vec<f32>,
    /// Per target, how far the expectation has been off lately: followed slowly, and added to it.
    pub(crate) bias: Vec<f32>,
    /// The same of the second look.
    pub(crate) far_bias: Vec<f32>,
    /// The tail that the threshold follows; absent while a model knows too little of it.
    pub(crate) tail: Option<Tail>,
    pub(crate) watches: Vec<Watch>,
    pub(crate) memory: Memory,
    /// What the recurrent part adds to the next frame's expectation, per output.
    pub(crate) correction: Vec<f32>,
    pub(crate) scratch: Scratch,
}

impl State {
    /// The score of the frame taken last; above 1 is anomalous. Always finite.
    #[must_use]
    pub fn score(&self) -> f64 {
        self.score
    }

    /// The newest frame that it has seen.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.clock.newest
    }
}

/// The latest rows on the common scale, in a ring.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Past {
    pub rows: Vec<f32>,
    pub width: usize,
    /// Index of the newest row.
    pub newest: usize,
}

impl Past {
    pub fn new(lags: usize, width: usize) -> Self {
        Self { rows: vec![0.0; lags * width], width, newest: 0 }
    }

    /// The row `k + 1` frames before the one to come.
    pub fn lag(&self, k: usize) -> &[f32] {
        let lags = self.rows.len() / self.width.max(1);
        let row = (self.newest + k) % lags.max(1);
        &self.rows[row * self.width..(row + 1) * self.width]
    }

    /// Adds a row; what is NaN in it returns from its last value to its centre.
    pub fn push(&mut self, row: &[f32]) {
        let lags = self.rows.len() / self.width.max(1);
        let next = (self.newest + lags - 1) % lags.max(1);
        for (column, &value) in row.iter().enumerate() {
            let held = self.rows[self.newest * self.width + column];
            self.rows[next * self.width + column] = if value.is_nan() { ABSENT_FADE * held } else { value };
        }
        self.newest = next;
    }
}

/// Room to work in; carries nothing from frame to frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Scratch {
    /// Per column, the transformed sample.
    pub numbers: Vec<f64>,
    /// Per column, on the common scale; NaN where missing.
    pub z: Vec<f32>,
    /// Per target, the expected value on the common scale.
    pub mean: Vec<f32>,
    /// Per target, the evidence of both looks together.
    pub weighed: Vec<f32>,
    /// Per column, what the cycle adds at this moment.
    pub offset: Vec<f32>,
    pub room: Room,
    /// Inputs of the recurrent part.
    pub inputs: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1_000_000)
    }

    #[test]
    fn gaps_late_frames_and_a_clock_set_back() {
        let mut clock = Clock::default();
        assert_eq!(clock.arrive(at(100), 1.0), Arrival::Gap(0.0));
        assert_eq!(clock.arrive(at(101), 1.0), Arrival::Next);
        assert_eq!(clock.arrive(at(101), 1.0), Arrival::Late);
        assert_eq!(clock.arrive(at(99), 1.0), Arrival::Late);
        assert_eq!(clock.arrive(at(103), 1.0), Arrival::Next);
        assert_eq!(clock.arrive(at(163), 1.0), Arrival::Gap(60.0));
        let set_back: Vec<_> = (0..12).map(|s| clock.arrive(at(10 + s), 1.0)).collect();
        assert!(set_back[..9].iter().all(|arrival| *arrival == Arrival::Late));
        assert!(matches!(set_back[9], Arrival::Gap(_)));
        assert_eq!(set_back[11], Arrival::Next);
    }

    #[test]
    fn the_past_turns_and_fades_what_is_missing() {
        let mut past = Past::new(3, 2);
        for row in [[1.0, 10.0], [2.0, f32::NAN], [3.0, 30.0], [4.0, 40.0]] {
            past.push(&row);
        }
        assert_eq!(
            (past.lag(0), past.lag(1), past.lag(2)),
            (&[4.0, 40.0][..], &[3.0, 30.0][..], &[2.0, 9.0][..])
        );
    }
}
