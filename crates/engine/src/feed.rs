//! One schema of one instance: its latest frame, the model that judges it, and its resources with a limit.

use std::sync::Arc;

use foretwin_core::{
    Capacity, InstanceId, Judgement, Kind, Learning, Phase, Risk, Schema, Timestamp, Value, Window,
};
use foretwin_foresee::{History, Series};
use foretwin_learn::{Model, Outcome, State, Taken};

use crate::config::Training;

/// So many older frames in a row, in order, mean that the clock was set back.
const SET_BACK_FRAMES: u32 = 10;
/// A judgement speaks for the present this many sampling steps long.
const FRESH_STEPS: f64 = 3.0;

/// A feed is current while its next frame is not overdue by a few of its gaps, which are believed up to this.
const LONGEST_GAP_S: f64 = 24.0;
const OVERDUE_GAPS: f64 = 5.0;
const OVERDUE_S: f64 = 2.0;

/// Frames of one schema as they come.
pub(crate) struct Feed {
    pub(crate) schema: Arc<Schema>,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) frames: u64,
    pub(crate) judgement: Option<Judgement>,
    /// Seconds between its last two frames; the longest gap before there were two.
    gap_s: f64,
    /// No training before so many frames.
    pub(crate) wants_frames: u64,
    /// The last of the frames in a row that came late, and how many.
    stragglers: Option<(Timestamp, u32)>,
    judge: Option<Judge>,
    /// A model that runs beside the judge and takes its place with the first frame that it can judge.
    successor: Option<Judge>,
    /// When the newest model was trained, whichever judges.
    renewed: Option<Timestamp>,
    resources: Vec<Resource>,
}

/// A model at work.
struct Judge {
    model: Arc<Model>,
    state: State,
    outcome: Outcome,
    phase: Phase,
}

impl Judge {
    fn step(&mut self, at: Timestamp, values: &[Value]) {
        self.model.step(&mut self.state, at, values, &mut self.outcome);
    }
}

/// A series that runs against a limit.
struct Resource {
    used: usize,
    limit: usize,
    metric: String,
    capacity: Capacity,
    history: History,
}

impl Feed {
    /// A feed that has seen nothing.
    pub(crate) fn new(schema: &Arc<Schema>) -> Self {
        let resource = |(used, metric): (usize, &foretwin_core::Metric)| {
            // A count that runs against a rate (CPU time) has no moment at which it is used up.
            let capacity = metric.capacity.clone().filter(|_| metric.kind == Kind::Gauge)?;
            let limit = schema.column(&capacity.limit)?;
            Some(Resource { used, limit, metric: metric.key(), capacity, history: History::default() })
        };
        let resources = schema.metrics().iter().enumerate().filter_map(resource).collect();
        let (first, last) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
        Self {
            schema: schema.clone(),
            first,
            last,
            frames: 0,
            gap_s: LONGEST_GAP_S,
            judgement: None,
            wants_frames: 0,
            stragglers: None,
            judge: None,
            successor: None,
            renewed: None,
            resources,
        }
    }

    /// Takes a frame; false if it is not newer than all before. Model and history hear of late frames too: they know
    /// a straggler from a clock that was set back.
    pub(crate) fn take(&mut self, at: Timestamp, values: &[Value]) -> bool {
        let late = !self.follows(at);
        if !late {
            if self.frames > 0 {
                self.gap_s = at.since(self.last).clamp(0.01, LONGEST_GAP_S);
            }
            self.first = self.first.min(at);
            self.last = at;
            self.frames += 1;
        }
        self.remember(at, values);
        let took_over = self.succession(at, values);
        if let Some(judge) = &mut self.judge {
            if !took_over {
                judge.step(at, values);
            }
            if judge.outcome.taken == Taken::Judged {
                let version = judge.model.version();
                self.judgement = Some(judge.outcome.judgement(at, &self.schema, version, judge.phase));
            }
        }
        !late
    }

    /// Whether a frame is the newest, or the clock was set back: so many older frames in a row, in order, are no
    /// stragglers.
    fn follows(&mut self, at: Timestamp) -> bool {
        self.stragglers = match self.stragglers {
            _ if at > self.last => None,
            Some((before, count)) if at > before => Some((at, count + 1)),
            _ => Some((at, 1)),
        };
        let set_back = self.stragglers.is_some_and(|(_, count)| count >= SET_BACK_FRAMES);
        if set_back {
            self.stragglers = None;
        }
        at > self.last || set_back
    }

    /// Whether it still gets frames: a schema that was replaced by a newer one says nothing any more.
    pub(crate) fn is_current(&self, now: Timestamp) -> bool {
        now.since(self.last).abs() <= OVERDUE_GAPS * self.gap_s + OVERDUE_S
    }

    /// Takes over what foresight knows of the same series under an earlier schema: a mount that comes or goes changes
    /// the schema of its machine, not the history of its memory.
    pub(crate) fn inherit(&mut self, earlier: &[Self]) {
        for resource in &mut self.resources {
            let same = earlier.iter().flat_map(|feed| feed.resources.iter().map(move |one| (feed.last, one)));
            let same =
                same.filter(|(_, one)| one.metric == resource.metric && one.capacity == resource.capacity);
            if let Some((_, one)) = same.max_by_key(|(last, _)| *last) {
                resource.history = one.history.clone();
            }
        }
        let first = earlier.iter().map(|feed| feed.first).min();
        self.first = first.unwrap_or(self.first);
    }

    /// Whether foresight knows nothing of any of its resources yet.
    pub(crate) fn is_unread(&self) -> bool {
        self.resources.iter().all(|resource| resource.history.is_empty())
    }

    /// Waits for more history before the next training, since this one came to nothing.
    pub(crate) fn defer(&mut self) {
        self.wants_frames = self.frames + (self.frames / 2).clamp(30, 3600);
    }

    /// Keeps what foresight needs of a frame.
    fn remember(&mut self, at: Timestamp, values: &[Value]) {
        for resource in &mut self.resources {
            let number = |column: usize| values[column].to_f64(self.schema.metrics()[column].storage);
            resource.history.push(at, number(resource.used), number(resource.limit));
        }
    }

    /// Gives foresight stored history from before a restart.
    pub(crate) fn recall(&mut self, window: &Window) {
        for resource in &mut self.resources {
            let (used, limit) = (window.numbers(&resource.metric), window.numbers(&resource.capacity.limit));
            let (Some(used), Some(limit)) = (used, limit) else { continue };
            for (&at, (used, limit)) in window.times.iter().zip(used.into_iter().zip(limit)) {
                resource.history.push(at, used, limit);
            }
        }
    }

    /// Keys of the series that foresight keeps a history of, and of their limits.
    pub(crate) fn remembered(&self) -> Vec<String> {
        self.resources.iter().flat_map(|r| [r.metric.clone(), r.capacity.limit.clone()]).collect()
    }

    /// Puts a model to work, warmed by the frames that `recent` gives. If another one judges and this one is not abreast
    /// yet, the other goes on until it is: no frame stays without a score.
    pub(crate) fn install(
        &mut self,
        (model, phase): (Arc<Model>, Phase),
        renewed: Timestamp,
        recent: impl Iterator<Item = (Timestamp, Vec<Value>)>,
    ) {
        let mut judge = Judge { state: model.start(), outcome: Outcome::default(), phase, model };
        let mut seen = Timestamp(i64::MIN);
        for (at, values) in recent {
            judge.step(at, &values);
            seen = at;
        }
        let abreast = judge.outcome.taken == Taken::Judged && seen == self.last;
        self.renewed = self.renewed.max(Some(renewed));
        self.successor = None;
        if abreast || self.judge.is_none() {
            self.judge = Some(judge);
        } else {
            self.successor = Some(judge);
        }
    }

    /// Lets the successor take a frame; if it can judge it, it is the judge from now on.
    fn succession(&mut self, at: Timestamp, values: &[Value]) -> bool {
        let Some(successor) = &mut self.successor else { return false };
        successor.step(at, values);
        let able = successor.outcome.taken == Taken::Judged;
        if able {
            self.judge = self.successor.take();
        }
        able
    }

    /// When the newest model of this feed was trained: after a rollback that is not the one that judges.
    pub(crate) fn renewed(&self) -> Option<Timestamp> {
        self.renewed
    }

    /// The judgement, if it is recent enough to speak for `now`.
    pub(crate) fn verdict(&self, now: Timestamp) -> Option<&Judgement> {
        let fresh_s = FRESH_STEPS * self.judge.as_ref()?.model.step_s() + 0.5;
        self.judgement.as_ref().filter(|judged| now.since(judged.at) <= fresh_s)
    }

    /// The model at work and its phase.
    pub(crate) fn model(&self) -> Option<(&Arc<Model>, Phase)> {
        self.judge.as_ref().map(|judge| (&judge.model, judge.phase))
    }

    /// How far learning has come.
    pub(crate) fn learning(&self, training: &Training) -> Learning {
        let seen_s = self.last.since(self.first).max(0.0);
        let progress = (seen_s / training.settled_s).clamp(0.0, 1.0);
        let (phase, model_version) =
            self.judge.as_ref().map_or((Phase::Gathering, 0), |judge| (judge.phase, judge.model.version()));
        let percent = (progress * 100.0).floor();
        let message = match phase {
            Phase::Gathering => format!("gathering: {} of {} frames", self.frames, training.first_frames),
            Phase::Provisional => format!("learning {percent} %, scores are provisional"),
            Phase::Learned if seen_s < 2.0 * 86_400.0 => "learned; seasonality after two full days".into(),
            Phase::Learned => "learned".into(),
        };
        Learning { phase, progress, model_version, message }
    }

    /// What may run out, each with its probabilities.
    pub(crate) fn risks(
        &self,
        now: Timestamp,
        config: &foretwin_foresee::Config,
        owner: &InstanceId,
    ) -> Vec<Risk> {
        let (mut times, mut used) = (Vec::new(), Vec::new());
        let seed = foretwin_core::fnv64(owner.as_str().as_bytes()) ^ now.0.cast_unsigned();
        let assess = |resource: &Resource| {
            let limit = resource.history.limit()?;
            resource.history.series(&mut times, &mut used);
            let (metric, mode) = (resource.metric.as_str(), resource.capacity.mode);
            foretwin_foresee::risk(
                &Series { metric, mode, times: &times, used: &used, limit },
                now,
                config,
                seed,
            )
        };
        self.resources.iter().filter_map(assess).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use foretwin_core::{Metric, Role, Storage};
    use foretwin_learn::{Config, Job, fit};

    use super::*;

    fn frame(n: i64) -> (Timestamp, Vec<Value>) {
        (Timestamp(n * 1_000_000), vec![Value::float((n * n % 7) as f64)])
    }

    fn model(version: u64) -> Arc<Model> {
        let schema = Schema::new(vec![Metric::gauge("g", "1", Role::Rate).stored(Storage::F64)]);
        let mut window = Window::new(InstanceId::new("a"), schema);
        (0..60).map(frame).for_each(|(at, values)| window.push(at, &values));
        let (config, trained_at) = (Config::default(), Timestamp(version as i64));
        let job = Job { window: &window, seed: 1, version, trained_at, config: &config, lstm: false };
        Arc::new(fit(&job, &mut |_| ControlFlow::Continue(())).unwrap())
    }

    /// Versions that judged the frames of a span.
    fn judged(feed: &mut Feed, frames: std::ops::Range<i64>) -> Vec<Option<u64>> {
        let judge = |n| {
            let (at, values) = frame(n);
            feed.take(at, &values);
            feed.judgement.as_ref().filter(|judged| judged.at == at).map(|judged| judged.model_version)
        };
        frames.map(judge).collect()
    }

    #[test]
    fn a_successor_that_knows_the_latest_frames_takes_over_at_once_and_another_when_it_can() {
        let schema = Schema::new(vec![Metric::gauge("g", "1", Role::Rate).stored(Storage::F64)]);
        let mut feed = Feed::new(&schema);
        let none = std::iter::empty;
        feed.install((model(1), Phase::Learned), Timestamp(1), none());
        assert_eq!(judged(&mut feed, 100..106), [None, None, None, Some(1), Some(1), Some(1)]);
        feed.install((model(2), Phase::Learned), Timestamp(2), (90..106).map(frame));
        assert_eq!(judged(&mut feed, 106..108), [Some(2); 2], "warm");
        feed.install((model(3), Phase::Learned), Timestamp(3), (90..107).map(frame));
        assert_eq!(judged(&mut feed, 108..110), [Some(3); 2], "one frame behind");
        feed.install((model(1), Phase::Learned), Timestamp(1), none());
        assert_eq!(judged(&mut feed, 110..115), [Some(3), Some(3), Some(3), Some(1), Some(1)], "cold");
        assert_eq!(feed.renewed(), Some(Timestamp(3)), "an old model at work is not a new one");
    }
}
