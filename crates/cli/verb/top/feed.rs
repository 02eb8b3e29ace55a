//! Owns where the news come from: the coordinator's socket while there is one, the journal on the disk while there is
//! none. It holds no lock, so that it is in nobody's way. It shows nothing.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::Sender;
use turno_core::ids::Seq;
use turno_core::record::Record;
use turno_engine::live::LiveLine;
use turno_engine::socket::{Answer, Ask, Client};
use turno_engine::store::{Error as StoreError, Store};
use turno_engine::workspace::StateDir;

use super::frame::Source;
use crate::failure::Failure;

/// How often a workspace without a coordinator is looked at.
const PACE: Duration = Duration::from_millis(500);

/// Something new.
#[derive(Debug)]
pub(super) enum News {
    Record(Box<Record>),
    Doing(LiveLine),
    Source(Source),
    /// What keeps news from coming; nothing when they come again.
    Trouble(Option<String>),
}

/// All records that there are, and by which way they came.
pub(super) async fn all(dirs: &StateDir) -> Result<(Vec<Record>, Source), Failure> {
    let Ok(mut client) = Client::connect(&dirs.socket()).await else {
        return Ok((on_disk(&dirs.store(), Seq(0))?, Source::Still));
    };
    client.ask(&Ask::Records { after: Seq(0) }).await?;
    let mut records = Vec::new();
    while let Some(answer) = client.answer().await? {
        match answer {
            Answer::Record(record) => records.push(*record),
            Answer::Done => return Ok((records, Source::Live)),
            Answer::Failed(why) | Answer::Refused(why) => return Err(Failure::cannot_start(why)),
            Answer::State(_) | Answer::Taken(_) | Answer::Live(_) | Answer::Tool(_) | Answer::Pace(_) => {}
        }
    }
    // It ended meanwhile.
    Ok((on_disk(&dirs.store(), Seq(0))?, Source::Still))
}

/// The records after one. A workspace in which nothing was done has none.
fn on_disk(store: &Path, after: Seq) -> Result<Vec<Record>, Failure> {
    match Store::look(store) {
        Ok((_, reader)) => Ok(reader.after(after, usize::MAX)?),
        Err(StoreError::Absent { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Tells everything from the beginning, and goes on until nobody listens.
pub(super) async fn feed(dirs: StateDir, tell: Sender<News>) {
    let mut after = Seq(0);
    let mut seen = None;
    loop {
        if let Ok(client) = Client::connect(&dirs.socket()).await {
            let told = tell.send(News::Source(Source::Live)).await;
            if told.is_err() {
                return;
            }
            match follow(client, &mut after, &tell).await {
                Ok(()) => {}
                Err(Over::Nobody) => return,
                Err(Over::Trouble(why)) => drop(tell.send(News::Trouble(Some(why))).await),
            }
            drop(tell.send(News::Source(Source::Still)).await);
            seen = None;
        }
        let mark = mark(&dirs.store());
        if seen.as_ref() != Some(&mark) {
            let mut trouble = None;
            match on_disk(&dirs.store(), after) {
                Ok(records) => {
                    for record in records {
                        after = record.seq;
                        drop(tell.send(News::Record(Box::new(record))).await);
                    }
                    seen = Some(mark);
                }
                Err(failure) => trouble = Some(failure.to_string()),
            }
            drop(tell.send(News::Trouble(trouble)).await);
        }
        if tell.is_closed() {
            return;
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Why a coordinator is listened to no longer.
enum Over {
    Nobody,
    Trouble(String),
}

async fn follow(mut client: Client, after: &mut Seq, tell: &Sender<News>) -> Result<(), Over> {
    let trouble = |e: turno_engine::socket::Error| Over::Trouble(e.to_string());
    client
        .ask(&Ask::Follow { after: *after })
        .await
        .map_err(trouble)?;
    while let Some(answer) = client.answer().await.map_err(trouble)? {
        let news = match answer {
            Answer::Record(record) => {
                *after = record.seq;
                News::Record(record)
            }
            Answer::Live(line) => News::Doing(line),
            Answer::Failed(why) | Answer::Refused(why) => return Err(Over::Trouble(why)),
            Answer::State(_) | Answer::Taken(_) | Answer::Done | Answer::Tool(_) | Answer::Pace(_) => {
                continue;
            }
        };
        tell.send(news).await.map_err(|_| Over::Nobody)?;
    }
    Ok(())
}

/// What changes when anything is written below a directory: how long its files are, and since when.
fn mark(dir: &Path) -> Vec<(u64, Option<SystemTime>)> {
    let mut marks = Vec::new();
    let mut places = vec![dir.to_owned()];
    while let Some(place) = places.pop() {
        let entries = std::fs::read_dir(&place);
        for entry in entries.into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => places.push(entry.path()),
                Ok(found) => marks.push((found.len(), found.modified().ok())),
                Err(_) => marks.push((0, None)),
            }
        }
    }
    marks.sort();
    marks
}
