//! What can go wrong while collecting.

use std::fmt;
use std::io;

/// A failure of collection. None of them stops the other sources.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be meant.
    #[error("{field}: {problem}; {remedy}")]
    Config {
        /// The setting's path in the configuration file.
        field: String,
        /// What is wrong with it.
        problem: String,
        /// What to write instead.
        remedy: String,
    },
    /// Kernel state could not be read.
    #[error("cannot read {object}")]
    Read {
        /// What was to be read.
        object: &'static str,
        /// Why it failed.
        #[source]
        source: foretwin_host::Error,
    },
    /// Several things failed in one reading.
    #[error("{}", Joined(.0))]
    Several(Vec<Error>),
    /// An operation of the system failed.
    #[error("cannot {operation} {object}")]
    System {
        /// What was tried, as a verb.
        operation: &'static str,
        /// What it was tried on.
        object: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A target of `[scrape]` gave no usable answer.
    #[error("cannot scrape {target}: {reason}")]
    Scrape {
        /// Its URL.
        target: String,
        /// What happened.
        reason: String,
    },
}

impl Error {
    /// A refused setting.
    pub(crate) fn config(field: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Config { field: field.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// What came of a reading in which `errors` happened.
    pub(crate) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several(errors)),
        }
    }
}

/// Prints an error with all its causes.
pub(crate) struct Chain<'e>(pub(crate) &'e dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

struct Joined<'e>(&'e [Error]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{}", Chain(error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_causes_are_told() {
        let source = io::Error::other("denied");
        let first = Error::System { operation: "read", object: "a".into(), source };
        let second = Error::Scrape { target: "b".into(), reason: "gone".into() };
        let both = Error::all(vec![first, second]).unwrap_err();
        assert_eq!(Chain(&both).to_string(), "cannot read a: denied; cannot scrape b: gone");
        assert!(Error::all(Vec::new()).is_ok());
    }
}
