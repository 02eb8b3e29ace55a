//! Owns the live events of one client. Its cursor is the number of the last record that it was given, and the journal
//! is the only source, so nothing is missed and nothing comes twice; the number is the event's id, with which a client
//! goes on after a break. It holds a bounded number of lines for each client and asks for more when those are sent.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::Event;
use futures_util::stream::{self, Stream};
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio_util::sync::CancellationToken;
use turno_core::ids::Seq;

use crate::mirror::{Coordinator, Mirror, Seen};
use crate::view::board::CoordinatorView;
use crate::view::event::{Line, LiveView};

/// So many lines are held for a client.
const AT_ONCE: usize = 64;

struct Client {
    mirror: Mirror,
    seen: watch::Receiver<Seen>,
    live: broadcast::Receiver<turno_engine::live::LiveLine>,
    stop: CancellationToken,
    at: Seq,
    waiting: VecDeque<Arc<Line>>,
    lost: Lost,
    coordinator: Coordinator,
    _place: OwnedSemaphorePermit,
}

/// Whether a client knows of more than there is: then it looked at another journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    No,
    Yes,
}

/// The events after a record, or from now on.
pub(crate) fn events(
    mirror: &Mirror,
    after: Option<Seq>,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + use<> {
    let seen = mirror.watch();
    let Seen {
        head, coordinator, ..
    } = seen.borrow().clone();
    let at = after.unwrap_or(head);
    let client = Client {
        mirror: mirror.clone(),
        live: mirror.live(),
        coordinator,
        seen,
        stop,
        at: at.min(head),
        waiting: VecDeque::new(),
        lost: if at > head { Lost::Yes } else { Lost::No },
        _place: place,
    };
    stream::unfold(client, |mut client| async move {
        let event = client.next().await?;
        Some((Ok(event), client))
    })
}

impl Client {
    async fn next(&mut self) -> Option<Event> {
        if self.lost == Lost::Yes {
            self.lost = Lost::No;
            return Some(Event::default().event("reset").id(self.at.to_string()).data("{}"));
        }
        loop {
            if let Some(line) = self.waiting.pop_front() {
                self.at = line.seq;
                return Some(
                    Event::default()
                        .event("record")
                        .id(line.seq.to_string())
                        .data(&line.json),
                );
            }
            let head = self.seen.borrow_and_update().head;
            if self.at < head {
                match self.mirror.lines(self.at, head, AT_ONCE).await {
                    Ok(lines) if !lines.is_empty() => self.waiting.extend(lines),
                    // The client comes again, with the number of the last record that it was given.
                    Ok(_) => return None,
                    Err(error) => {
                        tracing::warn!(%error, "a client's events cannot be read");
                        return None;
                    }
                }
                continue;
            }
            let coordinator = self.seen.borrow().coordinator.clone();
            if coordinator != self.coordinator {
                let view = CoordinatorView::from(&coordinator);
                self.coordinator = coordinator;
                let data = serde_json::to_string(&view).unwrap_or_default();
                return Some(Event::default().event("coordinator").data(data));
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                changed = self.seen.changed() => changed.ok()?,
                line = self.live.recv() => match line {
                    Ok(line) => return Some(Event::default().event("live").data(LiveView::json(&line))),
                    // It may lose lines; whoever wants all of them reads the transcript.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }
}
