//! A node on loopback answers only to names of loopback.
//!
//! A page from elsewhere can have its own name resolved to 127.0.0.1 and would then be of one origin with the node
//! (DNS rebinding). Its requests carry that name, while people and programs of this machine use an address or
//! `localhost`.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::{Request, State as Extract};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::State;
use crate::error::ApiError;

/// Refuses a request to a name that is not ours.
pub(crate) async fn ours(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let fine = !state.shared.loopback
        || request.headers().get_all(header::HOST).iter().all(|host| host.to_str().is_ok_and(is_local));
    if fine {
        return next.run(request).await;
    }
    ApiError::misdirected(
        "the node listens on loopback and answers to its address or localhost; a proxy in front of it must set Host \
         to one of them",
    )
    .into_response()
}

/// Whether a Host header is an address, `localhost` or nothing, with or without a port.
fn is_local(host: &str) -> bool {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_local() {
        for fine in ["", "localhost", "LOCALHOST:7878", "127.0.0.1", "127.0.0.1:7878", "[::1]:7878", "[::1]"]
        {
            assert!(is_local(fine), "{fine}");
        }
        for foreign in
            ["evil.example", "evil.example:7878", "localhost.evil.example:80", "127.0.0.1.evil", "[x]"]
        {
            assert!(!is_local(foreign), "{foreign}");
        }
    }
}
