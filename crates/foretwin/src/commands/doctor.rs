//! `foretwin doctor`: what this machine offers and lacks, with remedies.

use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;
use serde::Serialize;

use crate::cli::DoctorArgs;

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// There, and used.
    Good,
    /// Not there; Foretwin works without, and says what is lost.
    Missing,
    /// Foretwin does not work without.
    Broken,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
}

pub fn doctor(args: &DoctorArgs) -> Result<ExitCode> {
    let findings = [
        telemetry(),
        pressure(),
        groups(),
        limits(),
        sockets(),
        counters(),
        descriptors(),
        microvm(),
        containers(),
    ];
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(print);
    }
    let broken = findings.iter().any(|finding| finding.status == Status::Broken);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(finding: &Finding) {
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (word, colour) = match finding.status {
        Status::Good => ("good", 32),
        Status::Missing => ("missing", 33),
        Status::Broken => ("broken", 31),
    };
    let word = if coloured { format!("\x1b[{colour}m{word:8}\x1b[0m") } else { format!("{word:8}") };
    println!("{word} {}: {}", finding.what, finding.detail);
    if let Some(remedy) = finding.remedy {
        println!("         {remedy}");
    }
}

fn good(what: &'static str, detail: impl Into<String>) -> Finding {
    Finding { what, status: Status::Good, detail: detail.into(), remedy: None }
}

fn missing(what: &'static str, detail: impl Into<String>, remedy: &'static str) -> Finding {
    Finding { what, status: Status::Missing, detail: detail.into(), remedy: Some(remedy) }
}

fn telemetry() -> Finding {
    let what = "host telemetry";
    let needed = ["/proc/stat", "/proc/meminfo", "/proc/vmstat", "/proc/diskstats", "/proc/net/dev"];
    let lacking: Vec<&str> = needed.into_iter().filter(|file| std::fs::read(file).is_err()).collect();
    if lacking.is_empty() {
        return good(what, "CPU, memory, disk and network are readable under /proc");
    }
    let detail = format!("cannot read {}", lacking.join(", "));
    Finding {
        what,
        status: Status::Broken,
        detail,
        remedy: Some("mount /proc, and run where it is not hidden"),
    }
}

fn pressure() -> Finding {
    if Path::new("/proc/pressure/memory").exists() {
        return good("pressure stall information", "/proc/pressure is there");
    }
    let remedy = "boot with psi=1; without it saturation is judged from queues and run delay alone";
    missing("pressure stall information", "/proc/pressure is not there", remedy)
}

fn groups() -> Finding {
    let what = "control groups";
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let of = |kind: &str| mounts.lines().filter(|line| line.contains(&format!(" - {kind} "))).count();
    match (of("cgroup"), of("cgroup2")) {
        (0, 0) => {
            missing(what, "no hierarchy is mounted", "mount cgroup2; without it only the host is watched")
        }
        (0, _) => good(what, "version 2"),
        (v1, 0) => good(what, format!("version 1, {v1} hierarchies")),
        (v1, _) => good(what, format!("hybrid: {v1} version 1 hierarchies and a version 2 tree")),
    }
}

fn limits() -> Finding {
    let what = "descriptors and processes of others";
    if std::fs::read_dir("/proc/1/fd").is_ok() {
        return good(what, "open descriptors of every process can be counted");
    }
    missing(
        what,
        "/proc/1/fd is closed to this user",
        "run as root, or with CAP_SYS_PTRACE, to see descriptor leaks",
    )
}

fn sockets() -> Finding {
    let what = "kernel round-trip times";
    match foretwin_host::sock_diag::established(1, |_| ()) {
        Ok(_) => good(what, "sock_diag answers"),
        Err(reason) => missing(what, reason.to_string(), "load the tcp_diag and inet_diag modules"),
    }
}

fn counters() -> Finding {
    let what = "hardware counters";
    match foretwin_collect::hardware::available() {
        Ok(()) => good(what, "cycles and instructions can be counted"),
        Err(reason) => missing(what, reason.reason, reason.remedy),
    }
}

fn descriptors() -> Finding {
    let what = "own descriptor limit";
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    let soft: u64 = line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok()).unwrap_or(u64::MAX);
    if soft >= 4096 {
        return good(what, format!("{soft} files may be open"));
    }
    missing(what, format!("only {soft} files may be open"), "raise it (ulimit -n 65536) to watch many groups")
}

fn found(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

fn microvm() -> Finding {
    match found("qemu-system-x86_64", "--version") {
        Some(version) => good("microVM substrate", version),
        None => missing(
            "microVM substrate",
            "qemu-system-x86_64 is not installed",
            "apt-get install qemu-system-x86",
        ),
    }
}

fn containers() -> Finding {
    let sockets = ["/var/run/docker.sock", "/run/podman/podman.sock"];
    match sockets.into_iter().find(|socket| Path::new(socket).exists()) {
        Some(socket) => good("container substrate", socket),
        None => missing(
            "container substrate",
            "neither Docker nor Podman listens",
            "start dockerd or podman system service to see image names and to run twins in containers",
        ),
    }
}
