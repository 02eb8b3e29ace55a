//! `turno salvage`: lists, shows and writes out what was found and kept. None of it changes anything but the
//! directory that it is written to.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use turno_core::ids::{CommitId, RepoName};
use turno_core::units::Timestamp;
use turno_engine::config::Overrides;
use turno_engine::git::{DiffText, Extent, Repo};
use turno_engine::repos::Repos;
use turno_engine::salvage::{self, Found, Held, Item, ItemKind, LeftWhy, Strange};

use crate::args::Salvage;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

const SHOWN: usize = 64 << 20;

pub(crate) fn run(scene: &Scene, verb: &Salvage) -> Result<ExitCode, Failure> {
    let config = scene.config(&Overrides::default())?;
    let repos = scene.repos(&config)?;
    let found = salvage::find(&repos, &scene.dirs)?;
    match verb {
        Salvage::List { json } => list(&repos, &found, *json),
        Salvage::Show { name, stat } => show(&repos, &found, name, *stat),
        Salvage::Restore { name, to, whole } => {
            let extent = if *whole { Extent::Whole } else { Extent::Changes };
            let to = match to {
                Some(to) => to.clone(),
                None => format!("turno-salvage-{}", name.replace(['/', ':'], "-")).into(),
            };
            restore(&repos, &found, name, extent, &to)
        }
    }
}

/// One piece of salvage as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    name: String,
    repo: &'a RepoName,
    at: Timestamp,
    from: &'a str,
    #[serde(flatten)]
    held: HeldAs<'a>,
    files: usize,
    bytes: u64,
}

#[derive(Serialize)]
#[serde(tag = "held", rename_all = "kebab-case")]
enum HeldAs<'a> {
    Commit { commit: &'a CommitId, subject: &'a str },
    Aside { path: &'a Path },
}

impl<'a> Listed<'a> {
    fn of(repos: &Repos, one: &'a salvage::Salvage) -> Result<Self, Failure> {
        let items = salvage::items(repo_of(repos, one)?, one, Extent::Changes)?;
        Ok(Self {
            name: one.name(),
            repo: &one.repo,
            at: one.at,
            from: &one.from,
            held: match &one.held {
                Held::Commit { commit, subject } => HeldAs::Commit { commit, subject },
                Held::Aside { path } => HeldAs::Aside { path },
            },
            files: items.len(),
            bytes: items.iter().map(|i| i.bytes).sum(),
        })
    }
}

fn repo_of<'r>(repos: &'r Repos, one: &salvage::Salvage) -> Result<&'r Repo, Failure> {
    repos
        .get(&one.repo)
        .ok_or_else(|| Failure::bug("salvage of a repository that is not there"))
}

fn list(repos: &Repos, found: &Found, json: bool) -> Result<ExitCode, Failure> {
    let listed: Result<Vec<Listed<'_>>, Failure> =
        found.kept.iter().map(|one| Listed::of(repos, one)).collect();
    let listed = listed?;
    if json {
        print::json(&listed)?;
        return Ok(ExitCode::SUCCESS);
    }
    if listed.is_empty() {
        print::note("nothing was salvaged");
    }
    for one in listed {
        let (files, size) = (one.files, print::size(one.bytes));
        let says = match &one.held {
            HeldAs::Commit { subject, .. } => print::plain(subject, 80),
            HeldAs::Aside { .. } => "files that git could not hold".to_owned(),
        };
        print::data(&format!(
            "{}  {}  {files} file(s), {size}  {}",
            one.name,
            print::moment(one.at),
            print::dim(&says)
        ));
    }
    tell_strange(found);
    Ok(ExitCode::SUCCESS)
}

fn tell_strange(found: &Found) {
    for one in &found.strange {
        let what = match one {
            Strange::Ref(_, name) => print::name(Path::new(name)),
            Strange::Path(path) => print::name(path),
        };
        print::note(&format!("{what} is not Turno's; it is left alone"));
    }
}

fn named<'f>(found: &'f Found, name: &str) -> Result<&'f salvage::Salvage, Failure> {
    let given = name.strip_prefix("refs/turno/salvage/").unwrap_or(name);
    found.kept.iter().find(|s| s.name() == given).ok_or_else(|| {
        Failure::usage(format!(
            "there is no salvage `{name}`; `turno salvage list` names all there is"
        ))
    })
}

fn line(item: &Item) -> String {
    let what = match item.kind {
        ItemKind::File => print::size(item.bytes),
        ItemKind::Link => "link".to_owned(),
        ItemKind::Removed => "removed".to_owned(),
        ItemKind::Closed => "closed".to_owned(),
        ItemKind::Other => "no file".to_owned(),
    };
    format!("{what:>12}  {}", print::name(&item.path))
}

fn show(repos: &Repos, found: &Found, name: &str, stat: bool) -> Result<ExitCode, Failure> {
    let one = named(found, name)?;
    let repo = repo_of(repos, one)?;
    print::data(&print::bold(&format!(
        "{}, found in {} at {}",
        one.name(),
        one.from,
        print::moment(one.at)
    )));
    let items = salvage::items(repo, one, Extent::Changes)?;
    for item in &items {
        print::data(&line(item));
    }
    match &one.held {
        Held::Aside { path } => print::note(&format!("they are in {}", print::name(path))),
        Held::Commit { .. } if stat => {}
        Held::Commit { commit, .. } => match repo.kept_text(commit, SHOWN)? {
            DiffText::Whole(text) => print::data(&format!("\n{}", print::harmless(text.trim_end()))),
            DiffText::Shortened { text, bytes } => {
                print::data(&format!("\n{}", print::harmless(&text)));
                print::warning(&format!(
                    "the diff has {bytes} bytes and is not shown whole: git show {commit}"
                ));
            }
        },
    }
    print::note(&format!(
        "`turno salvage restore {}` writes the files into a new directory",
        one.name()
    ));
    Ok(ExitCode::SUCCESS)
}

fn restore(repos: &Repos, found: &Found, name: &str, extent: Extent, to: &Path) -> Result<ExitCode, Failure> {
    let one = named(found, name)?;
    let done = salvage::restore(repo_of(repos, one)?, one, extent, to)?;
    for item in &done.written {
        print::data(&print::name(&to.join(&item.path)));
    }
    for (path, why) in &done.left_out {
        print::warning(&format!("{} is not written: {why}", print::name(path)));
    }
    print::note(&format!(
        "{} file(s) of {} are in {}; your checkout is as it was",
        done.written.len(),
        one.name(),
        print::name(to)
    ));
    let failed = |why: &LeftWhy| matches!(why, LeftWhy::Failed(_) | LeftWhy::Elsewhere);
    Ok(ExitCode::from(
        if done.left_out.iter().any(|(_, why)| failed(why)) {
            exit::NEEDS_PERSON
        } else {
            exit::OK
        },
    ))
}
