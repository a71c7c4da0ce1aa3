//! Server-sent events: scores and probabilities as they are made.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::State as Extract;
use axum::response::sse::{self, KeepAlive, Sse};
use foretwin_engine::Event;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;

use crate::State;
use crate::extract::Asked;

/// Events that wait for a slow reader before it is cut off; it reconnects by itself and misses only the past.
const BUFFER: usize = 4096;

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    instance: Option<String>,
}

/// `GET /api/v1/stream[?instance=ID]`
pub(crate) async fn stream(
    Extract(state): Extract<State>,
    Asked(filter): Asked<Filter>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let (sender, receiver) = mpsc::channel(BUFFER);
    state.handle.subscribe(Box::new(move |event: &Arc<Event>| {
        let wanted = filter.instance.as_deref().is_none_or(|id| event.concerns(id));
        if wanted { sender.try_send(event.clone()).is_ok() } else { !sender.is_closed() }
    }));
    let events = Live { receiver, ending: Box::pin(ended(state.ending)) };
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10)))
}

async fn ended(mut ending: watch::Receiver<bool>) {
    // An error means that the server is gone, which is an end too.
    let _ = ending.wait_for(|&ended| ended).await;
}

/// Events until the server stops or the reader falls behind.
struct Live {
    receiver: mpsc::Receiver<Arc<Event>>,
    ending: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Stream for Live {
    type Item = Result<sse::Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ending.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(context).map(|next| {
            let event = next?;
            let data = serde_json::to_string(&*event).ok()?;
            Some(Ok(sse::Event::default().event(event.name()).data(data)))
        })
    }
}
