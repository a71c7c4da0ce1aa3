//! Finding the workspace's files.

use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// Every member: its directory name and its parsed manifest.
pub fn manifests() -> Vec<(String, toml::Table)> {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let workspace: toml::Table = text.parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| {
            let dir = member.as_str().unwrap();
            let text = std::fs::read_to_string(root().join(dir).join("Cargo.toml")).unwrap();
            (dir.rsplit('/').next().unwrap().to_owned(), text.parse().unwrap())
        })
        .collect()
}

/// Every Rust source file of the workspace, tests and examples included.
pub fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in ["crates", "lab", "tools"] {
        walk(&root().join(dir), &mut found);
    }
    found.sort();
    found
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The lines of a file that are product code: those before its test module, none of a test or an example.
pub fn product_lines(path: &Path, text: &str) -> usize {
    let is_test = path.components().any(|part| {
        let part = part.as_os_str();
        part == "tests" || part == "examples" || part == "benches"
    });
    let own_test_file =
        path.file_stem().is_some_and(|stem| stem == "tests") || text.contains("\n#![cfg(test)]\n");
    if is_test || own_test_file {
        return 0;
    }
    text.lines().position(|line| line == "#[cfg(test)]").unwrap_or_else(|| text.lines().count())
}
