//! Both time scales of one instance: forecasts of the next minutes at the native rate, and of hours and days by the
//! minute.

use std::cmp::Ordering::Equal;
use std::ops::ControlFlow;

use foretwin_core::{Timestamp, Window};
use serde::{Deserialize, Serialize};

use crate::ahead::{Ahead, AheadConfig, Band, Candidate, Member, Method, Tried};
use crate::feature::Recipe;
use crate::{Error, Model, State};

/// What errors name.
const OBJECT: &str = "outlook";
/// Leads up to this come from the native rate where both scales have them: beyond it, an hour of the past and the time
/// of day say more than the last seconds.
const NEAR_S: f64 = 600.0;
/// Seconds per row far ahead: the rows of the store's finer tier.
const FAR_STEP_S: f64 = 60.0;
/// Rows to learn from at most: 5.6 hours at 1 Hz, four weeks of minutes.
const NEAR_ROWS: usize = 20_160;
const FAR_ROWS: usize = 40_320;
/// Samples (rows × metrics) to learn from at most, which bounds memory: some forty bytes each, while it is learned.
const CELLS: usize = 2_000_000;
/// Passes of the networks over their data.
const EPOCHS: usize = 12;
/// Steps at which the closed loop is told of where it is alone.
const ALONE: [usize; 4] = [1, 10, 60, 600];

/// Forecasters of one instance at two time scales; either may be missing where there was too little to learn from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outlook {
    /// At the sampling rate, up to ten minutes.
    near: Option<Ahead>,
    /// By the minute, as far as a third of the history.
    far: Option<Ahead>,
}

/// What is known of an instance now: the model at work, its state at the last frame, and recent frames.
#[derive(Debug, Clone, Copy)]
pub struct Recent<'a> {
    /// The model that the outlook was learned beside.
    pub model: &'a Model,
    /// Its state after the last of `frames`.
    pub state: &'a State,
    /// Frames at the native rate, [`Outlook::near_memory_s`] or more.
    pub frames: &'a Window,
    /// Means over minutes, [`Outlook::far_memory_s`] or more; empty where nothing far ahead was learned.
    pub minutes: &'a Window,
}

impl Outlook {
    /// Frames and minutes to learn from at most, for an instance of so many metrics.
    #[must_use]
    pub fn rows(width: usize) -> (usize, usize) {
        let most = CELLS / width.max(1);
        (NEAR_ROWS.min(most), FAR_ROWS.min(most))
    }

    /// Learns from the latest frames and from means over minutes, both read by the recipe of the model at work. Nothing
    /// where `observe` stopped it.
    pub fn fit(
        recipe: &Recipe,
        (frames, minutes): (&Window, &Window),
        seed: u64,
        observe: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Option<Self> {
        let (near_rows, far_rows) = Self::rows(recipe.features.len());
        let both = AheadConfig { epochs: EPOCHS, seed, ..AheadConfig::default() };
        let near = AheadConfig { step_s: 0.0, farthest_s: NEAR_S, max_rows: near_rows, ..both };
        let far = AheadConfig { step_s: FAR_STEP_S, max_rows: far_rows, ..both };
        let mut stopped = false;
        let mut learn = |window: &Window, config: &AheadConfig| {
            let recipe = recipe.stored_as(&window.schema);
            let member = [Member { window, recipe: &recipe }];
            let fitted = (window.len() > 1).then(|| {
                Ahead::fit(&member, config, &mut |part| {
                    let go = observe(part);
                    stopped |= go.is_break();
                    go
                })
            });
            fitted.flatten()
        };
        let (near, far) = (learn(frames, &near), learn(minutes, &far));
        (!stopped).then_some(Self { near, far })
    }

    /// Whether there was too little to learn anything from.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.near.is_none() && self.far.is_none()
    }

    /// Seconds of frames that the near forecasts look back on.
    #[must_use]
    pub fn near_memory_s(&self) -> f64 {
        self.near.as_ref().map_or(0.0, Ahead::memory_s)
    }

    /// Seconds of minutes that the far forecasts look back on; 0 where there are none.
    #[must_use]
    pub fn far_memory_s(&self) -> f64 {
        self.far.as_ref().map_or(0.0, Ahead::memory_s)
    }

    /// Periods that were found, in seconds, shortest first.
    #[must_use]
    pub fn periods_s(&self) -> Vec<f64> {
        let mut periods: Vec<f64> =
            [&self.near, &self.far].into_iter().flatten().flat_map(Ahead::periods_s).collect();
        periods.sort_by(f64::total_cmp);
        periods.dedup();
        periods
    }

    /// How far ahead there is a forecast, in seconds, beside a model with this step.
    #[must_use]
    pub fn reach_s(&self, model: &Model) -> f64 {
        let closed = model.measured_steps() as f64 * model.step_s();
        let reach = |ahead: &Ahead| ahead.farthest() as f64 * ahead.step_s();
        [&self.near, &self.far].into_iter().flatten().map(reach).fold(closed, f64::max)
    }

    /// Up to where the native rate speaks.
    fn near_until_s(&self, model: &Model) -> f64 {
        match (&self.near, &self.far) {
            (_, Some(_)) => NEAR_S,
            _ => self.reach_s(model),
        }
    }

    /// The bands of all metrics of the schema at each of `moments`: moments × metrics; NaN where nothing is expected.
    /// At the native rate the closed loop weighs in by its held-out errors.
    #[must_use]
    pub fn bands(&self, recent: &Recent, moments: &[Timestamp]) -> Vec<Vec<Band>> {
        let Recent { model, state, frames, minutes } = *recent;
        let width = model.recipe().features.len();
        let Some(&now) = frames.times.last() else { return vec![vec![Band::NONE; width]; moments.len()] };
        let until = self.near_until_s(model);
        let near: Vec<Timestamp> = moments.iter().copied().take_while(|at| at.since(now) <= until).collect();
        let mut bands = match &self.near {
            Some(ahead) => ahead.bands(model.recipe(), frames, &near),
            None => vec![vec![Band::NONE; width]; near.len()],
        };
        let steps = |at: &Timestamp| (at.since(now) / model.step_s()).round().max(1.0) as usize;
        let measured = model.measured_steps();
        let farthest = near.iter().map(steps).filter(|&k| k <= measured).max().unwrap_or(0);
        let closed = model.forecast(state, farthest);
        for (bands, k) in bands.iter_mut().zip(near.iter().map(steps)) {
            let Some(closed) = closed.get(k - 1) else { continue };
            for (band, &closed) in bands.iter_mut().zip(closed) {
                *band = band.beside(closed);
            }
        }
        let later = &moments[near.len()..];
        bands.extend(match &self.far {
            Some(ahead) => ahead.bands(&model.recipe().stored_as(&minutes.schema), minutes, later),
            None => vec![vec![Band::NONE; width]; later.len()],
        });
        bands
    }

    /// How every metric is expected at every lead, and what that beat.
    #[must_use]
    pub fn tried(&self, model: &Model) -> Vec<Tried> {
        let until = self.near_until_s(model);
        let mut tried: Vec<Tried> = match &self.near {
            Some(ahead) => ahead.tried(),
            None => alone(model),
        };
        for one in &mut tried {
            beside(one, model);
        }
        tried.retain(|one| one.lead_s <= until);
        let far = self.far.iter().flat_map(Ahead::tried);
        tried.extend(far.filter(|one| one.lead_s > until));
        tried.sort_by(|a, b| (a.column, a.lead_s).partial_cmp(&(b.column, b.lead_s)).unwrap_or(Equal));
        tried
    }

    /// The outlook as bytes.
    ///
    /// # Errors
    /// If a number in it cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|source| Error::Encode { object: OBJECT, source })
    }

    /// An outlook from bytes.
    ///
    /// # Errors
    /// [`Error::Decode`] for anything that [`Outlook::encode`] did not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Decode { object: OBJECT, problem };
        let outlook: Self = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        for part in [&outlook.near, &outlook.far].into_iter().flatten() {
            part.check().map_err(|problem| wrong(problem.to_owned()))?;
        }
        Ok(outlook)
    }
}

/// The closed loop of a model at a lead, where it was measured.
fn closed(model: &Model, column: usize, steps: usize) -> Option<Candidate> {
    let rms = model.held_out_error(column, steps)?;
    Some(Candidate { method: Method::ClosedLoop, rms, mae: None })
}

/// What a model alone expects, before there is an outlook.
fn alone(model: &Model) -> Vec<Tried> {
    let columns = 0..model.recipe().features.len();
    let at = |(column, steps): (usize, usize)| {
        let (step_s, chosen) = (model.step_s(), closed(model, column, steps)?);
        Some(Tried { column, lead_s: steps as f64 * step_s, step_s, chosen, beaten: Vec::new() })
    };
    columns.flat_map(|column| ALONE.map(|steps| (column, steps))).filter_map(at).collect()
}

/// Puts the closed loop in its place among what was tried at the native rate.
fn beside(tried: &mut Tried, model: &Model) {
    let steps = (tried.lead_s / model.step_s()).round().max(1.0) as usize;
    let Some(closed) = closed(model, tried.column, steps).filter(|one| one.method != tried.chosen.method)
    else {
        return;
    };
    if crate::ahead::closes(closed.rms, tried.chosen.rms) {
        tried.beaten.insert(0, std::mem::replace(&mut tried.chosen, closed));
    } else {
        tried.beaten.push(closed);
    }
}
