//! `turno batch`: one template over many items, in groups, in one or several repositories. Each repository gets one
//! issue, and with it one integration branch; each item is a task of it.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use turno_core::admit::admit;
use turno_core::event::Event;
use turno_core::ids::{IssueId, RepoName};
use turno_core::issue::{IssueDraft, IssueStage, Item, Items, Split};
use turno_core::{State, globs};
use turno_engine::config::Loaded;
use turno_engine::prompt::Template;

use super::run::{Wanted, file, prepare, shift};
use crate::args::{Batch, BatchItems};
use crate::door::Door;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

/// More are no batch but a mistake in a glob.
const MOST: usize = 5000;

pub(crate) async fn run(scene: &Scene, verb: Batch) -> Result<ExitCode, Failure> {
    let (config, show) = prepare(scene, &verb.shift, Some("batch"))?;
    let text = read(&verb.template)?;
    let template = Written::of(&verb.template, &text, &verb.acceptance)?;
    let repos = if verb.repos.is_empty() {
        vec![RepoName::default()]
    } else {
        verb.repos.clone()
    };
    let state = Door::open(scene).await?.state().await?;
    let mut drafts = Vec::new();
    let mut sources = Vec::new();
    for repo in repos {
        let found = found(scene, &config, &state, &verb.items, &repo)?;
        if found.is_empty() {
            print::warning(&format!("no items in repository {repo}"));
            continue;
        }
        let mut items = Vec::new();
        for (at, one) in found.iter().enumerate() {
            items.push(template.item(one, at + 1, &repo)?);
        }
        sources.push(found.iter().filter_map(|f| f.issue).collect());
        drafts.push(IssueDraft {
            title: format!("{} items: {}", items.len(), template.shown()),
            body: text.clone(),
            repo,
            split: Split::Items(Items {
                items,
                group: verb.group,
                trial: verb.trial,
            }),
            ..IssueDraft::default()
        });
    }
    if drafts.is_empty() {
        return Err(Failure::usage("there are no items, so there is nothing to do"));
    }
    if verb.dry_run {
        show_items(&drafts);
        return Ok(ExitCode::from(exit::OK));
    }
    let issues = file(scene, drafts).await?;
    close_sources(scene, &issues, &sources).await?;
    shift(scene, config, Wanted::listed(issues), show).await
}

/// Closes the issues that became items, so that no other shift works on them again. One that others need stays: what
/// needs a closed issue waits for ever.
async fn close_sources(scene: &Scene, batches: &[IssueId], sources: &[Vec<IssueId>]) -> Result<(), Failure> {
    let mut door = Door::open(scene).await?;
    let state = door.state().await?;
    for (batch, sources) in batches.iter().zip(sources) {
        for source in sources {
            let needed = state.issues.values().find(|i| i.draft.needs.contains(source));
            if let Some(needed) = needed {
                print::warning(&format!(
                    "issue {source} became an item of issue {batch} and stays open, because issue {} needs it; close it \
                     when its item has landed",
                    needed.id
                ));
                continue;
            }
            let event = Event::IssueClosed {
                issue: *source,
                why: format!("it became an item of issue {batch}"),
            };
            admit(&state, &event)?;
            door.take(event).await?;
        }
    }
    Ok(())
}

fn show_items(drafts: &[IssueDraft]) {
    for draft in drafts {
        let Split::Items(items) = &draft.split else {
            continue;
        };
        print::data(&format!(
            "{}: {} item(s), groups of {}",
            draft.repo,
            items.items.len(),
            items.group
        ));
        for item in &items.items {
            print::data(&format!("  {}", print::plain(&item.title, 120)));
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |e: std::io::Error| Failure::usage(format!("{} cannot be read: {e}", path.display()));
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(wrong)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(wrong)
}

/// One thing of a batch: what it is called, and the paths it may write where that is known.
struct Found {
    item: String,
    touches: Vec<String>,
    /// The issue that it was filed as.
    issue: Option<IssueId>,
}

fn found(
    scene: &Scene,
    config: &Loaded,
    state: &State,
    from: &BatchItems,
    repo: &RepoName,
) -> Result<Vec<Found>, Failure> {
    let found: Vec<Found> = if let Some(label) = &from.issues {
        state
            .issues
            .values()
            .filter(|i| {
                i.stage == IssueStage::Backlog && i.draft.repo == *repo && i.draft.labels.contains(label)
            })
            .map(|i| Found {
                item: format!("{}\n\n{}", i.draft.title, i.draft.body).trim().to_owned(),
                touches: Vec::new(),
                issue: Some(i.id),
            })
            .collect()
    } else if let Some(path) = &from.items_from {
        let text = read(path)?;
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        lines
            .map(|l| Found {
                item: l.to_owned(),
                touches: Vec::new(),
                issue: None,
            })
            .collect()
    } else {
        for glob in &from.globs {
            globs::check(glob).map_err(|why| Failure::usage(format!("--items: {why}")))?;
        }
        let files = scene.repo_named(config, repo)?.files_at_head()?;
        let wanted = files.into_iter().filter(|f| globs::matches(&from.globs, f));
        wanted
            .map(|f| Found {
                touches: vec![f.clone()],
                item: f,
                issue: None,
            })
            .collect()
    };
    if found.len() > MOST {
        return Err(Failure::usage(format!(
            "{} items are more than a batch may have ({MOST}); make the glob narrower",
            found.len()
        )));
    }
    Ok(found)
}

/// A template as it was written.
struct Written {
    title: String,
    brief: String,
    acceptance: Vec<String>,
}

impl Written {
    fn of(path: &Path, text: &str, acceptance: &[String]) -> Result<Self, Failure> {
        let (title, brief) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
        let title = title.trim_start_matches('#').trim();
        if title.is_empty() {
            return Err(Failure::usage(format!(
                "{} is empty; its first line is the title of each task, the rest what is to be done",
                path.display()
            )));
        }
        Ok(Self {
            title: title.to_owned(),
            brief: brief.trim().to_owned(),
            acceptance: acceptance.to_vec(),
        })
    }

    /// The title with a dot for each place that is filled in.
    fn shown(&self) -> String {
        let mut shown = String::new();
        let mut rest = self.title.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            shown.push_str(before);
            shown.push('\u{2026}');
            rest = after.split_once("}}").map_or("", |(_, after)| after);
        }
        shown + rest
    }

    fn item(&self, found: &Found, number: usize, repo: &RepoName) -> Result<Item, Failure> {
        let first = found.item.lines().next().unwrap_or_default();
        let name = Path::new(first)
            .file_stem()
            .map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        let number = number.to_string();
        let values = [
            ("item", found.item.as_str()),
            ("name", &name),
            ("number", &number),
            ("repo", repo.as_str()),
        ];
        let fill = |text: &str| {
            Template::fill(text, &values)
                .map_err(|why| Failure::usage(format!("the template is wrong: {why}")))
        };
        let title = fill(&self.title)?;
        let brief = fill(&self.brief)?;
        let brief = if brief.trim().is_empty() {
            format!("{title}\n\nThe item: {}", found.item)
        } else {
            brief
        };
        Ok(Item {
            title: title.lines().next().unwrap_or_default().to_owned(),
            brief,
            acceptance: self
                .acceptance
                .iter()
                .map(|a| fill(a))
                .collect::<Result<_, _>>()?,
            touches: found.touches.clone(),
        })
    }
}
