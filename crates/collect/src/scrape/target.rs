//! Fetches one target.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;

use super::board::Board;
use super::config::Target;
use super::owner;
use crate::exposition;

/// Longest answer read: some hundred thousand series.
const LONGEST: u64 = 16 << 20;

/// The client of one target.
pub(super) struct Fetcher {
    agent: Agent,
    url: String,
    /// Where to look for the owner; nothing if the settings name the instance.
    authority: Option<String>,
    was_down: bool,
}

impl Fetcher {
    pub fn new(target: &Target) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(target.timeout_ms)))
            // A target is a neighbour; a proxy of the environment is for the world outside.
            .proxy(None)
            .user_agent("foretwin")
            .build();
        let authority = target.instance.is_none().then(|| target.authority().to_owned());
        Self { agent: config.into(), url: target.url.clone(), authority, was_down: false }
    }

    /// Asks once, and puts the answer on the board.
    pub fn scrape(&mut self, board: &Mutex<Board>) {
        let began = Instant::now();
        let answer = self.fetch();
        let duration_us = began.elapsed().as_micros() as u64;
        // The owner does not change while the target answers; looking is expensive.
        let owner = match (&answer, &self.authority) {
            (Ok(_), Some(authority)) => Some(owner::of(authority)),
            _ => None,
        };
        let found = answer.as_ref().map(|text| exposition::parse(text));
        let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = owner {
            self.authority = None;
            board.own(owner);
        }
        match found {
            Ok(found) => board.update(&found, duration_us),
            Err(_) => board.failed(),
        }
        drop(board);
        self.complain(answer.as_ref().err());
    }

    fn fetch(&self) -> Result<String, ureq::Error> {
        let request = self.agent.get(&self.url).header("Accept", "text/plain;version=0.0.4");
        let body = request.call()?.body_mut().with_config().limit(LONGEST).read_to_vec()?;
        // One broken letter in a label is no reason to lose all series.
        Ok(String::from_utf8(body)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Says once that a target is down, and once that it is back.
    fn complain(&mut self, error: Option<&ureq::Error>) {
        match error {
            Some(error) if !self.was_down => tracing::warn!("cannot scrape {}: {error}", self.url),
            None if self.was_down => tracing::info!("{} answers again", self.url),
            _ => {}
        }
        self.was_down = error.is_some();
    }
}
