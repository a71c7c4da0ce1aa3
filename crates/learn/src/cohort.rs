//! One network for many instances of a kind: trained on all of them, each on its own scale and beyond its own linear part.

use std::ops::ControlFlow;
use std::sync::Arc;

use foretwin_core::{DAY_US, SchemaId};

use crate::Error;
use crate::feature::Duty;
use crate::fit::{Data, Job, Progress, Stage, WORTH, linear_model, series, tell};
use crate::lstm::{Packed, Series, Size, Training, train};
use crate::model::RecurrentShape;

/// Doubt: a cohort's network counts as no better than the linear part on this many held-out rows beside those seen. What
/// it was worth to others does not open the gate: on short histories that was found to mislead.
const DOUBTED_ROWS: f64 = 200.0;

/// A network shared by instances of one schema. What is individual stays with each model: scaling, linear part,
/// deviations, threshold, and which metrics the network corrects.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    pub(crate) schema: SchemaId,
    /// Columns it sees.
    pub(crate) inputs: Vec<u32>,
    pub(crate) daily: bool,
    /// Columns that it has an output for, ascending.
    pub(crate) outputs: Vec<u32>,
    pub(crate) network: Arc<Packed<f32>>,
    /// Per output, its squared error relative to the linear part on the members' held-out rows.
    pub(crate) errors: Vec<f64>,
}

/// Trains a network on the windows of several instances of the same schema. `config.lstm_max_rows` is what each of
/// them contributes at most; the seed is the first job's. Members too short to learn from are passed over.
///
/// # Errors
/// [`Error::Schema`] where schemas differ, [`Error::TooShort`] if no member has enough, [`Error::Cancelled`] when
/// `observe` broke.
pub fn cohort(jobs: &[Job], observe: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Cohort, Error> {
    let nothing = Error::TooShort { rows: 0, needed: 1 };
    let first = jobs.first().ok_or(nothing)?;
    let schema = first.window.schema.id();
    if let Some(other) = jobs.iter().find(|job| job.window.schema.id() != schema) {
        return Err(Error::Schema { train: schema, test: other.window.schema.id() });
    }
    let mut members = Vec::new();
    for (n, job) in jobs.iter().enumerate() {
        tell(observe, Stage::Linear, n as f64 / jobs.len() as f64)?;
        match Data::new(job) {
            Ok(data) => members.push((job, linear_model(job, &data), data)),
            Err(Error::TooShort { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let columns = |wanted: fn(Duty) -> bool| {
        let mut all: Vec<u32> = members.iter().flat_map(|(.., data)| data.recipe.columns(wanted)).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let outputs = columns(|duty| duty == Duty::Modelled);
    let mut inputs = columns(|duty| matches!(duty, Duty::Modelled | Duty::Input));
    inputs.truncate(first.config.max_inputs);
    let days = |job: &Job| {
        let ends = job.window.times.first().zip(job.window.times.last());
        ends.map_or(0, |(start, end)| end.0 - start.0)
    };
    let daily = members.iter().all(|(job, ..)| days(job) >= 2 * DAY_US);
    let size = Size {
        inputs: inputs.len() + 2 * usize::from(daily),
        hidden: first.config.hidden,
        outputs: outputs.len(),
    };
    if members.is_empty() || outputs.is_empty() {
        return Err(Error::TooShort { rows: 0, needed: first.config.min_rows });
    }
    let shape = RecurrentShape { size, inputs, daily, outputs: Vec::new() };
    let parts = members.iter().map(|(job, model, data)| {
        remapped(&series(job, data, model, &shape), &model.linear.shape.targets, &outputs)
    });
    let pooled = pooled(&parts.collect::<Vec<_>>(), size);
    let training = Training { size, epochs: first.config.epochs, seed: first.seed };
    let mut observe = |done| observe(Progress { stage: Stage::Lstm, done });
    let ControlFlow::Continue((network, errors, _)) = train(&pooled, training, &mut observe) else {
        return Err(Error::Cancelled);
    };
    let RecurrentShape { inputs, daily, .. } = shape;
    Ok(Cohort { schema, inputs, daily, outputs, network: Arc::new(Packed::new(&network)), errors })
}

impl Cohort {
    /// Numbers in its network, which all its members share.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.network.size().parameters()
    }

    /// Held-out squared error relative to the linear parts, mean over metrics.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.errors.iter().sum::<f64>() / self.errors.len().max(1) as f64
    }

    /// Part of the linear parts' held-out squared error that it takes away on average, where it helps: 0 to 1.
    #[must_use]
    pub fn worth(&self) -> f64 {
        let gated = self.errors.iter().map(|&error| if error < 1.0 - WORTH { 1.0 - error } else { 0.0 });
        gated.sum::<f64>() / self.errors.len().max(1) as f64
    }

    /// A member's series with the outputs of the cohort.
    pub(crate) fn series(&self, own: &Series, targets: &[u32]) -> Series {
        remapped(own, targets, &self.outputs)
    }
}

/// What to think of a network whose relative error was `found` on some `rows`.
pub(crate) fn doubted(found: f64, rows: f64) -> f64 {
    (DOUBTED_ROWS + rows * found) / (DOUBTED_ROWS + rows)
}

/// A series whose targets stand in the order of other columns; NaN where there is none.
fn remapped(series: &Series, from: &[u32], to: &[u32]) -> Series {
    let places: Vec<Option<usize>> = to.iter().map(|column| from.binary_search(column).ok()).collect();
    let mut targets = Vec::with_capacity(series.keep.len() * to.len());
    for row in series.targets.chunks_exact(from.len().max(1)) {
        targets.extend(places.iter().map(|place| place.map_or(f32::NAN, |place| row[place])));
    }
    targets.resize(series.keep.len() * to.len(), f32::NAN);
    Series { inputs: series.inputs.clone(), targets, keep: series.keep.clone(), head: series.head }
}

/// The heads of all series, then their tails, with the memory cleared between them.
fn pooled(parts: &[Series], size: Size) -> Series {
    let mut pooled = Series { inputs: Vec::new(), targets: Vec::new(), keep: Vec::new(), head: 0 };
    let mut add = |part: &Series, rows: std::ops::Range<usize>| {
        let start = pooled.keep.len();
        pooled.inputs.extend_from_slice(&part.inputs[rows.start * size.inputs..rows.end * size.inputs]);
        pooled.targets.extend_from_slice(&part.targets[rows.start * size.outputs..rows.end * size.outputs]);
        pooled.keep.extend_from_slice(&part.keep[rows]);
        if let Some(keep) = pooled.keep.get_mut(start) {
            *keep = 0.0;
        }
        pooled.keep.len()
    };
    let head = parts.iter().map(|part| add(part, 0..part.head)).last().unwrap_or(0);
    parts.iter().for_each(|part| {
        add(part, part.head..part.keep.len());
    });
    pooled.head = head;
    pooled
}

#[cfg(test)]
mod tests {
    use foretwin_core::{InstanceId, Metric, Rng, Role, Schema, Storage, Timestamp, Value, Window};

    use super::*;
    use crate::{Config, Model, Provenance, Start, fit};

    const GO: fn(Progress) -> ControlFlow<()> = |_| ControlFlow::Continue(());

    /// A queue that follows the square of a chaotic load, behind a metric that moves for some and not for others.
    fn window(seed: u64, rows: usize, scale: f64, moves: f64) -> Window {
        let metric = |name: &str| Metric::gauge(name, "1", Role::Rate).stored(Storage::F64);
        let schema = Schema::new(vec![metric("aside"), metric("load"), metric("queue")]);
        let (mut window, mut rng, mut x) =
            (Window::new(InstanceId::new("c"), schema), Rng::new(seed), 0.3f64);
        for n in 0..rows {
            let before = x;
            x = 3.8 * x * (1.0 - x);
            let (load, queue) = (x + 0.01 * rng.normal(), before * before + 0.02 * rng.normal());
            let frame = [moves * rng.normal(), scale * load, scale * queue].map(Value::float);
            window.push(Timestamp(n as i64 * 1_000_000), &frame);
        }
        window
    }

    fn shared(config: &Config) -> Arc<Cohort> {
        let members: Vec<Window> = (1..=3).map(|n| window(n, 3000, 10f64.powi(n as i32), 1.0)).collect();
        let jobs: Vec<Job> = members.iter().map(|window| Job::new(window, config)).collect();
        Arc::new(cohort(&jobs, &mut { GO }).unwrap())
    }

    #[test]
    fn an_output_serves_only_the_metric_it_is_of() {
        let config = Config { hidden: 16, ..Config::default() };
        let cohort = shared(&config);
        assert_eq!(cohort.outputs, [0, 1, 2]);
        assert!(cohort.worth() > 0.2 && cohort.worth() < 1.0, "{:?}", cohort.errors);
        // What stands aside here has no surprise that could be corrected.
        let still = window(9, 3000, 50.0, 0.0);
        let model = fit(&Job { start: Start::Cohort(&cohort), ..Job::new(&still, &config) }, &mut { GO });
        let model = model.unwrap();
        assert_eq!(model.corrected(), [1, 2]);
        assert_eq!(model.unit[0], 0.0, "the output of what stands aside is worth nothing");
        assert!(model.unit[1] > 0.0 && model.unit[2] > 0.0);
        assert!(Arc::ptr_eq(model.network.as_ref().unwrap(), &cohort.network), "no copy of the network");
    }

    #[test]
    fn a_model_apart_from_its_network_comes_back_whole_and_small() {
        let config = Config { hidden: 16, ..Config::default() };
        let cohort = shared(&config);
        let own = window(9, 3000, 50.0, 1.0);
        let model =
            fit(&Job { start: Start::Cohort(&cohort), ..Job::new(&own, &config) }, &mut { GO }).unwrap();
        let (id, network) = cohort.encode().unwrap();
        let provenance = Provenance { reason: "test".into(), ..Provenance::default() };
        let file = model.encode_apart(&provenance).unwrap();
        assert!(Arc::ptr_eq(model.cohort().unwrap(), &cohort));
        let whole = model.encode_with(&provenance).unwrap();
        assert!(file.len() + 4 * cohort.parameters() < whole.len() + 1000);
        let refused = Model::decode(&file).unwrap_err().to_string();
        assert!(refused.contains("export the version"), "{refused}");
        let again = Arc::new(Cohort::decode(&network).unwrap());
        assert_eq!((&*again, again.encode().unwrap().0), (&*cohort, id), "its name is its content");
        let mut find = |asked| {
            assert_eq!(asked, id);
            Ok(again.clone())
        };
        let (back, said) = Model::decode_apart(&file, &mut find).unwrap();
        assert_eq!((&back, said.reason.as_str()), (&model, "test"));
        assert!(Arc::ptr_eq(back.network.as_ref().unwrap(), &again.network));
        // Exported it is of the format before, and knows nothing of where its network came from.
        let exported = Model::decode(&whole).unwrap();
        assert!(exported.cohort().is_none() && exported.network == model.network);
        assert_eq!(exported.encode_with(&provenance).unwrap(), whole);
        for at in (0..network.len()).step_by(97) {
            assert!(Cohort::decode(&network[..at]).is_err(), "cut at {at}");
        }
        // A network of another shape is not taken for the one that was meant.
        let narrow = shared(&Config { hidden: 8, ..config });
        assert!(Model::decode_apart(&file, &mut |_| Ok(narrow.clone())).is_err());
    }
}
