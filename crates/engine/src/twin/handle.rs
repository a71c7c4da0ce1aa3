//! Questions about twins, and wishes for them.

use std::sync::Arc;

use foretwin_core::{
    Contrast, Evidence, FailureMode, Fidelity, InstanceId, MINUTE_US, Profile, Risk, Verdict, VerdictClass,
};
use foretwin_foresee::Growth;
use foretwin_twin::capture::Shelf;
use foretwin_twin::rehearsal::{Leak, Question};

use super::keeper::now;
use super::replays::FOLDER;
use super::verify::Foreseen;
use super::view::{ProfileHead, RehearsalView, TwinView, TwinsView};
use crate::Error;
use crate::handle::Handle;
use crate::view::WindowQuery;
use crate::whatif;

/// What a rehearsal may take.
const REHEARSAL_CORES: f64 = 0.5;
const REHEARSAL_BYTES: f64 = 268_435_456.0;
/// Longest time a rehearsal may run, in seconds.
const LONGEST_S: f64 = 3600.0;

impl Handle {
    /// The twins of this machine, and every contrast.
    #[must_use]
    pub fn twins(&self) -> TwinsView {
        let contrasts = self.pipeline.contrasts.all();
        let shared = self.wishes.shared();
        TwinsView {
            enabled: shared.enabled,
            levels: shared.levels.clone(),
            runners: shared.statuses.clone(),
            decisions: shared.decisions.iter().cloned().collect(),
            contrasts,
        }
    }

    /// One instance and its twin.
    ///
    /// # Errors
    /// If nobody knows the instance.
    pub fn twin(&self, id: &InstanceId) -> Result<TwinView, Error> {
        let view = self.instance(id)?;
        let twin = self.pipeline.contrasts.twin(&view.instance.host);
        let (probes, fidelity) = twin.unzip();
        let twin_score = probes.as_ref().and_then(|twin| self.instance(twin).ok()?.score);
        let twin_drift = probes.as_ref().and_then(|twin| self.drift(twin).ok()).unwrap_or_default();
        let label = InstanceId::new(&format!("{id}~twin"));
        let replay = self.wishes.shared().statuses.iter().find(|status| status.twin == label).cloned();
        Ok(TwinView {
            profile: self.profile_head(id)?,
            ahead: self.pipeline.contrasts.ahead(&view.instance, &self.pipeline.config.foresee),
            drift: self.drift(id)?,
            twin_drift,
            score: view.score,
            twin_score,
            contrast: self.contrast_of(id, fidelity)?,
            instance: id.clone(),
            probes,
            fidelity,
            replay,
        })
    }

    /// The contrast of an instance; where nothing is compared, that is what it says.
    fn contrast_of(&self, id: &InstanceId, fidelity: Option<Fidelity>) -> Result<Contrast, Error> {
        let known = self.pipeline.with(id, |watched| watched.instance.clone())?;
        Ok(self.pipeline.contrasts.contrast(&known).unwrap_or_else(|| {
            let statement = match fidelity {
                None => "no twin runs on the same resources",
                Some(_) => "not compared: it contains others, or uses too little to tell",
            };
            let verdict = Verdict {
                class: VerdictClass::NoContrast,
                self_inflicted: false,
                consumer: None,
                probability: 1.0,
                since: None,
                evidence: vec![Evidence { metric: String::new(), statement: statement.into() }],
                probabilities: vec![(VerdictClass::NoContrast, 1.0)],
            };
            Contrast {
                instance: id.clone(),
                at: self.now(),
                fidelity: fidelity.unwrap_or(Fidelity::Model),
                verdict: verdict.clone(),
                verdict_counters_only: verdict,
            }
        }))
    }

    /// Asks for a replay of an instance in a substrate up to `level`, or for none.
    ///
    /// # Errors
    /// If nobody knows the instance, or no twins are kept here.
    pub fn replay(&self, id: &InstanceId, level: Option<Fidelity>) -> Result<(), Error> {
        self.own(id)?;
        let mut shared = self.wishes.shared();
        match level {
            Some(level) => {
                shared.replays.insert(id.clone(), level);
                shared.decide(format!("{id}: a replay was asked for, in {level} at most"));
            }
            None => {
                shared.replays.remove(id);
                shared.decide(format!("{id}: its replay was ended"));
            }
        }
        Ok(())
    }

    /// Whether twins of an instance can be kept here.
    pub(super) fn own(&self, id: &InstanceId) -> Result<(), Error> {
        self.pipeline.known(id)?;
        if self.wishes.shared().enabled {
            return Ok(());
        }
        Err(Error::Refused("twins are not kept here: set twin.enabled and run `foretwin run`".into()))
    }

    fn shelf(&self) -> Shelf {
        Shelf::new(&self.pipeline.config.data_dir.join(FOLDER))
    }

    /// The newest profile of an instance, or none while too little was seen.
    ///
    /// # Errors
    /// If nobody knows the instance, or its file cannot be read.
    pub fn profile(&self, id: &InstanceId) -> Result<Option<Profile>, Error> {
        self.pipeline.known(id)?;
        Ok(self.shelf().latest(id)?)
    }

    fn profile_head(&self, id: &InstanceId) -> Result<Option<ProfileHead>, Error> {
        let pinned = self.shelf().pinned(id)?;
        Ok(self.profile(id)?.map(|profile| ProfileHead::of(&profile, pinned.is_some())))
    }

    /// Asks to rehearse what is coming, and returns the number to ask for it by.
    ///
    /// # Errors
    /// If nobody knows the instance, no twins are kept here, it has no profile yet, or it would take too long;
    /// or if others run already.
    pub fn rehearse(
        &self,
        id: &InstanceId,
        (ahead_s, speed): (f64, f64),
        level: Fidelity,
    ) -> Result<RehearsalView, Error> {
        self.own(id)?;
        if !(1.0..=1000.0).contains(&speed) || !(1.0..=LONGEST_S).contains(&(ahead_s / speed)) {
            let bounds = "speed: 1 to 1000, such that ahead divided by it is 1 s to an hour";
            return Err(Error::Refused(bounds.into()));
        }
        let profile = self.profile(id)?.ok_or_else(|| {
            Error::Conflict(format!("{id} has no profile yet: one is made after twenty minutes of telemetry"))
        })?;
        let question = self.question(id, (ahead_s, speed), level, profile)?;
        self.begin(question, (None, None))
    }

    /// Takes note of a question, for the keeper to begin.
    pub(super) fn begin(
        &self,
        question: Question,
        (scenario, foreseen): (Option<String>, Option<Foreseen>),
    ) -> Result<RehearsalView, Error> {
        let mut shared = self.wishes.shared();
        shared.admits(&question.instance)?;
        shared.next += 1;
        let number = shared.next;
        let asked = RehearsalView::asked(number, &question.instance, (question.ahead_s, question.speed));
        let view = RehearsalView { scenario, foreseen, ..asked };
        shared.rehearse.push_back((number, Question { seed: number, ..question }));
        shared.remember(view.clone());
        Ok(view)
    }

    /// What is to be rehearsed: what grows, and how many cores the original may use, so that its demand is scaled to what
    /// the rehearsal may take.
    pub(super) fn question(
        &self,
        id: &InstanceId,
        (ahead_s, speed): (f64, f64),
        level: Fidelity,
        profile: Profile,
    ) -> Result<Question, Error> {
        let risks = self.risks(id)?;
        let growths = whatif::growths(&self.pipeline, id)?;
        let workload = self.pipeline.with(id, |watched| watched.instance.workload.0.clone());
        let limits = self.pipeline.config.twin.limits_of(id.as_str(), &workload.unwrap_or_default());
        Ok(Question {
            instance: id.clone(),
            parent: self.pipeline.config.twin.parent.clone(),
            level,
            start: now(),
            ahead_s,
            speed,
            profile: Arc::new(profile),
            load: 1.0,
            kept: 1.0,
            leaks: risks.iter().filter_map(|risk| leak(risk, &growths)).collect(),
            cores: Some(self.cores(id)),
            latency_limit_s: limits.latency_p90_s,
            memory_bytes: REHEARSAL_BYTES,
            cap_core: REHEARSAL_CORES,
            directory: None,
            seed: 0,
        })
    }

    /// Cores that an instance may use: its own limit, or all of this machine.
    fn cores(&self, id: &InstanceId) -> f64 {
        let machine = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        let to = self.now();
        let limits = ["container.cpu.limit", "system.cpu.limit"].map(str::to_owned).to_vec();
        let query =
            WindowQuery { instance: id.clone(), metrics: limits, from: to - MINUTE_US, to, points: 60 };
        let seen = self.window(&query).map(|window| window.series).unwrap_or_default();
        let newest = seen.iter().filter_map(|series| series.observed.iter().rev().find(|us| us.is_finite()));
        newest.map(|us_per_s| us_per_s / 1e6).fold(machine, f64::min)
    }

    /// The rehearsals that are remembered, oldest first.
    pub(crate) fn rehearsals(&self) -> Vec<RehearsalView> {
        self.wishes.shared().rehearsals.iter().cloned().collect()
    }

    /// Ends a rehearsal, unless it is over.
    pub(crate) fn cancel_rehearsal(&self, number: u64) {
        self.wishes.shared().cancel(number);
    }

    /// A rehearsal that was asked for.
    ///
    /// # Errors
    /// If there is none with that number, or it is too long ago.
    pub fn rehearsal(&self, number: u64) -> Result<RehearsalView, Error> {
        let shared = self.wishes.shared();
        let found = shared.rehearsals.iter().find(|view| view.id == number).cloned();
        found.ok_or(Error::UnknownRehearsal(number))
    }
}

/// What grows towards its limit, of what a rehearsal can let grow: a disk is shared with production, and is not filled.
/// It grows as forecast, with the load to come; where that is not known, as of late.
fn leak(risk: &Risk, growths: &[Growth]) -> Option<Leak> {
    let harmless =
        [FailureMode::MemoryExhaustion, FailureMode::DescriptorExhaustion, FailureMode::PidExhaustion];
    let grows = risk.trend.rate > 2.0 * risk.trend.rate_sd;
    let forecast = growths.iter().find(|growth| growth.metric == risk.metric).and_then(Growth::rate);
    (grows && harmless.contains(&risk.mode)).then_some(Leak {
        mode: risk.mode,
        used: risk.used,
        rate_per_s: forecast.unwrap_or(risk.trend.rate),
        limit: risk.limit,
    })
}
