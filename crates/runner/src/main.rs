//! The runner as a program of its own: `foretwin runner` is the same, but this one is small and can be static.

use std::process::ExitCode;

fn main() -> ExitCode {
    foretwin_runner::main(std::env::args().skip(1))
}
