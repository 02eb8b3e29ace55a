//! `turno lessons`: what earlier work taught. A lesson that an agent proposed is given to nobody until a person keeps
//! it.

use std::process::ExitCode;

use turno_core::admit::Refused;
use turno_core::event::Event;
use turno_core::lesson::{Lesson, LessonEdit, LessonStage, Taught};
use turno_core::outcome::LessonDraft;

use crate::args::Lessons;
use crate::door::Door;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Lessons) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    match verb {
        Lessons::List { all, json } => list(&mut door, all, json).await?,
        Lessons::Add {
            text,
            paths,
            evidence,
            repo,
        } => {
            let draft = LessonDraft {
                text,
                paths,
                evidence,
            };
            let repo = repo.unwrap_or_default();
            door.take(Event::LessonAdded { repo, draft }).await?;
            if let Some(lesson) = door.state().await?.lessons.values().next_back() {
                print::data(&format!("lesson {}", lesson.id));
            }
        }
        Lessons::Keep { lesson } => {
            let edit = LessonEdit::Keep;
            door.take(Event::LessonEdited { lesson, edit }).await?;
            print::data(&format!("lesson {lesson} is kept"));
        }
        Lessons::Remove { lesson } => {
            let edit = LessonEdit::Remove;
            door.take(Event::LessonEdited { lesson, edit }).await?;
            print::data(&format!("lesson {lesson} is removed"));
        }
        Lessons::Edit { lesson, text, paths } => {
            let state = door.state().await?;
            let known = state.lessons.get(&lesson).ok_or(Refused::NoSuchLesson(lesson))?;
            let old = known.draft.clone();
            let draft = LessonDraft {
                text: text.unwrap_or(old.text),
                paths: if paths.is_empty() { old.paths } else { paths },
                evidence: old.evidence,
            };
            let edit = LessonEdit::Reword(draft);
            door.take(Event::LessonEdited { lesson, edit }).await?;
            print::data(&format!("lesson {lesson} is changed and kept"));
        }
    }
    Ok(ExitCode::from(exit::OK))
}

async fn list(door: &mut Door, all: bool, json: bool) -> Result<(), Failure> {
    let state = door.state().await?;
    let shown: Vec<&Lesson> = state
        .lessons
        .values()
        .map(|l| &**l)
        .filter(|l| all || l.stage != LessonStage::Removed)
        .collect();
    if json {
        return print::json(&shown);
    }
    if shown.is_empty() {
        print::note("no lessons yet; reviews and repairs propose them, `turno lessons add` writes one");
    }
    for lesson in shown {
        let by = match &lesson.taught {
            Taught::ByPerson => "a person".to_owned(),
            Taught::ByAgent(actor) => format!("{} in {}", actor.persona, actor.attempt),
        };
        let stage = match lesson.stage {
            LessonStage::Proposed => "proposed; `turno lessons keep` gives it to later work",
            LessonStage::Kept => "kept",
            LessonStage::Removed => "removed",
        };
        let text = print::plain(&lesson.draft.text, 400);
        let paths = print::plain(&lesson.draft.paths.join(", "), 200);
        print::data(&format!("{}  {text}", lesson.id));
        print::data(&format!("    about {paths}; by {by}; {stage}"));
        if !lesson.draft.evidence.is_empty() {
            print::data(&format!(
                "    seen: {}",
                print::plain(&lesson.draft.evidence, 200)
            ));
        }
    }
    Ok(())
}
