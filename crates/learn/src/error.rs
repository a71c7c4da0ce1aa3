//! What can go wrong while learning, and with stored models.

use foretwin_core::SchemaId;

/// A failed operation of the learner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot be used.
    #[error("learn.{field}: {problem}")]
    Config {
        /// Name of the setting.
        field: &'static str,
        /// What is wrong, and what would be right.
        problem: &'static str,
    },
    /// There is too little to learn from.
    #[error("fit a model: the window has {rows} usable frames, at least {needed} are needed")]
    TooShort {
        /// Usable frames.
        rows: usize,
        /// Frames needed.
        needed: usize,
    },
    /// The caller asked to stop.
    #[error("fit a model: cancelled")]
    Cancelled,
    /// Training and test data differ in their metrics.
    #[error("detect anomalies: the test data has schema {test}, the training data {train}")]
    Schema {
        /// Schema of the training data.
        train: SchemaId,
        /// Schema of the test data.
        test: SchemaId,
    },
    /// Stored bytes are not what they should be.
    #[error("decode {object}: {problem}")]
    Decode {
        /// `model` or `state`.
        object: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Something could not be written as bytes.
    #[error("encode {object}")]
    Encode {
        /// `model` or `state`.
        object: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}
