//! Style that a machine can check, as a ratchet: limits only ever go down.

use std::path::{Path, PathBuf};

use super::workspace::{product_lines, root, sources};

const LONGEST_FILE: usize = 800;
const NINTH_DECILE_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 70;
/// Functions above 40 lines; lower this when some are gone.
const LONG_FUNCTIONS: usize = 30;

fn texts() -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_path_buf(), text)
    };
    sources().into_iter().map(read).collect()
}

/// Name, first line and length of each function, relying on rustfmt: it ends at the brace that stands as deep as its
/// `fn`.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let words = code.split("fn ").next().unwrap_or("");
        let opens = code.contains("fn ")
            && words.split_whitespace().all(|word| {
                word.starts_with("pub") || ["async", "unsafe", "const", "extern", "\"C\""].contains(&word)
            })
            && !code.starts_with("//");
        if !opens {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent(line)));
        let one_line = line.trim_end().ends_with(['}', ';']);
        let end = if one_line { Some(0) } else { lines[at..].iter().position(|later| *later == close) };
        let name = code.split("fn ").nth(1).unwrap_or("").split(['(', '<']).next().unwrap_or("").to_owned();
        found.push((name, at + 1, end.unwrap_or(0) + 1));
    }
    found
}

#[test]
fn files_say_what_they_are_for() {
    let silent: Vec<_> =
        texts().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "these files do not open with a `//!` sentence: {silent:#?}");
}

#[test]
fn files_stay_small() {
    let mut sizes: Vec<(usize, PathBuf)> =
        texts().into_iter().map(|(path, text)| (text.lines().count(), path)).collect();
    sizes.sort();
    let (longest, path) = sizes.last().unwrap();
    assert!(*longest <= LONGEST_FILE, "{} has {longest} lines", path.display());
    let ninth = sizes[sizes.len() * 9 / 10].0;
    assert!(ninth <= NINTH_DECILE_FILE, "one file in ten has more than {ninth} lines");
}

#[test]
fn functions_stay_short() {
    let mut long = Vec::new();
    for (path, text) in texts() {
        for (name, line, length) in functions(&text) {
            assert!(
                length <= LONGEST_FUNCTION,
                "{}:{line} {name} has {length} lines, at most {LONGEST_FUNCTION}",
                path.display()
            );
            if length > 40 {
                long.push(format!("{}:{line} {name} {length}", path.display()));
            }
        }
    }
    assert!(long.len() <= LONG_FUNCTIONS, "{} functions above 40 lines: {long:#?}", long.len());
}

#[test]
fn nothing_unwraps_outside_tests() {
    let mut found = Vec::new();
    for (path, text) in texts() {
        let product = product_lines(Path::new(&path), &text);
        for (at, line) in text.lines().take(product).enumerate() {
            if line.contains(".unwrap()") && !line.trim_start().starts_with("//") {
                found.push(format!("{}:{}", path.display(), at + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_ruler_measures() {
    let text =
        "fn short() {}\n\nimpl A {\n    pub async fn two(\n        &self,\n    ) {\n        x();\n    }\n}\n";
    let found = functions(text);
    assert_eq!(found, [("short".to_owned(), 1, 1), ("two".to_owned(), 4, 5)]);
}
