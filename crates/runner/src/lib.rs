//! One small static binary that stands in for an instance: it probes what fixed work costs here, and replays what the
//! original does, as a plain process, a container's entrypoint, or the init of a microVM.
//!
//! [`options`] say where the order comes from and where the report goes; [`runner`] obeys and reports; [`probe`] is the
//! set of probes at normal priority, [`replay`] the bulk at the lowest, [`fault`] fails on command; [`init`] makes a bare
//! kernel usable. All system calls that the standard library lacks are in [`sys`].

mod board;
mod channel;
mod fault;
mod gate;
mod init;
mod meter;
mod options;
mod probe;
mod replay;
mod runner;
mod sys;
mod threads;
mod work;

use std::process::ExitCode;

use channel::{Channel, Event};
use options::Options;

/// Runs with these arguments, the program's name left out, until it is told to end. Codes: 0 told, 2 a wrong order, 3 a
/// commanded fault met its limit.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let began_ns = sys::monotonic_ns();
    let is_init = std::process::id() == 1;
    let arguments: Vec<String> = arguments.collect();
    if is_init && !std::path::Path::new("/proc/self").exists() {
        init::prepare();
        // The runner lives in a child: what takes all memory is killed, and the first process lives to tell.
        if let Some(ended) = init::watch() {
            tell_of_the_end(&arguments, ended);
            init::finish();
        }
    }
    let code = match run(arguments.into_iter(), (began_ns, is_init)) {
        Ok(runner::End::Told) => ExitCode::SUCCESS,
        Ok(runner::End::Failed) => ExitCode::from(3),
        Err(line) => {
            eprintln!("{line}");
            ExitCode::from(2)
        }
    };
    // Only where there is no child to do it; in a container the kernel refuses, and the process just ends.
    if std::process::id() == 1 {
        init::finish();
    }
    code
}

/// Says on the console how the runner of a guest ended; a killed one also in a frame, since it could not itself.
fn tell_of_the_end(arguments: &[String], ended: sys::Ended) {
    let sys::Ended::Killed(signal) = ended else {
        eprintln!("init: {ended}");
        return;
    };
    eprintln!("init: {ended}; where a leak was commanded, the guest's memory is used up");
    let (events, _seen) = std::sync::mpsc::channel();
    if signal == sys::KILL
        && let Ok(options) = Options::parse(arguments.iter().cloned(), true)
    {
        let channel = Channel::new(options.report, options::Control::None, events);
        runner::report_killed(channel);
    }
}

fn run(
    arguments: impl Iterator<Item = String>,
    (began_ns, is_init): (u64, bool),
) -> Result<runner::End, String> {
    // Before anything can use memory: whoever looks for a victim takes the twin first. Without /proc there is none.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let options = Options::parse(arguments, is_init)?;
    if options.asks_help {
        print!("{}", options::HELP);
        return Ok(runner::End::Told);
    }
    if options.dies_with_parent {
        let parent = sys::parent();
        sys::die_with_parent();
        // It may have ended just before.
        if sys::parent() != parent {
            return Ok(runner::End::Told);
        }
    }
    sys::hold_signals();
    let order = options::first_order(options.order.as_deref(), |name| std::env::var(name).ok())?;
    let (events, seen) = std::sync::mpsc::channel();
    let signals = events.clone();
    let await_end = move || {
        sys::await_signal();
        let _ = signals.send(Event::End);
    };
    let named = std::thread::Builder::new().name("signals".into()).stack_size(32 << 10);
    named.spawn(await_end).map_err(|error| format!("signals: no thread can be started: {error}"))?;
    let channel = Channel::new(options.report, options.control, events.clone());
    let mut runner = runner::Runner::new(channel, events, work::calibrate(), began_ns);
    runner.obey(order);
    Ok(runner.run(&seen))
}
