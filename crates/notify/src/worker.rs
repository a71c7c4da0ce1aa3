//! The thread of one sink: says what waits, in order, and waits for a receiver that is away.

use std::error::Error as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use foretwin_core::{Timestamp, fnv64};

use crate::Error;
use crate::backoff::Backoff;
use crate::config::Sink;
use crate::counts::Counts;
use crate::desk::Desk;
use crate::format::{Style, Told};
use crate::post::Post;

/// How often a thread without work looks for what is to be repeated.
const LOOK: Duration = Duration::from_secs(1);

/// A desk that a thread works at.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Something to say has come, or the end.
    rings: Condvar,
}

struct State {
    desk: Desk,
    /// When sending must have ended.
    deadline: Option<Instant>,
}

impl Shared {
    pub(crate) fn new(sink: Sink) -> Self {
        Self { state: Mutex::new(State { desk: Desk::new(sink), deadline: None }), rings: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the desk and wakes its thread.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Desk)) {
        change(&mut self.lock().desk);
        self.rings.notify_all();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().desk.counts()
    }

    /// Asks for the end; what waits is tried once more until then.
    pub(crate) fn end(&self, deadline: Instant) {
        self.lock().deadline = Some(deadline);
        self.rings.notify_all();
    }

    /// Waits, but not beyond the end; whether the end was asked for.
    fn pause(&self, pause: Duration) -> bool {
        let state = self.lock();
        let ended = |state: &mut State| state.deadline.is_none();
        let (state, _) =
            self.rings.wait_timeout_while(state, pause, ended).unwrap_or_else(PoisonError::into_inner);
        state.deadline.is_some()
    }
}

/// Works at a desk.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    post: Post,
    sink: Sink,
    own: String,
    backoff: Backoff,
    told: Told,
    away: bool,
}

impl Worker {
    /// # Errors
    /// If the sink's certificates cannot be read.
    pub(crate) fn new(shared: Arc<Shared>, sink: &Sink, (own, seed): (&str, u64)) -> Result<Self, Error> {
        let seed = seed ^ fnv64(sink.name.as_bytes());
        let backoff = Backoff::new(sink.longest_pause_s, seed);
        let (post, told) = (Post::new(sink)?, Told::default());
        Ok(Self { shared, post, sink: sink.clone(), own: own.to_owned(), backoff, told, away: false })
    }

    pub(crate) fn run(mut self) {
        loop {
            let (notices, deadline) = self.next();
            if notices.is_empty() {
                if deadline.is_some() {
                    return;
                }
                continue;
            }
            let style = Style::of(&self.sink, &self.own);
            let mut told = self.told.clone();
            let (document, content_type) = style.document(&notices, &mut told, now());
            match self.post.send(&document, content_type) {
                Ok(_) => {
                    self.told = told;
                    self.delivered(&notices);
                }
                Err(error @ Error::Refused { .. }) => {
                    tracing::warn!("{error}");
                    self.shared.with(|desk| {
                        desk.counts.refused += notices.len() as u64;
                        desk.done(&notices);
                    });
                }
                Err(error) => {
                    if self.failed(&error) {
                        return;
                    }
                }
            }
        }
    }

    /// What is to be said now; waits for it.
    fn next(&self) -> (Vec<crate::Notice>, Option<Instant>) {
        let most = Style::of(&self.sink, &self.own).most();
        let mut state = self.shared.lock();
        state.desk.repeat(now());
        let mut first = state.desk.first(most);
        if first.is_empty() && state.deadline.is_none() {
            let rested = self.shared.rings.wait_timeout(state, LOOK);
            state = rested.unwrap_or_else(PoisonError::into_inner).0;
            first = state.desk.first(most);
        }
        (first, state.deadline)
    }

    fn delivered(&mut self, notices: &[crate::Notice]) {
        if self.away {
            tracing::info!("notify {}: reached again", self.sink.name);
        }
        self.away = false;
        self.backoff.reset();
        self.shared.with(|desk| {
            desk.counts.delivered += notices.len() as u64;
            desk.done(notices);
        });
    }

    /// Waits before another try; whether the end has come.
    fn failed(&mut self, error: &Error) -> bool {
        if !self.away {
            let source = error.source().map_or(String::new(), |source| format!(": {source}"));
            tracing::warn!("notify: {error}{source}; messages wait and are tried again");
        }
        self.away = true;
        self.shared.with(|desk| desk.counts.failed_tries += 1);
        let asked_s = match error {
            Error::Away { retry_after_s, .. } => *retry_after_s,
            _ => None,
        };
        self.shared.pause(Duration::from_secs_f64(self.backoff.pause_s(asked_s)))
    }
}

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_micros() as i64)
}
