//! The LSTM against PyTorch: a committed file of golden vectors, and PyTorch itself where it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use foretwin_learn::lstm::{Learner, Level, Memory, Packed, Size, Stretch, Weights};
use serde::Deserialize;

/// What `tools/golden_lstm.py` prints.
#[derive(Deserialize)]
struct Golden {
    inputs: usize,
    hidden: usize,
    outputs: usize,
    steps: usize,
    batch: usize,
    weights: Tensors,
    gradients: Tensors,
    x: Vec<f32>,
    targets: Vec<f32>,
    y: Vec<f32>,
    hidden_state: Vec<f32>,
    cell_state: Vec<f32>,
    loss: f64,
}

#[derive(Deserialize)]
struct Tensors {
    weight_ih_l0: Vec<f32>,
    weight_hh_l0: Vec<f32>,
    bias: Vec<f32>,
    out_weight: Vec<f32>,
    out_bias: Vec<f32>,
}

impl Tensors {
    fn weights(&self, size: Size) -> Weights {
        let tensors = [&self.weight_ih_l0, &self.weight_hh_l0, &self.bias, &self.out_weight, &self.out_bias];
        let values: Vec<f32> = tensors.into_iter().flatten().copied().collect();
        assert_eq!(values.len(), size.parameters());
        Weights { size, values }
    }
}

fn assert_close(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (n, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{what} {n}: {a}, torch has {b}");
    }
}

impl Golden {
    /// Outputs, states, loss and gradients on every level of this machine.
    fn check(&self) {
        let size = Size { inputs: self.inputs, hidden: self.hidden, outputs: self.outputs };
        let weights = self.weights.weights(size);
        for level in Level::all() {
            let keep = vec![1.0; self.steps * self.batch];
            let stretch = Stretch { steps: self.steps, batch: self.batch, inputs: &self.x, keep: &keep };
            let mut learner = Learner::new(&weights, level);
            learner.clear(self.batch);
            let outputs: Vec<f32> = learner.forward(&stretch).flatten().copied().collect();
            assert_close(&format!("{} output", level.name()), &outputs, &self.y);
            learner.clear(self.batch);
            let loss = learner.differentiate(&stretch, &self.targets);
            assert!((loss - self.loss).abs() < 1e-6, "loss {loss}, torch has {}", self.loss);
            let gradient = self.gradients.weights(size);
            let names = ["weight_ih", "weight_hh", "bias", "out", "out_bias"];
            let tensors = [size.ih(), size.hh(), size.bias(), size.out(), size.out_bias()];
            for (name, tensor) in names.into_iter().zip(tensors) {
                let what = format!("{} gradient of {name}", level.name());
                assert_close(&what, &learner.gradient().values[tensor.clone()], &gradient.values[tensor]);
            }
            let packed = Packed::<f32>::new(&weights);
            self.stream("step", size, |x, memory, y| weights.step_at(level, x, memory, y));
            self.stream("packed step", size, |x, memory, y| packed.step_at(level, x, memory, y));
        }
    }

    /// Frame by frame: the outputs, and the states at the end.
    fn stream(&self, what: &str, size: Size, step: impl Fn(&[f32], &mut Memory, &mut [f32])) {
        for segment in 0..self.batch {
            let (mut memory, mut y) = (Memory::new(size.hidden), vec![0.0; size.outputs]);
            for row in (0..self.steps).map(|step| step * self.batch + segment) {
                step(&self.x[row * size.inputs..][..size.inputs], &mut memory, &mut y);
                assert_close(what, &y, &self.y[row * size.outputs..][..size.outputs]);
            }
            let at = segment * size.hidden;
            assert_close("hidden state", &memory.hidden, &self.hidden_state[at..at + size.hidden]);
            assert_close("cell", &memory.cell, &self.cell_state[at..at + size.hidden]);
        }
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

#[test]
fn golden_vectors_of_torch_are_met() {
    let text = std::fs::read_to_string(here().join("tests/golden/lstm.json")).unwrap();
    serde_json::from_str::<Golden>(&text).unwrap().check();
}

/// Torch is optional: without it there is nothing to compare with, even where skips are failures.
#[test]
fn torch_agrees_live() {
    let python = std::env::var("FORETWIN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_torch = Command::new(&python).args(["-c", "import torch"]).output();
    if !has_torch.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: {python} has no torch; FORETWIN_PYTHON names an interpreter that has");
        return;
    }
    for (seed, sizes) in [(5, ["38", "64", "38"]), (6, ["7", "33", "17"])] {
        let script = here().join("../../tools/golden_lstm.py");
        let mut command = Command::new(&python);
        command.arg(script).arg("--seed").arg(seed.to_string());
        command.args(["--inputs", sizes[0], "--hidden", sizes[1], "--outputs", sizes[2], "--steps", "30"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Golden>(&output.stdout).unwrap().check();
    }
}
