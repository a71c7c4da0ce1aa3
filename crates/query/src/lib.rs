//! PromQL, the query language of Prometheus: [`parse`] an expression, and [`evaluate`] it over series of a [`Source`].
//!
//! A useful part of the language, as <https://prometheus.io/docs/prometheus/latest/querying/basics/> describes it:
//! selectors with matchers, `offset` and `@`, ranges and subqueries, all operators with vector matching, aggregations,
//! and the functions that dashboards and alerts use. What is missing says so in its error. Pure: time and series are
//! arguments, and an evaluation takes no more than its [`Limits`] allow.

mod error;
mod evaluate;
mod expression;
mod labels;
mod lexer;
mod matching;
mod parser;
mod signature;

pub use error::Error;
pub use evaluate::{Answer, Limits, Need, Series, Source, Span, evaluate, needs};
pub use expression::{Expression, Selector};
pub use labels::{Labels, NAME};
pub use matching::{Matcher, Relation};
pub use parser::{duration_ms, parse, parse_selector};

/// What a series says when it ended: the NaN that Prometheus writes for it.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Whether a value says that its series ended.
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}
