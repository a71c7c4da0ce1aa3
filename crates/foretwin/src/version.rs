//! What this binary is: version, commit, compiler, target, features, and the kernels that this processor gets.

use std::sync::LazyLock;

use foretwin_learn::lstm::Level;

/// One short line, as `-V` prints it.
pub const SHORT: &str = env!("CARGO_PKG_VERSION");

/// All facts, as `--version` prints them.
pub static LONG: LazyLock<String> = LazyLock::new(|| {
    let or = |fact: &'static str, otherwise: &'static str| if fact.is_empty() { otherwise } else { fact };
    let kernels: Vec<&str> = Level::all().into_iter().map(Level::name).collect();
    format!(
        "{SHORT}\n\
         commit    {}\n\
         compiler  {}\n\
         target    {}, {}\n\
         features  {}\n\
         kernels   {} (this processor has {})",
        or(env!("FORETWIN_BUILD_COMMIT"), "not recorded"),
        env!("FORETWIN_BUILD_RUSTC"),
        env!("FORETWIN_BUILD_TARGET"),
        env!("FORETWIN_BUILD_PROFILE"),
        or(env!("FORETWIN_BUILD_FEATURES"), "default"),
        Level::best().name(),
        kernels.join(", "),
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_stated() {
        let facts: Vec<&str> = LONG.lines().collect();
        assert_eq!(facts[0], SHORT);
        for (line, name) in facts[1..].iter().zip(["commit", "compiler", "target", "features", "kernels"]) {
            let value = line.strip_prefix(name).unwrap_or_else(|| panic!("{line}: not {name}"));
            assert!(!value.trim().is_empty(), "{line}");
        }
        assert!(LONG.contains("rustc 1.") && LONG.contains(std::env::consts::ARCH), "{}", *LONG);
    }
}
