//! The listener: so many connections at most, so many of one address, each with bounds on time and size.

mod stall;
mod tls;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

use crate::access::Peer;
use crate::config::Limits;
use stall::Stalling;
pub(crate) use tls::Keys;

/// Most bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// Requests under way on one connection of HTTP/2.
const STREAMS: u32 = 64;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause when no connection can be accepted, mostly for want of descriptors.
const REST: Duration = Duration::from_millis(500);

/// What is behind a listener.
pub(crate) struct Front {
    pub(crate) router: Router,
    pub(crate) keys: Option<Arc<Keys>>,
    pub(crate) limits: Limits,
}

/// Accepts until `stop` is done, then lets requests under way finish.
pub(crate) async fn listen(listener: TcpListener, front: Front, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let seats = Arc::new(Seats::new(&front.limits));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("no connection can be accepted: {error}");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        // A connection too many is closed: to let it wait would tell its client nothing.
        let Some(seat) = seats.take(peer.ip().to_canonical()) else { continue };
        let connection = Connection { seat, router: front.router.clone(), limits: front.limits.clone() };
        tokio::spawn(connection.accept(stream, front.keys.clone(), graceful.watcher()));
    }
    drop(listener);
    graceful.shutdown().await;
}

/// A connection that has a seat.
struct Connection {
    seat: Seat,
    router: Router,
    limits: Limits,
}

impl Connection {
    async fn accept(self, stream: TcpStream, keys: Option<Arc<Keys>>, watcher: Watcher) {
        // Answers are whole; waiting for more of them would only delay.
        let _ = stream.set_nodelay(true);
        let Some(keys) = keys else { return self.serve(stream, watcher).await };
        // Whoever does not speak TLS is no client of ours.
        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, keys.acceptor().accept(stream)).await {
            self.serve(stream, watcher).await;
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, watcher: Watcher) {
        let (router, peer) = (self.router, Peer(self.seat.address));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            answer(router.clone(), request)
        });
        let head = Duration::from_secs_f64(self.limits.head_s);
        let stream = Stalling::new(stream, head, Duration::from_secs_f64(self.limits.stall_s));
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(HEAD_BYTES);
        // Senders of OpenTelemetry speak it, with and without TLS.
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEAD_BYTES as u32)
            .keep_alive_interval(head)
            .keep_alive_timeout(head);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        // How a connection ended is its client's business.
        let _ = watcher.watch(connection).await;
        drop(self.seat);
    }
}

async fn answer(mut router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    router.call(request).await
}

/// How many connections there are, in all and by address.
struct Seats {
    most: usize,
    most_each: usize,
    taken: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

/// The right to a connection, given back when dropped.
struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    fn new(limits: &Limits) -> Self {
        Self { most: limits.connections, most_each: limits.connections_each, taken: Mutex::default() }
    }

    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *taken;
        let own = each.get(&address).copied().unwrap_or(0);
        // Behind a proxy everybody comes from loopback.
        if *all >= self.most || (own >= self.most_each && !address.is_loopback()) {
            return None;
        }
        *all += 1;
        each.insert(address, own + 1);
        Some(Seat { seats: self.clone(), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *taken;
        *all -= 1;
        if let Some(own) = each.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                each.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_in_all_and_by_address_and_come_back() {
        let limits = Limits { connections: 5, connections_each: 2, ..Limits::default() };
        let seats = Arc::new(Seats::new(&limits));
        let far: IpAddr = "192.0.2.1".parse().unwrap();
        let near: IpAddr = "127.0.0.1".parse().unwrap();
        let mut held: Vec<Seat> = (0..2).map(|_| seats.take(far).unwrap()).collect();
        assert!(seats.take(far).is_none());
        held.extend((0..3).map(|_| seats.take(near).unwrap()));
        assert!(seats.take(near).is_none());
        held.clear();
        assert_eq!(*seats.taken.lock().unwrap(), (0, HashMap::new()));
    }
}
