//! One schema of one instance: its latest frame, the model that judges it, and its resources with a limit.

use std::sync::Arc;

use foretwin_core::{
    Capacity, InstanceId, Judgement, Kind, Learning, Phase, Risk, Schema, Timestamp, Value, Window,
};
use foretwin_foresee::{Evidence, Growth, History, Series};
use foretwin_learn::{Departure, Model, State};

use crate::config::Training;
use crate::detect::Detector;
use crate::drift::Vigil;
use crate::judge::Judge;
use crate::pace::Assessed;
use crate::trainer::Sight;

/// So many older frames in a row, in order, mean that the clock was set back.
const SET_BACK_FRAMES: u32 = 10;

/// Part of its history that an alarm must last to be called a new normal.
const PATIENCE: f64 = 0.25;

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
    /// Seconds between its last two frames; the longest gap before there were two.
    gap_s: f64,
    /// No training before so many frames.
    pub(crate) wants_frames: u64,
    /// When a model was last trained, whether it was put to work or not.
    pub(crate) tried: Timestamp,
    /// Whether the model at work is of the instance itself, and not of its cohort.
    pub(crate) individual: bool,
    /// What is known of its forecaster.
    pub(crate) sight: Sight,
    /// The last of the frames in a row that came late, and how many.
    stragglers: Option<(Timestamp, u32)>,
    judge: Option<Judge>,
    /// Who judges as soon as it has seen enough: until then the judge before goes on, so that no score is left out.
    heir: Option<Box<Judge>>,
    /// The watch for drift under the model at work.
    vigil: Option<Vigil>,
    /// When the newest model was trained, whichever judges.
    renewed: Option<Timestamp>,
    resources: Vec<Resource>,
    /// Looks for failures in the frames.
    pub(crate) detector: Detector,
}

/// A series that runs against a limit.
struct Resource {
    used: usize,
    limit: usize,
    metric: String,
    capacity: Capacity,
    history: History,
    assessed: Option<Assessed>,
    risk: Option<Risk>,
}

impl Feed {
    /// A feed that has seen nothing.
    pub(crate) fn new(schema: &Arc<Schema>) -> Self {
        let resource = |(used, metric): (usize, &foretwin_core::Metric)| {
            // A count that runs against a rate (CPU time) has no moment at which it is used up.
            let capacity = metric.capacity.clone().filter(|_| metric.kind == Kind::Gauge)?;
            let limit = schema.column(&capacity.limit)?;
            let (metric, history) = (metric.key(), History::default());
            Some(Resource { used, limit, metric, capacity, history, assessed: None, risk: None })
        };
        let resources = schema.metrics().iter().enumerate().filter_map(resource).collect();
        let (first, last) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
        Self {
            schema: schema.clone(),
            first,
            last,
            frames: 0,
            gap_s: LONGEST_GAP_S,
            wants_frames: 0,
            tried: Timestamp(i64::MIN),
            individual: false,
            sight: Sight::default(),
            stragglers: None,
            judge: None,
            heir: None,
            vigil: None,
            renewed: None,
            resources,
            detector: Detector::new(schema),
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
        let ready = self.heir.as_mut().is_some_and(|heir| heir.take(at, values));
        if ready && let Some(heir) = self.heir.take() {
            self.enthrone(*heir);
        } else if let Some(judge) = &mut self.judge
            && judge.take(at, values)
            && let Some(vigil) = &mut self.vigil
        {
            // A change that fills so much of the history is learned, with alarms or without.
            let patience_s = PATIENCE * at.since(self.first).max(0.0);
            vigil.look((&judge.model, judge.state()), judge.state().score(), (at, values), patience_s);
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

    /// Whether it has left what its model saw, and no training has taken note of it yet.
    pub(crate) fn has_drifted(&self) -> bool {
        self.vigil.as_ref().is_some_and(Vigil::has_drifted)
    }

    /// A training was made.
    pub(crate) fn has_trained(&mut self, until: Timestamp) {
        self.tried = until;
        if let Some(vigil) = &mut self.vigil {
            vigil.answered();
        }
    }

    /// How far it is from where its champion and its reference saw it, the latter with its version.
    pub(crate) fn departures(&self) -> (Option<Departure>, Option<(Departure, u64)>) {
        let vigil = self.vigil.as_ref();
        let champion =
            vigil.zip(self.judge.as_ref()).and_then(|(vigil, judge)| vigil.against_champion(&judge.model));
        (champion, vigil.and_then(Vigil::against_reference))
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
        let mut judge = Judge::new(model, phase);
        for (at, values) in recent {
            judge.take(at, &values);
        }
        self.renewed = self.renewed.max(Some(renewed));
        if self.judge.is_none() || judge.has_judged(self.last) {
            self.enthrone(judge);
        } else {
            self.heir = Some(Box::new(judge));
        }
    }

    /// Goes on with a state from before a restart. `missed` are the frames that came after it and before the one at
    /// hand. If the state is ahead, because the log says again what it has seen, it waits until the frames are abreast.
    pub(crate) fn resume(&mut self, (state, at): (State, Timestamp), missed: &[(Timestamp, Vec<Value>)]) {
        let Some(judge) = &self.judge else { return };
        let is_ahead = state.newest().is_some_and(|newest| newest >= at);
        let mut resumed = Judge::resumed(judge.model.clone(), judge.phase, state);
        for (at, values) in missed {
            resumed.take(*at, values);
        }
        if is_ahead {
            self.heir = Some(Box::new(resumed));
        } else {
            self.judge = Some(resumed);
        }
    }

    /// When the newest model of this feed was trained: after a rollback that is not the one that judges.
    pub(crate) fn renewed(&self) -> Option<Timestamp> {
        self.renewed
    }

    /// Measures slow drift against this model from now on.
    pub(crate) fn refer_to(&mut self, reference: Arc<Model>) {
        if let Some(vigil) = &mut self.vigil {
            vigil.refer_to(reference);
        }
    }

    /// Puts a warm judge to work; the watch for drift begins anew under it, its reference stays.
    fn enthrone(&mut self, judge: Judge) {
        let mut vigil = Vigil::new(&judge.model, self.vigil.take());
        // The first settled model stays as the reference: what it saw is what the instance was.
        if judge.phase == Phase::Learned && !vigil.has_reference() {
            vigil.refer_to(judge.model.clone());
        }
        (self.judge, self.heir, self.vigil) = (Some(judge), None, Some(vigil));
    }

    /// Time and score of the latest verdict, if it is recent enough to speak for `now`.
    pub(crate) fn score(&self, now: Timestamp) -> Option<(Timestamp, f64)> {
        self.judge.as_ref()?.score(now)
    }

    /// That verdict with its reasons.
    pub(crate) fn verdict(&self, now: Timestamp) -> Option<Judgement> {
        self.judge.as_ref()?.judgement(now, &self.schema)
    }

    /// The model at work, or about to be, and its phase.
    pub(crate) fn model(&self) -> Option<(&Arc<Model>, Phase)> {
        let heir = self.heir.as_deref();
        heir.or(self.judge.as_ref()).map(|judge| (&judge.model, judge.phase))
    }

    /// The model that judges now, its phase and its state after the newest frame it took.
    pub(crate) fn judging(&self) -> Option<(&Arc<Model>, Phase, &State)> {
        self.judge.as_ref().map(|judge| (&judge.model, judge.phase, judge.state()))
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

    /// What may run out, each with its probabilities, all assessed now.
    pub(crate) fn risks(
        &self,
        now: Timestamp,
        config: &foretwin_foresee::Config,
        owner: &InstanceId,
    ) -> Vec<Risk> {
        let (mut room, seed) = (Room::default(), seed(owner, now));
        let assess = |resource: &Resource| resource.assess(now, config, (seed, &mut room));
        self.resources.iter().filter_map(assess).collect()
    }

    /// How each resource grows, with the units of work per second that may drive it.
    pub(crate) fn growths(
        &self,
        (now, owner): (Timestamp, &InstanceId),
        config: &foretwin_foresee::Config,
        work: &dyn Fn(Timestamp) -> f64,
    ) -> Vec<Growth> {
        self.read((now, owner), config, work, |growth, _| growth)
    }

    /// The same, each expected to go on for as long as its risk has it.
    pub(crate) fn lasting_growths(
        &self,
        (now, owner): (Timestamp, &InstanceId),
        config: &foretwin_foresee::Config,
        work: &dyn Fn(Timestamp) -> f64,
    ) -> Vec<Growth> {
        self.read((now, owner), config, work, |growth, series| growth.lasting(series, now, config))
    }

    fn read(
        &self,
        (now, owner): (Timestamp, &InstanceId),
        config: &foretwin_foresee::Config,
        work: &dyn Fn(Timestamp) -> f64,
        finish: impl Fn(Growth, &Series<'_>) -> Growth,
    ) -> Vec<Growth> {
        let mut room = Room::default();
        let read = |resource: &Resource| {
            let limit = resource.history.limit()?;
            let Room { times, used } = &mut room;
            resource.history.series(times, used);
            let work: Vec<f64> = times.iter().map(|&at| work(at)).collect();
            let (metric, mode) = (resource.metric.as_str(), resource.capacity.mode);
            let series = Series { metric, mode, times, used, limit };
            let evidence = Evidence { series, work: &work };
            let growth = Growth::read(&evidence, now, config.lookback_s, seed(owner, now));
            growth.map(|growth| finish(growth, &series))
        };
        self.resources.iter().filter_map(read).collect()
    }

    /// Assesses the resources that need it, and says how many did.
    pub(crate) fn reassess(
        &mut self,
        now: Timestamp,
        config: &foretwin_foresee::Config,
        owner: &InstanceId,
    ) -> usize {
        let (mut room, seed, mut count) = (Room::default(), seed(owner, now), 0);
        for resource in &mut self.resources {
            let headroom = resource.headroom();
            if resource.assessed.is_some_and(|before| !before.is_stale(now, headroom)) {
                continue;
            }
            resource.risk = resource.assess(now, config, (seed, &mut room));
            let horizon_s = config.horizons_s.last().copied().unwrap_or_default();
            let probability = resource.risk.as_ref().map_or(0.0, |risk| risk.at(horizon_s));
            resource.assessed = Some(Assessed::new(resource.assessed, now, headroom, probability));
            count += 1;
        }
        count
    }

    /// What the latest assessments say.
    pub(crate) fn assessed(&self) -> impl Iterator<Item = &Risk> {
        self.resources.iter().filter_map(|resource| resource.risk.as_ref())
    }
}

fn seed(owner: &InstanceId, now: Timestamp) -> u64 {
    foretwin_core::fnv64(owner.as_str().as_bytes()) ^ now.0.cast_unsigned()
}

/// Room for a history as a series.
#[derive(Default)]
struct Room {
    times: Vec<Timestamp>,
    used: Vec<f64>,
}

impl Resource {
    /// Not a number without a limit.
    fn headroom(&self) -> f64 {
        let used = self.history.newest().unwrap_or(f64::NAN);
        self.history.limit().unwrap_or(f64::NAN) - used
    }

    fn assess(
        &self,
        now: Timestamp,
        config: &foretwin_foresee::Config,
        (seed, room): (u64, &mut Room),
    ) -> Option<Risk> {
        let limit = self.history.limit()?;
        let Room { times, used } = room;
        self.history.series(times, used);
        let (metric, mode) = (self.metric.as_str(), self.capacity.mode);
        foretwin_foresee::risk(&Series { metric, mode, times, used, limit }, now, config, seed)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use foretwin_core::{Metric, Role};
    use foretwin_learn::Job;

    use super::*;

    fn frame(second: i64) -> (Timestamp, [Value; 2]) {
        let wave = 1000.0 + 200.0 * (second as f64 / 9.0).sin();
        let noise = (second * 7919 % 31) as u64;
        (Timestamp::from_seconds(1e9 + second as f64), [Value(wave as u64), Value(500 + noise)])
    }

    fn trained(schema: &Arc<Schema>, version: u64) -> Arc<Model> {
        let mut window = Window::new(InstanceId::new("a"), schema.clone());
        (0..200).map(frame).for_each(|(at, values)| window.push(at, &values));
        let (config, trained_at) = (foretwin_learn::Config::default(), frame(200).0);
        let job = Job { version, trained_at, lstm: false, ..Job::new(&window, &config) };
        Arc::new(foretwin_learn::fit(&job, &mut |_| ControlFlow::Continue(())).unwrap())
    }

    /// A cohort gets a new model and nobody has frames to warm it with: not one score is left out, and late frames do
    /// not hasten the change.
    #[test]
    fn an_heir_takes_over_without_a_gap() {
        let metric = |n| Metric::gauge(&format!("g{n}"), "1", Role::Saturation);
        let schema = Schema::new(vec![metric(0), metric(1)]);
        let mut feed = Feed::new(&schema);
        feed.install(
            (trained(&schema, 1), Phase::Learned),
            frame(200).0,
            (190..200).map(|s| (frame(s).0, frame(s).1.to_vec())),
        );
        let mut versions = Vec::new();
        for second in 200..220 {
            if second == 210 {
                feed.install((trained(&schema, 2), Phase::Learned), frame(210).0, std::iter::empty());
            }
            let (at, values) = frame(second);
            assert!(feed.take(at, &values));
            assert!(!feed.take(at, &values), "twice");
            assert_eq!(feed.score(at).unwrap().0, at, "a score for every frame");
            versions.push(feed.verdict(at).unwrap().model_version);
        }
        assert!(versions.is_sorted() && versions[10] == 1 && versions[19] == 2, "{versions:?}");
    }

    #[test]
    fn a_verdict_has_its_reasons_whenever_it_is_asked_for() {
        let metric = |n| Metric::gauge(&format!("g{n}"), "1", Role::Saturation);
        let schema = Schema::new(vec![metric(0), metric(1)]);
        let (model, mut feed) = (trained(&schema, 1), Feed::new(&schema));
        feed.install((model.clone(), Phase::Learned), frame(200).0, std::iter::empty());
        let (mut state, mut outcome) = (model.start(), foretwin_learn::Outcome::default());
        for second in 200..230 {
            let (at, mut values) = frame(second);
            values[1].0 += if second > 220 { 300 } else { 0 };
            feed.take(at, &values);
            model.step(&mut state, at, &values, &mut outcome);
            // A late frame in between must not change what is said of the last.
            feed.take(at - 1, &[Value(0), Value(0)]);
            if outcome.taken == foretwin_learn::Taken::Judged {
                assert_eq!(feed.verdict(at), Some(outcome.judgement(at, &schema, 1, Phase::Learned)));
            }
        }
        assert_eq!(feed.verdict(frame(229).0).unwrap().contributions[0].metric, "g1");
        assert_eq!(feed.verdict(frame(240).0), None, "too old to speak for now");
    }
}
