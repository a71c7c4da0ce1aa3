//! What an operator can set about messages: one table `[[notify]]` for each receiver.

use std::path::PathBuf;

use foretwin_core::Severity;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What a receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Alertmanager, API v2; `url` is its address without `/api/v2/alerts`.
    Alertmanager,
    /// Anything that takes a JSON document by POST.
    #[default]
    Webhook,
    /// CloudEvents 1.0 over HTTP, structured JSON.
    Cloudevents,
}

impl Kind {
    /// Whether it wants to know what stands, and not each step that led there.
    #[must_use]
    pub fn wants_state(self) -> bool {
        self == Self::Alertmanager
    }

    /// Seconds between two messages of an alert that stands; none: only changes are said.
    fn resend_s(self) -> f64 {
        if self.wants_state() { 60.0 } else { 0.0 }
    }
}

/// One receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sink {
    /// Name in logs and counters.
    pub name: String,
    /// What it understands.
    pub kind: Kind,
    /// Where; `http` or `https`.
    pub url: String,
    /// File with the URL instead, where the URL itself is a secret.
    pub url_file: Option<PathBuf>,
    /// Address of this node as the receiver's readers reach it: links begin with it. Empty: where the node listens.
    pub external_url: String,
    /// File with a bearer token.
    pub token_file: Option<PathBuf>,
    /// User for basic authentication.
    pub user: String,
    /// File with that user's password.
    pub password_file: Option<PathBuf>,
    /// File of authorities (PEM) that are trusted instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// What is below is not said.
    pub least_severity: Severity,
    /// Only alerts of these teams; empty: of all.
    pub teams: Vec<String>,
    /// Seconds between two messages of an alert that stands; 0: only changes are said. None: 60 for Alertmanager, 0 for
    /// the others.
    pub resend_s: Option<f64>,
    /// Messages that wait while the receiver is away; beyond it the oldest are dropped and counted.
    pub queue: usize,
    /// Seconds that one request may take.
    pub timeout_s: f64,
    /// Longest pause between two tries, seconds.
    pub longest_pause_s: f64,
}

impl Default for Sink {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: Kind::default(),
            url: String::new(),
            url_file: None,
            external_url: String::new(),
            token_file: None,
            user: String::new(),
            password_file: None,
            ca_file: None,
            least_severity: Severity::Notice,
            teams: Vec::new(),
            resend_s: None,
            queue: 1000,
            timeout_s: 10.0,
            longest_pause_s: 300.0,
        }
    }
}

impl Sink {
    /// Seconds between two messages of an alert that stands; 0: none.
    #[must_use]
    pub fn resends_s(&self) -> f64 {
        self.resend_s.unwrap_or_else(|| self.kind.resend_s())
    }

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`Error::Config`] naming the setting and the remedy.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = self.wrong_place().into_iter().chain(self.wrong_number()).find(|one| one.0);
        let Some((_, field, problem, remedy)) = wrong else { return Ok(()) };
        Err(Error::Config { name: self.name.clone(), field, problem: problem.to_owned(), remedy })
    }

    /// Of where and as whom: whether it is wrong, the setting, what is wrong, the remedy.
    fn wrong_place(&self) -> [Wrong; 6] {
        let url = self.url.starts_with("http://") || self.url.starts_with("https://");
        let from_file = self.url_file.is_some();
        let link = self.external_url.is_empty() || self.external_url.starts_with("http");
        let (user, token) = (!self.user.is_empty(), self.token_file.is_some());
        const URL: &str = "write http://HOST:PORT/PATH or https://..., or name a url_file";
        [
            (self.name.is_empty(), "name", "is missing", "give each receiver a name of its own"),
            (!from_file && !url, "url", "is no URL", URL),
            (from_file && !self.url.is_empty(), "url_file", "stands beside url", "give one of them"),
            (!link, "external_url", "is no URL", "write for instance https://foretwin.example"),
            (
                user != self.password_file.is_some(),
                "user",
                "and password_file belong together",
                "give both or none",
            ),
            (user && token, "token_file", "stands beside user", "give one of them"),
        ]
    }

    /// Of how much and how often.
    fn wrong_number(&self) -> [Wrong; 3] {
        let times = [self.timeout_s, self.longest_pause_s];
        let positive = times.iter().all(|s| s.is_finite() && *s > 0.0);
        let resends = self.resends_s();
        let never = resends == 0.0 && !self.kind.wants_state();
        const RESEND: &str = "give at least 1 second; 0 only where changes are enough: Alertmanager forgets";
        [
            (self.queue == 0, "queue", "is 0", "give at least 1"),
            (!positive, "timeout_s", "or longest_pause_s is no time", "give seconds above 0"),
            (
                !never && !(resends >= 1.0 && resends.is_finite()),
                "resend_s",
                "is too short or no time",
                RESEND,
            ),
        ]
    }
}

/// Whether something is wrong, the setting, what is wrong with it, the remedy.
type Wrong = (bool, &'static str, &'static str, &'static str);

/// Checks all receivers, and that their names differ.
///
/// # Errors
/// [`Error::Config`] naming the sink, the setting and the remedy.
pub fn check(sinks: &[Sink]) -> Result<(), Error> {
    for (at, sink) in sinks.iter().enumerate() {
        sink.check()?;
        if sinks[..at].iter().any(|other| other.name == sink.name) {
            return Err(Error::Config {
                name: sink.name.clone(),
                field: "name",
                problem: "is taken twice".to_owned(),
                remedy: "give each receiver a name of its own",
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Sink {
        Sink { name: "ops".into(), url: "https://ops.example/hook".into(), ..Sink::default() }
    }

    #[test]
    fn what_cannot_be_meant_is_named_with_its_remedy() {
        check(&[good()]).unwrap();
        let bad = [
            ("name", Sink { name: String::new(), ..good() }),
            ("url", Sink { url: "ops.example".into(), ..good() }),
            ("url_file", Sink { url_file: Some("u".into()), ..good() }),
            ("external_url", Sink { external_url: "foretwin.example".into(), ..good() }),
            ("user", Sink { user: "me".into(), ..good() }),
            ("queue", Sink { queue: 0, ..good() }),
            ("timeout_s", Sink { timeout_s: f64::NAN, ..good() }),
            ("resend_s", Sink { resend_s: Some(0.1), ..good() }),
            ("resend_s", Sink { kind: Kind::Alertmanager, resend_s: Some(0.0), ..good() }),
        ];
        for (field, sink) in bad {
            let error = sink.check().unwrap_err().to_string();
            assert!(error.contains(&format!(": {field} ")), "{field}: {error}");
        }
        assert!(check(&[good(), good()]).unwrap_err().to_string().contains("taken twice"));
    }

    #[test]
    fn an_alertmanager_is_told_again_by_itself() {
        assert_eq!(good().resends_s(), 0.0);
        assert_eq!(Sink { kind: Kind::Alertmanager, ..good() }.resends_s(), 60.0);
        assert_eq!(Sink { resend_s: Some(5.0), ..good() }.resends_s(), 5.0);
    }
}
