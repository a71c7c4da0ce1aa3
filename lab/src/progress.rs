//! What people see while runs are under way: bars on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use crate::sys::monotonic_s;

const BAR: usize = 24;

/// One line per run under way, on standard error.
#[derive(Debug)]
pub struct Board {
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<(String, f64, String)>,
    drawn: usize,
    drawn_s: f64,
}

impl Board {
    /// A board for wherever standard error goes.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), state: Mutex::default() }
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A run begins.
    pub fn begin(&self, name: &str) {
        self.with(|state| {
            state.lines.push((name.into(), 0.0, String::new()));
            if !self.terminal {
                eprintln!("{name}: begins");
            }
        });
    }

    /// A run goes on: `share` of its resource or time is used.
    pub fn update(&self, name: &str, share: f64, text: &str) {
        self.with(|state| {
            if let Some(line) = state.lines.iter_mut().find(|line| line.0 == name) {
                (line.1, line.2) = (share, text.into());
            }
            if self.terminal && monotonic_s() - state.drawn_s > 0.25 {
                state.draw("");
            }
        });
    }

    /// A run has ended.
    pub fn end(&self, name: &str, text: &str) {
        self.with(|state| {
            state.lines.retain(|line| line.0 != name);
            if self.terminal {
                state.draw(&format!("{name}: {text}\x1b[K\n"));
            } else {
                eprintln!("{name}: {text}");
            }
        });
    }
}

impl State {
    /// Replaces the bars; `above` stays on the screen over them.
    fn draw(&mut self, above: &str) {
        let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        let bars: String =
            self.lines.iter().map(|(name, share, text)| bar(name, *share, text) + "\x1b[K\n").collect();
        // A terminal that is gone is no reason to end a run.
        let _ = write!(std::io::stderr(), "{up}{above}{bars}\x1b[J");
        (self.drawn, self.drawn_s) = (self.lines.len(), monotonic_s());
    }
}

fn bar(name: &str, share: f64, text: &str) -> String {
    let full = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("{name:<22} [{}{}] {text}", "#".repeat(full), ".".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_within_bounds() {
        assert!(bar("a", 0.5, "x").contains("[############............] x"));
        assert!(bar("a", 7.0, "").contains(&"#".repeat(BAR)));
        assert!(bar("a", f64::NAN, "").contains(&".".repeat(BAR)));
    }
}
