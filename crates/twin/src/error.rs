//! What can go wrong while keeping twins.

use std::io;
use std::path::PathBuf;

/// A failure of one twin or of what it runs in. None of them stops the other twins.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be meant.
    #[error("{field}: {problem}; {remedy}")]
    Config {
        /// The setting's path in the configuration file.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// A substrate cannot be had on this machine; the remedy is a command or a setting.
    #[error("{what}; {remedy}")]
    Missing {
        /// What is not there, or not usable.
        what: String,
        /// How to bring it.
        remedy: String,
    },
    /// A file could not be read or written.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A running twin could not be told something.
    #[error("cannot {operation} the twin {label}")]
    Twin {
        /// What was tried, as a verb.
        operation: &'static str,
        /// Whose.
        label: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The container daemon could not be asked.
    #[error("cannot {operation} through {}", socket.display())]
    Daemon {
        /// What was tried, as a verb.
        operation: String,
        /// Its socket.
        socket: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The container daemon refused.
    #[error("the container daemon refuses to {operation} ({status}): {message}")]
    Refused {
        /// What was tried, as a verb.
        operation: String,
        /// Status of its answer.
        status: u16,
        /// What it says.
        message: String,
    },
    /// A kernel image or module is not what it should be.
    #[error("{} is not a kernel that can be booted: {reason}", path.display())]
    Kernel {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Control groups cannot be seen.
    #[error("cannot find the control groups of this machine")]
    Groups(#[source] foretwin_host::Error),
}

impl Error {
    /// A file operation that failed, for `map_err`.
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }

    /// A twin's operation that failed, for `map_err`.
    pub(crate) fn twin(operation: &'static str, label: &str) -> impl FnOnce(io::Error) -> Self {
        let label = label.to_owned();
        move |source| Self::Twin { operation, label, source }
    }

    /// The error and its causes in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
