//! Live events, handed to whoever listens; a listener that cannot keep up is cut off, never waited for.

use std::sync::{Arc, Mutex, PoisonError};

use crate::view::Event;

/// Takes an event; false ends the subscription. Must not block: it runs on the thread that scores.
pub type Listener = Box<dyn Fn(&Arc<Event>) -> bool + Send>;

/// Everybody who listens.
#[derive(Default)]
pub(crate) struct Events(Mutex<Vec<Listener>>);

impl Events {
    pub(crate) fn subscribe(&self, listener: Listener) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Hands an event to all; it is only made if somebody listens.
    pub(crate) fn publish(&self, event: impl FnOnce() -> Event) {
        self.publish_all(std::iter::once_with(event));
    }

    /// Hands events to all in their order; none is made if nobody listens.
    pub(crate) fn publish_all(&self, events: impl Iterator<Item = Event>) {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.is_empty() {
            return;
        }
        for event in events {
            let event = Arc::new(event);
            listeners.retain(|listener| listener(&event));
        }
    }
}
