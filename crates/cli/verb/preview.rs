//! `turno preview TASK|ISSUE`: the project's own server on the work of a task or an issue, until Ctrl-C. Without a subject,
//! the previews that run.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use turno_core::ids::TaskId;
use turno_engine::config::Confine;
use turno_engine::preview::{
    Answers, Error, Over, Preview, Removed, Wanted, clear_up, is_left_over, running, start,
};

use super::attach::site;
use super::diff::range;
use crate::args::{Preview as Verb, Subject};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

/// How much of one piece of a server's log is shown.
const SHOWN: usize = 1 << 20;

pub(crate) async fn run(scene: &Scene, verb: &Verb) -> Result<ExitCode, Failure> {
    let Some(subject) = verb.subject else {
        return list(scene, verb).await;
    };
    let state = Door::open(scene).await?.state().await?;
    let (issue, task, named) = match subject {
        Subject::Issue(id) => (id, TaskId::lead(id), id.to_string()),
        Subject::Task(id) => (id.issue, id, id.to_string()),
    };
    let (_, _, commit) = range(scene, &state, subject)?;
    let repo = state
        .issues
        .get(&issue)
        .map(|i| i.draft.repo.clone())
        .unwrap_or_default();
    let confine = if verb.no_sandbox {
        Confine::Never
    } else {
        Confine::Always
    };
    let site = site(scene, confine, None).await?;
    let Some(setup) = site.config.preview.clone() else {
        return Err(Failure::usage(
            "no preview is configured; set preview.dev in turno.toml, like dev = \"npm run dev -- --port $PORT\"",
        ));
    };
    // Whoever interrupts this interrupts nothing that cannot be done again.
    tell(&clear_up(&site).await);
    let wrong = |e: std::io::Error| Failure::cannot_start(format!("signals cannot be heard: {e}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(wrong)?;
    let mut term = signal(SignalKind::terminate()).map_err(wrong)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(wrong)?;
    let mut asked = std::pin::pin!(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = term.recv() => {}
            _ = hangup.recv() => {}
        }
    });
    print::note(&format!("checking out {} in a place of its own", commit.short()));
    let wanted = Wanted {
        subject: named,
        task,
        repo,
        commit,
    };
    let stop = CancellationToken::new();
    let mut begun = std::pin::pin!(start(&site, &setup, &wanted, &stop));
    let begun = tokio::select! {
        begun = &mut begun => begun,
        () = &mut asked => {
            print::note("it is being ended");
            stop.cancel();
            begun.await
        }
    };
    let mut preview = match begun {
        Ok(preview) => preview,
        Err(Error::Stopped) => {
            print::note("the preview is over before it was there");
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(Failure::cannot_start(error.to_string())),
    };
    let ended = if stop.is_cancelled() {
        Ok(End::Asked)
    } else {
        tokio::select! {
            ended = watch(&mut preview) => ended,
            () = &mut asked => Ok(End::Asked),
        }
    };
    let removed = preview.close().await;
    tell(&removed);
    match ended? {
        End::Asked if removed == Removed::default() => {
            print::note("the preview is over; nothing of it is left");
        }
        End::Asked => print::note("the preview is over"),
        End::Itself(Over::TimeUp) => {
            print::note(&format!(
                "the preview ran for {}, preview.stop_after; it is over",
                setup.stop_after
            ));
        }
        End::Itself(Over::Ended) => {
            return Err(Failure::new(
                crate::failure::Kind::NeedsPerson,
                format!("`{}` has ended by itself", setup.dev),
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How a preview came to its end.
enum End {
    /// The person has seen enough.
    Asked,
    /// Without being asked to.
    Itself(Over),
}

async fn watch(preview: &mut Preview<'_>) -> Result<End, Failure> {
    print::note(&format!("waiting for an answer at {}", preview.shown().url));
    let ready = preview.ready(log).await;
    ready.map_err(|e| Failure::new(crate::failure::Kind::NeedsPerson, print::harmless(&e.to_string())))?;
    print::data(&format!(
        "{} is at {}",
        preview.shown().subject,
        preview.shown().url
    ));
    print::note("its log follows; Ctrl-C ends it");
    Ok(End::Itself(preview.until_over(log).await))
}

fn log(text: &str) {
    for line in text.lines() {
        print::note(&print::plain(line, SHOWN));
    }
}

/// Tells what came of removing previews.
pub(super) fn tell(removed: &Removed) {
    for name in &removed.kept {
        let name = print::harmless(name);
        print::note(&format!("what was written in its worktree is kept: {name}"));
    }
    for note in &removed.stays {
        print::warning(&print::harmless(note));
    }
}

/// Removes what is left of previews that were killed. Where that cannot be done it is said.
pub(super) async fn clear_leftovers(scene: &Scene) {
    if !is_left_over(&scene.dirs) {
        return;
    }
    match site(scene, Confine::WherePossible, None).await {
        Ok(site) => tell(&clear_up(&site).await),
        Err(failure) => print::warning(&format!(
            "what is left of a preview that was killed is not removed: {failure}"
        )),
    }
}

async fn list(scene: &Scene, verb: &Verb) -> Result<ExitCode, Failure> {
    clear_leftovers(scene).await;
    let all = running(&scene.dirs);
    if verb.json {
        let text = serde_json::to_string_pretty(&all).map_err(|e| Failure::bug(e.to_string()))?;
        print::data(&text);
        return Ok(ExitCode::SUCCESS);
    }
    if all.is_empty() {
        print::note("no preview runs; `turno preview 1` starts one of issue 1");
    }
    for shown in all {
        let state = match shown.state {
            Answers::Starting => "starting",
            Answers::Ready => "ready",
        };
        print::data(&format!(
            "{} {} {} {state}",
            shown.subject,
            shown.commit.short(),
            shown.url
        ));
    }
    Ok(ExitCode::SUCCESS)
}
