//! What can be wrong with a query.

/// A query that has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no query, or one that makes no sense.
    #[error("{at}: parse error: {why}")]
    Parse {
        /// Line and column, as Prometheus writes them.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// The query cannot be evaluated over the series there are.
    #[error("{0}")]
    Execution(String),
    /// The query takes more than it may.
    #[error("{0}")]
    TooMuch(String),
}

impl Error {
    pub(crate) fn parse(text: &str, position: usize, why: impl Into<String>) -> Self {
        let before = text.get(..position).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        Self::Parse { at: format!("{line}:{column}"), why: why.into() }
    }

    pub(crate) fn execution(why: impl Into<String>) -> Self {
        Self::Execution(why.into())
    }
}
