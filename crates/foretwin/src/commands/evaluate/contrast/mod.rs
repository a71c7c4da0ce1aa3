//! The contrast of production and twin on recorded campaigns of the lab (`foretwin-lab contrast`).
//!
//! Recordings are stepped second by second, as if live: truth is read only to score. Each verdict is made twice, with
//! the twin and from the kernel's counters alone.

mod csv;
mod ramp;
mod recording;
mod score;
mod second_model;
mod simulate;
mod straight;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use foretwin_core::{Fidelity, InstanceId};
use foretwin_foresee::contrast::{Comparison, Limits, Second};

use crate::cli::ContrastArgs;
use ramp::Looks;
use recording::Recording;
use score::{Said, Score};

/// Judges every recording of a directory, or one.
pub fn run(args: &ContrastArgs) -> Result<ExitCode> {
    let mut score = Score::default();
    for dir in &args.data {
        let mut recording = Recording::read(dir)?;
        ensure!(!recording.seconds.is_empty(), "{}: no seconds were recorded", dir.display());
        if !args.without_model {
            second_model::add(&mut recording)?;
        }
        let limit_s = args.limit_ms.map_or_else(|| ramp::limit_s(&recording), |limit_ms| 1e-3 * limit_ms);
        let (said, looks) = judge(&recording, limit_s);
        if args.verbose_runs {
            score::tell_seconds(&recording, &said);
        }
        score.add(&recording, &said);
        score.add_ramps(looks.judge(&recording, limit_s));
    }
    for number in 0..args.simulate {
        let recording = simulate::recording(args.seed.wrapping_add(number));
        let limit_s = ramp::limit_s(&recording);
        score.add_ramps(judge(&recording, limit_s).1.judge(&recording, limit_s));
    }
    if args.json {
        println!("{}", serde_json::to_string(&score.summary())?);
    } else {
        score.tell();
    }
    Ok(ExitCode::SUCCESS)
}

/// Steps through a recording, in which latency has a limit.
fn judge(recording: &Recording, limit_s: f64) -> (Vec<Said>, Looks) {
    let limits = Limits { latency_p90_s: Some(limit_s), throughput: None };
    let mut comparison =
        Comparison::new(InstanceId::new(recording::ORIGINAL), Fidelity::Process).with_limits(limits);
    let mut looks = Looks::default();
    let config = foretwin_foresee::Config::default().with_horizon(ramp::HORIZON_S);
    let step = |second: &Second| {
        let contrast = comparison.step(second.clone());
        looks.ask((comparison.ahead(), limit_s), second, &config);
        Said { learned: comparison.has_learned(), contrast, drift: comparison.ahead().drift() }
    };
    let said = recording.seconds.iter().map(step).collect();
    (said, looks)
}
