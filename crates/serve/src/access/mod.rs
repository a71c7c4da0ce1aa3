//! Who may do what: bearer tokens with scopes, and a rate for everybody.
//!
//! A token travels only in the `Authorization` header. Browsers never add that by themselves, so a page of another origin
//! can do nothing with it (no cookies, no cross-site request forgery).

mod rate;
mod scope;
mod tokens;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub use scope::Scope;
pub(crate) use scope::{is_change, needed};
pub(crate) use tokens::hex;
pub use tokens::{Token, Tokens};

use crate::State;
use crate::config::Limits;
use crate::error::ApiError;
use crate::fault::Error;
use crate::stamp::Watch;
use rate::{Rates, client};

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Who asks: a token, or somebody at an address.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) token: Option<Token>,
    pub(crate) address: IpAddr,
}

/// What may be done without a token while there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anonymous {
    /// Only this machine reaches the listener.
    Everything,
    /// Others do, and TLS keeps what they read from third parties.
    Read,
    /// Others do.
    Nothing,
}

impl Anonymous {
    fn may(self, scope: Scope) -> bool {
        match self {
            Self::Everything => true,
            Self::Read => scope == Scope::Read,
            Self::Nothing => false,
        }
    }
}

/// Admits requests.
pub(crate) struct Access {
    file: Option<Tokens>,
    known: Mutex<Known>,
    anonymous: Anonymous,
    by_token: Rates<String>,
    by_address: Rates<IpAddr>,
    failures: Rates<IpAddr>,
}

/// The tokens as they were last read.
struct Known {
    tokens: Arc<Vec<Token>>,
    watch: Watch,
    /// Whether there was a token since the start. From then on one is asked for, whatever becomes of the file: nobody
    /// opens a node by deleting it, or by revoking the last.
    guarded: bool,
}

impl Access {
    /// Reads the tokens below a data directory; without one there are none.
    pub(crate) fn open(
        data_dir: Option<&Path>,
        anonymous: Anonymous,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let file = data_dir.map(Tokens::of);
        let paths: Vec<&Path> = file.iter().map(Tokens::path).collect();
        let watch = Watch::of(&paths);
        let tokens = file.as_ref().map_or(Ok(Vec::new()), Tokens::list)?;
        let known = Known { guarded: !tokens.is_empty(), tokens: Arc::new(tokens), watch };
        Ok(Self {
            file,
            known: Mutex::new(known),
            anonymous,
            by_token: Rates::new(limits.requests_per_s, limits.burst),
            by_address: Rates::new(limits.requests_per_s, limits.burst),
            failures: Rates::new(limits.failures_per_minute / 60.0, limits.failures_per_minute),
        })
    }

    /// Whether there was a token since the start.
    pub(crate) fn has_tokens(&self) -> bool {
        self.current().1
    }

    /// The tokens as the file has them now, and whether one is asked for. A file that became unreadable changes nothing.
    fn current(&self) -> (Arc<Vec<Token>>, bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.file.as_ref().filter(|file| known.watch.changed(&[file.path()])) {
            match file.list() {
                Ok(tokens) => {
                    tracing::info!("{}: {} tokens", file.path().display(), tokens.len());
                    known.guarded |= !tokens.is_empty();
                    known.tokens = Arc::new(tokens);
                }
                Err(error) => tracing::warn!("{error}; the tokens read before stay"),
            }
        }
        (known.tokens.clone(), known.guarded)
    }

    /// Whether a request may be worked on.
    fn admit(
        &self,
        needs: Option<Scope>,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Result<Caller, Box<Response>> {
        let (tokens, guarded) = self.current();
        let secret = bearer(headers);
        let token = secret.and_then(|secret| tokens::find(&tokens, secret)).cloned();
        let now = Instant::now();
        let local = address.to_canonical().is_loopback();
        if needs.is_some() && secret.is_some() && token.is_none() && guarded {
            if !local {
                self.failures.take(client(address), now).map_err(too_many)?;
            }
            return Err(unauthorized("the token is not known here, or was revoked"));
        }
        match &token {
            Some(token) => self.by_token.take(token.id.clone(), now).map_err(too_many)?,
            None if !local => self.by_address.take(client(address), now).map_err(too_many)?,
            None => {}
        }
        match (needs, &token) {
            (None, _) => {}
            (Some(scope), Some(token)) if token.may(scope) => {}
            (Some(scope), Some(token)) => return Err(forbidden(scope, token)),
            (Some(scope), None) if !guarded && self.anonymous.may(scope) => {}
            (Some(_), None) => return Err(unauthorized("a token is needed")),
        }
        Ok(Caller { token, address })
    }
}

/// The token that a request carries.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    // Influx clients say Token where others say Bearer.
    let known = ["bearer", "token"].iter().any(|name| scheme.eq_ignore_ascii_case(name));
    known.then_some(secret.trim())
}

fn unauthorized(why: &str) -> Box<Response> {
    let message = format!(
        "{why}; send Authorization: Bearer TOKEN (foretwin: --token-file or FORETWIN_TOKEN). foretwin token create makes \
         one on the machine of the node"
    );
    let error = ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
    let mut response = error.into_response();
    let challenge = HeaderValue::from_static("Bearer realm=\"foretwin\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    Box::new(response)
}

fn forbidden(scope: Scope, token: &Token) -> Box<Response> {
    let has: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
    let message = format!(
        "the token {:?} has the scope {}, this needs {scope}; make one with foretwin token create --scope {scope}",
        token.name,
        has.join(", ")
    );
    Box::new(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message).into_response())
}

fn too_many(wait_s: u64) -> Box<Response> {
    let message = format!("too many requests; try again in {wait_s} s (serve.limits on the node)");
    let mut response = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
    Box::new(response)
}

/// The route of a request as it was written, or its path if there is no such route.
pub(crate) fn route(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    matched.unwrap_or_else(|| request.uri().path()).to_owned()
}

/// Lets a request pass that may, and says who asked.
pub(crate) async fn guard(Extract(state): Extract<State>, mut request: Request, next: Next) -> Response {
    // Without a listener of ours there is no peer, as in tests of single routes.
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer(Ipv4Addr::LOCALHOST.into()));
    let method: &Method = request.method();
    let needs = needed(method, &route(&request));
    match state.shared.access.admit(needs, request.headers(), peer.0) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => *refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn with(secret: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {secret}").parse().unwrap())])
    }

    fn status(access: &Access, needs: Scope, headers: &HeaderMap, from: IpAddr) -> u16 {
        access.admit(Some(needs), headers, from).map_or_else(|refused| refused.status().as_u16(), |_| 200)
    }

    #[test]
    fn without_tokens_only_loopback_is_open() {
        let (none, limits) = (HeaderMap::new(), Limits::default());
        for (anonymous, read, act) in
            [(Anonymous::Everything, 200, 200), (Anonymous::Read, 200, 401), (Anonymous::Nothing, 401, 401)]
        {
            let access = Access::open(None, anonymous, &limits).unwrap();
            assert_eq!(status(&access, Scope::Read, &none, FAR), read, "{anonymous:?}");
            assert_eq!(status(&access, Scope::Act, &none, FAR), act, "{anonymous:?}");
            assert!(access.admit(None, &none, FAR).is_ok());
        }
    }

    #[test]
    fn a_token_opens_what_its_scopes_say_and_closes_the_rest_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let file = Tokens::of(dir.path());
        let (_, secret) = file.create("reader", &[Scope::Read], 0).unwrap();
        let access = Access::open(Some(dir.path()), Anonymous::Everything, &Limits::default()).unwrap();
        assert_eq!(status(&access, Scope::Read, &with(&secret), NEAR), 200);
        assert_eq!(status(&access, Scope::Act, &with(&secret), NEAR), 403);
        assert_eq!(status(&access, Scope::Read, &with("ftw_wrong"), NEAR), 401);
        assert_eq!(status(&access, Scope::Read, &HeaderMap::new(), NEAR), 401);
        file.revoke("reader").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert_eq!(status(&access, Scope::Read, &with(&secret), NEAR), 401);
        assert_eq!(status(&access, Scope::Read, &HeaderMap::new(), NEAR), 401, "the last token was revoked");
        let (_, secret) = file.create("another", &[Scope::Admin], 0).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert_eq!(status(&access, Scope::Act, &with(&secret), NEAR), 200);
    }

    #[test]
    fn whoever_asks_too_often_is_told_when_to_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let (_, secret) = Tokens::of(dir.path()).create("reader", &[Scope::Read], 0).unwrap();
        let limits =
            Limits { requests_per_s: 1.0, burst: 2.0, failures_per_minute: 3.0, ..Limits::default() };
        let access = Access::open(Some(dir.path()), Anonymous::Nothing, &limits).unwrap();
        let asked = |headers: &HeaderMap| status(&access, Scope::Read, headers, FAR);
        assert_eq!([(); 3].map(|()| asked(&with(&secret))), [200, 200, 429]);
        assert_eq!([(); 4].map(|()| asked(&with("ftw_wrong"))), [401, 401, 401, 429]);
        let refused = access.admit(None, &with(&secret), FAR).unwrap_err();
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn tokens_are_read_as_clients_send_them() {
        let read = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read("bearer  abc "), Some("abc".into()));
        assert_eq!(read("Token abc"), Some("abc".into()));
        assert_eq!((read("Basic abc"), read("abc")), (None, None));
    }
}
