//! A query as a tree.

use crate::matching::Matcher;

/// An expression of PromQL.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// The latest sample of series.
    Instant(Selector),
    /// Samples of series within a span.
    Range {
        /// Which.
        selector: Selector,
        /// How long, ms.
        range_ms: i64,
    },
    /// An expression evaluated again and again.
    Subquery {
        /// What.
        inner: Box<Expression>,
        /// Over how long, ms.
        range_ms: i64,
        /// How often, ms; 0 leaves it open.
        step_ms: i64,
        /// When.
        shift: Shift,
    },
    /// A function of arguments.
    Call {
        /// Its name.
        function: &'static str,
        /// Its arguments.
        arguments: Vec<Expression>,
    },
    /// Many series become few.
    Aggregate {
        /// How.
        operator: &'static str,
        /// Which.
        inner: Box<Expression>,
        /// How many, or which quantile.
        parameter: Option<Box<Expression>>,
        /// What stays apart.
        grouping: Grouping,
    },
    /// Two operands.
    Binary {
        /// The operator as written.
        operator: &'static str,
        /// Left and right.
        sides: Box<(Expression, Expression)>,
        /// Which elements belong together.
        matching: VectorMatching,
    },
    /// The same with the other sign.
    Negative(Box<Expression>),
}

/// Which series, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// Number of the selector in its query, in the order written.
    pub number: usize,
    /// What labels must be.
    pub matchers: Vec<Matcher>,
    /// When.
    pub shift: Shift,
}

/// When an expression is looked at, relative to the moment of evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shift {
    /// How much earlier, ms.
    pub offset_ms: i64,
    /// A moment instead of that of evaluation.
    pub at: Option<Moment>,
}

/// What may follow `@`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moment {
    /// ms since the epoch.
    Fixed(i64),
    /// The first moment of a range query.
    Start,
    /// The last.
    End,
}

/// Which labels an aggregation keeps apart.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grouping {
    /// `without` these, rather than `by` these.
    pub without: bool,
    /// Names of labels.
    pub labels: Vec<String>,
}

/// Which elements of two vectors belong together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorMatching {
    /// `on` these labels, rather than `ignoring` these.
    pub on: bool,
    /// Names of labels.
    pub labels: Vec<String>,
    /// Which side may have many.
    pub many: Option<Many>,
    /// Labels taken over from the side that has one.
    pub include: Vec<String>,
    /// A comparison is 0 or 1 rather than a filter.
    pub boolean: bool,
}

/// The side that may have many elements for one of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Many {
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// What an expression evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Vector,
    Matrix,
    Text,
}

impl Type {
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::Text => "string",
        }
    }
}

/// Operators that compare.
pub(crate) const COMPARISONS: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];
/// Operators on sets of elements.
pub(crate) const SETS: [&str; 3] = ["and", "or", "unless"];

impl Expression {
    /// What it evaluates to.
    pub(crate) fn of_type(&self) -> Type {
        match self {
            Self::Number(_) => Type::Scalar,
            Self::Text(_) => Type::Text,
            Self::Instant(_) | Self::Aggregate { .. } => Type::Vector,
            Self::Range { .. } | Self::Subquery { .. } => Type::Matrix,
            Self::Call { function, .. } => crate::signature::result(function),
            Self::Negative(inner) => inner.of_type(),
            Self::Binary { sides, .. } => match (sides.0.of_type(), sides.1.of_type()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
        }
    }
}
