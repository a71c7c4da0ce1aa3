//! The star around `core`: reads the manifests and fails on an arrow that points the wrong way.

use std::path::PathBuf;

use super::workspace::{manifests, product_lines, root, sources};

const FOUNDATIONS: &[&str] = &["core", "wire", "host", "disk", "query"];
const STAGES: &[&str] = &["collect", "stream", "store", "learn", "twin", "foresee", "notify", "act"];
/// Rooms that do no I/O, read no clock, start no thread.
const PURE: &[&str] = &["core", "wire", "query", "learn", "foresee"];
/// What a pure room may depend on beside the nouns.
const PURE_LIBRARIES: &[&str] = &[
    "serde",
    "serde_json",
    "toml",
    "regex-lite",
    "thiserror",
    "crc32fast",
    "flate2",
    "lz4_flex",
    "matrixmultiply",
    "snap",
];

/// What a room may see.
fn allowed(room: &str) -> Vec<&'static str> {
    match room {
        "core" | "host" | "query" => vec![],
        "wire" | "disk" => vec!["core"],
        "learn" | "foresee" => vec!["core", "wire"],
        stage if STAGES.contains(&stage) => FOUNDATIONS.to_vec(),
        "lab" | "runner" => FOUNDATIONS.to_vec(),
        "engine" => [FOUNDATIONS, STAGES].concat(),
        "serve" => vec!["core", "wire", "query", "engine"],
        "foretwin" => [FOUNDATIONS, STAGES, &["engine", "runner", "serve"]].concat(),
        other => panic!("{other} is a new room: say here what it may see, and why in ARCHITECTURE.md"),
    }
}

fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let table = |name: &str| manifest.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    table("dependencies").keys().chain(table("build-dependencies").keys()).cloned().collect()
}

#[test]
fn arrows_point_to_the_core() {
    let mut wrong = Vec::new();
    for (room, manifest) in manifests() {
        for dependency in dependencies(&manifest) {
            let Some(seen) = dependency.strip_prefix("foretwin-") else { continue };
            if !allowed(&room).contains(&seen) {
                wrong.push(format!("{room} must not see {seen}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_rooms_depend_on_nothing_that_acts() {
    for (room, manifest) in manifests().iter().filter(|(room, _)| PURE.contains(&room.as_str())) {
        for dependency in dependencies(manifest) {
            let fine = dependency.starts_with("foretwin-") || PURE_LIBRARIES.contains(&dependency.as_str());
            assert!(fine, "{room} is pure and must not depend on {dependency}");
        }
    }
}

#[test]
fn pure_rooms_do_no_io_and_read_no_clock() {
    let forbidden =
        ["std::fs", "std::net", "std::thread", "std::process", "std::env", "Instant::now", "SystemTime"];
    let mut wrong = Vec::new();
    for path in sources() {
        let place = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if !PURE.iter().any(|room| place.starts_with(&format!("crates/{room}/src"))) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().take(product_lines(&path, &text)) {
            if forbidden.iter().any(|word| line.contains(word)) && !line.trim_start().starts_with("//") {
                wrong.push(format!("{place}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_dependency_is_used() {
    let mut unused = Vec::new();
    for (room, manifest) in manifests() {
        let inside = |path: &PathBuf| {
            let dir = if room == "lab" { root().join("lab") } else { root().join("crates").join(&room) };
            ["src", "examples"].iter().any(|part| path.starts_with(dir.join(part)))
        };
        let texts: Vec<String> = sources()
            .iter()
            .filter(|path| inside(path))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        for dependency in dependencies(&manifest) {
            let name = dependency.replace('-', "_");
            if !texts.iter().any(|text| mentions(text, &name)) {
                unused.push(format!("{room} does not use {dependency}"));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

/// Whether a text has `name` as a whole word, outside its comments.
fn mentions(text: &str, name: &str) -> bool {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).any(|word| word == name)
}

#[test]
fn every_room_keeps_the_one_lint_block() {
    for (room, manifest) in manifests() {
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{room} has lints of its own");
        for dependency in dependencies(&manifest) {
            let inherited = manifest["dependencies"][&dependency].get("workspace").is_some();
            assert!(inherited, "{room}: the version of {dependency} belongs into the workspace's table");
        }
    }
}
