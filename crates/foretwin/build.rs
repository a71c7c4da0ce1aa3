//! Facts of this build for `foretwin --version`; nothing here may fail, nor make a build that would not be made anyway.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=FORETWIN_COMMIT");
    for (fact, value) in [("TARGET", variable("TARGET")), ("PROFILE", variable("PROFILE"))] {
        println!("cargo::rustc-env=FORETWIN_BUILD_{fact}={value}");
    }
    println!("cargo::rustc-env=FORETWIN_BUILD_RUSTC={}", compiler());
    println!("cargo::rustc-env=FORETWIN_BUILD_FEATURES={}", features());
    println!("cargo::rustc-env=FORETWIN_BUILD_COMMIT={}", commit());
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let done = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(done.stdout).ok()?;
    done.status.success().then(|| text.trim().to_owned())
}

/// As the compiler names itself.
fn compiler() -> String {
    output(&variable("RUSTC"), &["--version"]).unwrap_or_else(|| "unknown".into())
}

/// Features that were switched on, but for `default`.
fn features() -> String {
    let on = std::env::vars().filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_owned()));
    let mut on: Vec<String> = on.filter(|name| name != "DEFAULT").map(|name| name.to_lowercase()).collect();
    on.sort();
    on.join(", ")
}

/// The commit, given by whoever builds from an archive, else what git says. A debug build has none: it would have to be
/// linked again after every commit, or lie.
fn commit() -> String {
    let given = variable("FORETWIN_COMMIT");
    if !given.is_empty() || variable("PROFILE") != "release" {
        return given;
    }
    let Some(dirs) = output("git", &["rev-parse", "--git-dir", "--git-common-dir"]) else {
        return String::new();
    };
    let dirs: Vec<PathBuf> = dirs.lines().map(PathBuf::from).collect();
    for dir in &dirs {
        watch(&dir.join("HEAD"));
        if let Some(branch) = output("git", &["symbolic-ref", "--quiet", "HEAD"]) {
            watch(&dir.join(branch));
        }
        watch(&dir.join("packed-refs"));
    }
    output("git", &["rev-parse", "--short=12", "HEAD"]).unwrap_or_default()
}

/// A file that is not there would make every build look stale.
fn watch(path: &Path) {
    if path.exists() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}
