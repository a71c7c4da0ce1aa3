//! What a process runs, from its program and arguments.

use std::borrow::Cow;

use foretwin_core::fnv64;

/// What a process runs: its program, and for an interpreter the interpreter's name and the script. `exe` is where
/// `/proc/PID/exe` points, `arguments` the bytes of `/proc/PID/cmdline`.
#[must_use]
pub fn command(exe: Option<&str>, arguments: &[u8]) -> Option<String> {
    let words: Vec<_> = arguments.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
    let first = words.first().map_or("", |word| word.as_ref());
    let exe = exe.map(|exe| exe.trim_end_matches(" (deleted)"));
    // A process may overwrite its name ("nginx: master process ..."); a path is taken at its word.
    let program = if first.starts_with('/') && !first.contains(' ') { first } else { exe.unwrap_or(first) };
    let program = program.split(' ').next().filter(|program| !program.is_empty())?;
    let name = program.rsplit('/').next().unwrap_or(program);
    let Some(family) = interpreter(name) else { return Some(program.into()) };
    let script = script(family, words.get(1..).unwrap_or_default());
    Some(if script.is_empty() { family.into() } else { format!("{family} {script}") })
}

/// The family of an interpreter, without minor version.
fn interpreter(name: &str) -> Option<&str> {
    const FAMILIES: &[&str] = &[
        "python", "pypy", "ruby", "perl", "node", "nodejs", "deno", "bun", "php", "php-fpm", "lua", "java",
        "dotnet", "Rscript", "tclsh", "sh", "bash", "dash", "zsh", "ksh", "ash",
    ];
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let family = FAMILIES.iter().find(|family| **family == bare)?;
    // The major version belongs to the name: python2 and python3 are different things.
    let major = name[family.len()..].split('.').next().unwrap_or_default();
    Some(&name[..family.len() + major.len()])
}

/// What an interpreter was told to run.
fn script(family: &str, arguments: &[Cow<'_, str>]) -> String {
    let mut rest = arguments.iter().map(AsRef::as_ref);
    while let Some(argument) = rest.next() {
        match argument {
            "" => {}
            "-m" | "-jar" | "--module" => return format!("{argument} {}", rest.next().unwrap_or_default()),
            // A program on the command line is known by its hash: its text may be long, or secret.
            "-c" | "-e" | "-ec" | "-lc" | "-ce" | "--eval" => {
                let code = rest.next().unwrap_or_default();
                return format!("-c#{:08x}", fnv64(code.as_bytes()) as u32);
            }
            "-cp" | "-classpath" | "--class-path" | "-p" | "--module-path" if family == "java" => {
                skip(&mut rest);
            }
            "-W" | "-X" if family.starts_with("py") => skip(&mut rest),
            "-r" | "--require" | "--import" if family.starts_with("node") => skip(&mut rest),
            option if option.starts_with(['-', '+']) => {}
            script => return script.into(),
        }
    }
    String::new()
}

/// Passes over the value of an option.
fn skip<'a>(rest: &mut impl Iterator<Item = &'a str>) {
    rest.next();
}
