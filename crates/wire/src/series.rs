//! What the receiving formats have in common: samples of named series, and what their sender says of them.

use foretwin_core::Timestamp;

use crate::Error;

/// What a sender says its series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Nature {
    /// Nothing is said.
    #[default]
    Untold,
    /// A level.
    Gauge,
    /// Counts upwards since some start.
    Counter,
    /// Counts since its last sample.
    Delta,
    /// Counts per bucket, their sum and number, all upwards.
    Histogram,
    /// Quantiles; sum and number count upwards.
    Summary,
}

/// Samples of one series on their way in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// For instance `http_requests_total` or `http.server.request.duration`.
    pub name: String,
    /// Names and values, as the sender wrote them.
    pub labels: Vec<(String, String)>,
    /// UCUM unit, where one is said.
    pub unit: String,
    /// What it is.
    pub nature: Nature,
    /// Times and values. A NaN says that the series ended, or had no number.
    pub points: Vec<(Timestamp, f64)>,
}

/// Series of one sender that share what identifies it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Origin {
    /// Attributes of the resource; empty where labels of the series say who sends.
    pub resource: Vec<(String, String)>,
    /// Its series.
    pub series: Vec<Series>,
}

/// Everything of one request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arrival {
    /// By who sent it.
    pub origins: Vec<Origin>,
    /// Families and what their sender says they are, where that is said apart from their samples.
    pub families: Vec<(String, Nature)>,
    /// Samples that no series of numbers can hold (text).
    pub unreadable: usize,
}

impl Arrival {
    /// How many samples there are, those that say that a series ended included.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.origins.iter().flat_map(|origin| &origin.series).map(|series| series.points.len()).sum()
    }
}

/// Most memory that strings and samples of one request may take: 96 MiB.
const MOST_BYTES: usize = 96 << 20;
/// What a string, a label or a point takes beside its bytes.
const EACH: usize = 48;

/// Memory that decoding one request may still take: few bytes may refer to many.
pub(crate) struct Room(usize);

impl Room {
    pub(crate) fn new() -> Self {
        Self(MOST_BYTES)
    }

    /// Takes what one thing of so many bytes needs.
    pub(crate) fn take(&mut self, bytes: usize, what: &'static str) -> Result<(), Error> {
        self.0 = self
            .0
            .checked_sub(bytes + EACH)
            .ok_or_else(|| Error::invalid(what, "takes more than 96 MiB; send fewer samples at once"))?;
        Ok(())
    }

    /// A string of its own.
    pub(crate) fn text(&mut self, text: &str, what: &'static str) -> Result<String, Error> {
        self.take(text.len(), what)?;
        Ok(text.to_owned())
    }
}
