//! What a sink counts of itself.

/// Numbers of one sink since it started; all but the last two only grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// The sink's name.
    pub sink: String,
    /// Messages that the receiver took.
    pub delivered: u64,
    /// Tries that failed and are tried again.
    pub failed_tries: u64,
    /// Messages that the receiver refused.
    pub refused: u64,
    /// Messages that were dropped because the queue was full.
    pub dropped: u64,
    /// Messages that wait now.
    pub waiting: u64,
    /// Alerts that the receiver is told stand.
    pub standing: u64,
}
