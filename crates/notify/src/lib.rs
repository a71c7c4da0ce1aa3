//! Messages about alerts: what opened, changed or is over goes to Alertmanager, webhooks and receivers of CloudEvents.
//!
//! [`Notifier::take`] hears of every alert and never waits. Each [`Sink`] has a thread and a *desk*: a bounded queue in
//! order, and the alerts that it was told stand. A desk repeats what stands until it is over, merges what an
//! Alertmanager only needs to know the newest of, and when it is full drops the oldest, counted. A receiver that is away
//! is tried again with growing, jittered pauses; one that refuses is not.
//!
//! Grouping, budget, silence and maintenance are decided before: an alert comes here as one, and only what fires is
//! said. One that turns silenced or held after it was said is withdrawn.

mod backoff;
mod config;
mod counts;
mod desk;
mod error;
mod format;
mod notice;
mod notifier;
mod post;
mod trial;
mod words;
mod worker;

pub use config::{Kind, Sink, check};
pub use counts::Counts;
pub use error::Error;
pub use notice::{Change, Notice};
pub use notifier::{Notifier, Threads};
pub use trial::{Delivery, test_alert, try_sink};
