//! `turno top`: everything at a glance, live, with the keys to answer and to stop. It is told the news, shows them,
//! and passes on what a person asks for; it decides nothing.

mod above;
mod draw;
mod feed;
mod frame;
mod paint;
mod papers;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod ui;

use std::future::Future;
use std::io::IsTerminal;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use crossterm::event::{Event as Input, EventStream, KeyEventKind};
use futures_util::StreamExt;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::Instant;
use turno_core::event::{Event, StopHow};
use turno_core::ids::DecisionId;
use turno_engine::run::now;

use self::feed::News;
use self::frame::{Frame, Heard, Source, Tone};
use self::paint::Paint;
use self::terminal::Taken;
use self::ui::{Above, Paper, Ui, Wish};
use crate::args::{Size, Top};
use crate::door::Door;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::verb::answer::give;

/// News are shown no sooner after the ones before.
const PAUSE: Duration = Duration::from_millis(100);
/// Without news the clocks go on.
const CLOCK: Duration = Duration::from_secs(1);

pub(crate) async fn run(scene: &Scene, verb: &Top) -> Result<ExitCode, Failure> {
    let paint = Paint::of(scene.env.get("NO_COLOR").map(String::as_str));
    if verb.once {
        return once(scene, verb.size).await;
    }
    let dumb = scene.env.get("TERM").is_none_or(|t| t == "dumb" || t.is_empty());
    if dumb || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "`turno top` needs a terminal; `turno top --once` prints the same as text, `turno status` says it in lines",
        ));
    }
    watch(scene, paint).await
}

/// One frame as text.
async fn once(scene: &Scene, size: Size) -> Result<ExitCode, Failure> {
    let mut heard = Heard::nothing();
    let (records, source) = feed::all(&scene.dirs).await?;
    records.iter().for_each(|record| heard.record(record));
    heard.source = source;
    let area = Rect::new(0, 0, size.columns, size.lines);
    let mut buffer = Buffer::empty(area);
    let shown = frame::frame(&heard, now());
    draw::draw(&shown, &mut Ui::new(), Paint::NoColours, area, &mut buffer);
    for row in text_of(&buffer) {
        print::data(&row);
    }
    Ok(ExitCode::SUCCESS)
}

/// The rows of a buffer as a terminal shows them.
fn text_of(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let row = |y| {
        let mut text = String::new();
        let mut x = area.x;
        while x < area.right() {
            let symbol = buffer.cell((x, y)).map_or(" ", |cell| cell.symbol());
            text.push_str(symbol);
            // A wide character covers the cell after its own.
            x += u16::try_from(text::width(symbol).max(1)).unwrap_or(1);
        }
        text.trim_end().to_owned()
    };
    (area.y..area.bottom()).map(row).collect()
}

/// What an errand comes to.
enum Brought {
    Paper(Paper),
    Word(String, Tone),
}

type Errand<'a> = Pin<Box<dyn Future<Output = Result<Brought, Failure>> + 'a>>;

/// What ends a program from outside.
struct Ends {
    signals: [Signal; 3],
}

impl Ends {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            signals: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::interrupt())?,
            ],
        })
    }

    async fn come(&mut self) {
        let [terminate, hangup, interrupt] = &mut self.signals;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

async fn watch(scene: &Scene, paint: Paint) -> Result<ExitCode, Failure> {
    let mut ends = Ends::new()?;
    let (tell, mut news) = channel(1024);
    let feeding = tokio::spawn(feed::feed(scene.dirs.clone(), tell));
    let mut taken = Taken::take()?;
    let mut keys = EventStream::new();
    let (mut heard, mut ui) = (Heard::nothing(), Ui::new());
    let mut shown = frame::frame(&heard, now());
    let mut errand: Option<Errand<'_>> = None;
    let mut due = Instant::now();
    let code = loop {
        tokio::select! {
            biased;
            () = ends.come() => break exit::INTERRUPTED,
            input = keys.next() => {
                let wish = match input {
                    // The terminal is gone.
                    None | Some(Err(_)) => break exit::INTERRUPTED,
                    Some(Ok(Input::Key(key))) if key.kind != KeyEventKind::Release => ui.key(key, &shown),
                    Some(Ok(Input::Paste(text))) => {
                        ui.paste(&text);
                        Wish::Nothing
                    }
                    Some(Ok(_)) => Wish::Nothing,
                };
                match wish {
                    Wish::Nothing => {}
                    Wish::Quit => break exit::OK,
                    wish if errand.is_some() => {
                        tracing::debug!(?wish, "one thing at a time");
                        ui.notice = Some(("one thing at a time: what was asked for is being done".to_owned(), Tone::Plain));
                    }
                    wish => errand = run_errand(scene, &heard, wish),
                }
                due = Instant::now();
            }
            brought = done(&mut errand) => {
                errand = None;
                match brought {
                    Ok(Brought::Paper(paper)) => ui.above = Above::Paper(paper),
                    Ok(Brought::Word(words, tone)) => ui.notice = Some((words, tone)),
                    Err(failure) => ui.notice = Some((text::clean(&failure.to_string(), 400), Tone::Bad)),
                }
                // Whoever ran it may have said something beside the screen.
                let size = taken.terminal.size()?;
                taken.terminal.resize(Rect::new(0, 0, size.width, size.height))?;
                due = Instant::now();
            }
            // Before the news: those that never end would keep everything else from being shown.
            () = tokio::time::sleep_until(due) => {
                shown = frame::frame(&heard, now());
                draw_now(&mut taken, &shown, &mut ui, paint)?;
                due = Instant::now() + CLOCK;
            }
            some = news.recv() => match some {
                Some(some) => {
                    hear(&mut heard, some, &mut news);
                    due = due.min(Instant::now() + PAUSE);
                }
                None => return Err(Failure::bug("nobody listens to the news any more")),
            },
        }
    };
    drop(taken);
    feeding.abort();
    Ok(ExitCode::from(code))
}

/// Takes in what has come, as much as there is already.
fn hear(heard: &mut Heard, first: News, more: &mut Receiver<News>) {
    let mut next = Some(first);
    let mut taken = 0;
    while let Some(news) = next.take() {
        match news {
            News::Record(record) => heard.record(&record),
            News::Doing(line) => heard.line(&line),
            News::Source(source) => heard.source = source,
            News::Trouble(trouble) => heard.trouble = trouble,
        }
        taken += 1;
        // Keys are heard in between.
        if taken < 512 {
            next = more.try_recv().ok();
        }
    }
}

fn draw_now(taken: &mut Taken, shown: &Frame, ui: &mut Ui, paint: Paint) -> std::io::Result<()> {
    let drawn = taken.terminal.draw(|onto| {
        let area = onto.area();
        draw::draw(shown, ui, paint, area, onto.buffer_mut());
    });
    drawn.map(drop)
}

/// The end of what is being done; it never comes while nothing is.
async fn done(errand: &mut Option<Errand<'_>>) -> Result<Brought, Failure> {
    match errand {
        Some(errand) => errand.await,
        None => std::future::pending().await,
    }
}

/// Begins what a key asks for.
fn run_errand<'a>(scene: &'a Scene, heard: &Heard, wish: Wish) -> Option<Errand<'a>> {
    let state = heard.state.clone();
    let source = heard.source;
    Some(match wish {
        Wish::Nothing | Wish::Quit => return None,
        Wish::Explain(subject) => Box::pin(async move {
            papers::explained(scene, &state, subject)
                .await
                .map(Brought::Paper)
        }),
        Wish::Diff(subject) => {
            Box::pin(async move { papers::changed(scene, &state, subject).map(Brought::Paper) })
        }
        Wish::Answer { decision, words } => Box::pin(answer(scene, decision, words)),
        Wish::Stop(how) => Box::pin(async move {
            match source {
                Source::Live => stop(scene, how).await,
                Source::Still => Ok(Brought::Word(
                    "nothing runs here. If a coordinator died, `turno stop` ends its shift".to_owned(),
                    Tone::Plain,
                )),
            }
        }),
    })
}

async fn answer(scene: &Scene, id: DecisionId, words: String) -> Result<Brought, Failure> {
    let given = give(&mut Door::open(scene).await?, id, &words).await?;
    let said = text::clean(&given.answer, 100);
    let next = given.next.map(|next| format!("; {next}")).unwrap_or_default();
    Ok(Brought::Word(
        format!("{id} is answered: {said}{next}"),
        Tone::Good,
    ))
}

async fn stop(scene: &Scene, how: StopHow) -> Result<Brought, Failure> {
    let mut door = Door::open(scene).await?;
    door.take(Event::StopAsked { how }).await?;
    let words = match how {
        StopHow::Drain => "asked: nothing new is started, what runs may finish",
        StopHow::Now => "asked: what runs is stopped and its work kept",
    };
    Ok(Brought::Word(words.to_owned(), Tone::Attention))
}
