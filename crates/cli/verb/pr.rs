//! `turno pr ISSUE`: pushes what has landed under a name of its own, and opens or updates a pull request. The only verb
//! that speaks to a remote. What was pushed is recorded before and after, so that nothing is opened twice.

use std::process::ExitCode;
use std::time::Duration;

use turno_core::State;
use turno_core::admit::{Refused, admit};
use turno_core::event::Event;
use turno_core::following::Following;
use turno_core::ids::{CommitId, IssueId};
use turno_core::promotion::{Assurance, Sameness, assurance};
use turno_core::pull::{PullRequest, Pushed, Told, branch_name};
use turno_engine::config::{EnvMap, Overrides, PullRequests};
use turno_engine::crash_point::{self, Deed, Moment};
use turno_engine::git::{Found, HeadAt, Reach, Repo, There, TurnoRef, Upstream};
use turno_engine::pull::{self, Address, BODY, Forge, Means, Wanted};
use turno_engine::redact::Redaction;
use turno_engine::secret::{Secret, is_named_like_one};

use crate::args::Pr;
use crate::door::Door;
use crate::failure::{Failure, Kind};
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: &Pr) -> Result<ExitCode, Failure> {
    match pull_request(scene, verb).await? {
        Came::Planned(plan) => {
            for line in plan.lines() {
                print::data(&print::plain(&line, 300));
            }
            print::data("");
            print::data(&plan.body);
        }
        Came::There { request, words } => {
            for line in words.lines() {
                print::note(&format!(
                    "{} says: {}",
                    request.pushed.remote,
                    print::plain(line, 300)
                ));
            }
            print::data(&print::plain(&request.phrase(), 600));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What came of a wish for a pull request.
pub(super) enum Came {
    /// Nothing yet: this would be done.
    Planned(Box<Plan>),
    /// It is there.
    There {
        request: PullRequest,
        /// What the remote said when it was pushed.
        words: String,
    },
}

/// What would be done.
pub(super) struct Plan {
    pub(super) pushed: Pushed,
    pub(super) there: Move,
    pub(super) assurance: Assurance,
    pub(super) commits: Option<usize>,
    pub(super) forge: Forge,
    /// The repository behind the remote, if its address names one.
    pub(super) at: Option<Address>,
    pub(super) title: String,
    pub(super) body: String,
}

/// What becomes of the branch on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// It is there as it should be.
    Nothing,
    /// It is made, or brought forward from where it was seen.
    From(There),
}

impl Plan {
    /// It in lines, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let Pushed {
            remote,
            branch,
            base,
            head,
        } = &self.pushed;
        let what = match &self.there {
            Move::Nothing => format!("{branch} is on {remote} already, at {}", head.short()),
            Move::From(There::Absent) => format!("{branch} would be made on {remote}, at {}", head.short()),
            Move::From(There::At(at)) => {
                format!(
                    "{branch} on {remote} would be brought from {} to {}",
                    at.short(),
                    head.short()
                )
            }
        };
        let commits = self.commits.map_or_else(String::new, |n| {
            format!(", with {n} commit(s) that {base} has not")
        });
        let mut lines = vec![format!("{what}{commits}")];
        lines.push(match &self.forge {
            Forge::Nobody => format!(
                "no pull request would be opened: neither gh nor glab is logged in where {remote} is, and \
                 pull_request.command names nothing"
            ),
            forge => format!(
                "{} would open or update a pull request into {base}",
                forge.phrase()
            ),
        });
        if let Assurance::Unproven { behind } = self.assurance {
            lines.push(unproven(&self.pushed, behind));
        }
        lines.push(format!("its title: {}", self.title));
        lines
    }
}

fn unproven(pushed: &Pushed, behind: u32) -> String {
    let Pushed { remote, base, .. } = pushed;
    format!(
        "{base} on {remote} has {behind} commit(s) or more that the issue's branch has not, so the checks never saw \
         the two together. Bring your own {base} up to date (`git pull`), so that Turno follows it, or type \
         --unproven to ask for it all the same"
    )
}

/// Opens or updates the pull request, or tells what that would do. The way in is open only to look and to record: a
/// remote may take minutes, and nobody is to wait for it.
pub(super) async fn pull_request(scene: &Scene, verb: &Pr) -> Result<Came, Failure> {
    let (mut door, state) = Door::look_in(scene).await?;
    if !verb.dry_run {
        door.can_record()?;
    }
    let config = scene.config(&Overrides::default())?;
    let repo = scene.repo_of(&state, verb.issue)?;
    let settings = &config.pull_request;
    let reach = Reach {
        env: scene.env.clone(),
        limit: Duration::from_millis(settings.timeout.0),
    };
    let head = landed(&state, &repo, verb.issue)?;
    let (title, body) = words(scene, &mut door, &state, &repo, verb.issue, &head).await?;
    drop(door);
    let pushed = target(&state, &repo, verb, settings, head).await?;
    admit(
        &state,
        &Event::PullRequestBegun {
            issue: verb.issue,
            pushed: pushed.clone(),
        },
    )?;
    let (there, assurance, commits) = look(&state, &repo, verb.issue, &pushed, &reach).await?;
    if let (Assurance::Unproven { behind }, false, false) = (assurance, verb.unproven, verb.dry_run) {
        return Err(Failure::new(Kind::NeedsPerson, unproven(&pushed, behind)));
    }
    let means = Means {
        cwd: repo.root(),
        env: &scene.env,
        limit: Duration::from_millis(settings.timeout.0),
    };
    let url = repo.remote_url(&pushed.remote).await?;
    let at = pull::address_of(&url, &means).await;
    let forge = pull::forge_of(&settings.forge, at.as_ref(), &means).await;
    let plan = Plan {
        pushed,
        there,
        assurance,
        commits,
        forge,
        at,
        title,
        body,
    };
    if verb.dry_run {
        return Ok(Came::Planned(Box::new(plan)));
    }
    carry_out(scene, &state, &repo, verb.issue, plan, &reach, &means).await
}

async fn carry_out(
    scene: &Scene,
    state: &State,
    repo: &Repo,
    issue: IssueId,
    plan: Plan,
    reach: &Reach,
    means: &Means<'_>,
) -> Result<Came, Failure> {
    let pushed = plan.pushed;
    let known = state.issues.get(&issue).and_then(|i| i.pull.known());
    // By this the next one who looks knows whose the branch there is, should this one not live to say so.
    let begun = Event::PullRequestBegun {
        issue,
        pushed: pushed.clone(),
    };
    record(scene, begun.clone()).await?;
    let words = match &plan.there {
        Move::Nothing => String::new(),
        Move::From(there) => {
            let Pushed {
                remote, branch, head, ..
            } = &pushed;
            let said = repo.push(remote, head, branch, there, reach).await;
            said.map_err(|e| refused(&reach.env, Kind::CannotStart, &e.to_string()))?
        }
    };
    let wanted = Wanted {
        issue,
        pushed: &pushed,
        at: plan.at.as_ref(),
        title: &plan.title,
        body: &plan.body,
        known: known.filter(|k| k.pushed.branch == pushed.branch && k.pushed.remote == pushed.remote),
    };
    let page = match pull::open(&plan.forge, &wanted, means).await {
        Ok(page) => page,
        Err(error) => {
            let why = format!(
                "{} is pushed to {}, and the pull request is not known to be there: {error}. {}",
                pushed.branch,
                pushed.remote,
                next(scene, &begun, issue, &pushed).await
            );
            return Err(refused(&reach.env, Kind::NeedsPerson, &why));
        }
    };
    crash_point::reached(Moment::AfterEffect, Deed::PullRequest);
    let request = PullRequest { pushed, page };
    let opened = Event::PullRequestOpened {
        issue,
        request: request.clone(),
    };
    record(scene, opened).await.map_err(|error| {
        let why = format!(
            "{}: it is there, and could not be recorded: {error}. `turno pr {issue}` again records it",
            request.phrase()
        );
        refused(&reach.env, Kind::NeedsPerson, &why)
    })?;
    Ok(Came::There { request, words })
}

/// What to do after one that failed: somebody may have closed the issue meanwhile.
async fn next(scene: &Scene, begun: &Event, issue: IssueId, pushed: &Pushed) -> String {
    let now = Door::look_in(scene).await.map(|(_, state)| admit(&state, begun));
    match now {
        Ok(Err(over)) => format!(
            "Nor does `turno pr {issue}` go on any more: {over}. Delete {} on {}, if nobody needs it",
            pushed.branch, pushed.remote
        ),
        Ok(Ok(())) | Err(_) => format!("`turno pr {issue}` goes on"),
    }
}

/// Writes down what is or was done. Whoever has the workspace at that moment is waited for, some seconds each time.
async fn record(scene: &Scene, event: Event) -> Result<(), Failure> {
    for _ in 0..2 {
        let tried = async { Door::open(scene).await?.take(event.clone()).await };
        match tried.await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::debug!(%error, "not recorded, trying again"),
        }
    }
    Door::open(scene).await?.take(event).await
}

/// The commit that an issue's work came to, as the checks saw it.
fn landed(state: &State, repo: &Repo, id: IssueId) -> Result<CommitId, Failure> {
    let issue = state.issues.get(&id).ok_or(Refused::NoSuchIssue(id))?;
    let Some((base, head)) = issue.integration() else {
        return Err(Refused::NothingLanded(id).into());
    };
    if base == head {
        return Err(Refused::NothingLanded(id).into());
    }
    let branch = TurnoRef::base(id);
    match repo.read_ref(&branch)? {
        Found::At(at) if at == *head => Ok(at),
        Found::At(at) => Err(Failure::new(
            Kind::NeedsPerson,
            format!(
                "{branch} is at {} and not at {}, where Turno left it: the checks never saw that. Put it back \
                 (`git branch -f {branch} {head}`), or push it yourself",
                at.short(),
                head.short()
            ),
        )),
        Found::Absent => Err(Failure::new(
            Kind::NeedsPerson,
            format!("{branch} is not there any more; its last commit was {head}"),
        )),
    }
}

/// Where the branch goes, and into which branch it is to be merged.
async fn target(
    state: &State,
    repo: &Repo,
    verb: &Pr,
    settings: &PullRequests,
    head: CommitId,
) -> Result<Pushed, Failure> {
    let issue = state
        .issues
        .get(&verb.issue)
        .ok_or(Refused::NoSuchIssue(verb.issue))?;
    let local = match (&issue.following, repo.user_head()?.at) {
        (Following::Branch { name, .. }, _) => Some(name.clone()),
        (Following::Nothing, HeadAt::Branch(name)) => Some(name),
        (Following::Nothing, HeadAt::Detached) => None,
    };
    let upstream = match &local {
        Some(local) => repo.upstream_of(local).await?,
        None => None,
    };
    let remotes = repo.remotes().await?;
    let named = verb.remote.clone().or_else(|| settings.remote.clone());
    let named = named.or_else(|| upstream.as_ref().map(|u: &Upstream| u.remote.clone()));
    let remote = match (named, remotes.as_slice()) {
        (Some(named), _) if remotes.contains(&named) => named,
        (Some(named), _) => {
            return Err(Failure::usage(format!(
                "there is no remote `{named}`; `git remote -v` lists those that are"
            )));
        }
        (None, [only]) => only.clone(),
        (None, []) => {
            return Err(Failure::usage(
                "this repository has no remote to push to; `git remote add origin ADDRESS` makes one",
            ));
        }
        (None, _) => {
            return Err(Failure::usage(format!(
                "which remote is meant? --remote names one of {}",
                remotes.join(", ")
            )));
        }
    };
    let theirs = upstream.filter(|u| u.remote == remote).map(|u| u.branch);
    let base = verb.base.clone().or_else(|| settings.base.clone());
    let base = base.or(theirs).or(local);
    let base =
        base.ok_or_else(|| Failure::usage("into which branch? HEAD is detached: name one with --base"))?;
    let branch = issue
        .pull
        .branch_on(&remote)
        .map_or_else(|| branch_name(verb.issue, &issue.draft.title), str::to_owned);
    Ok(Pushed {
        remote,
        branch,
        base,
        head,
    })
}

/// Looks at the remote: what becomes of the branch there, and what is known of the two together.
async fn look(
    state: &State,
    repo: &Repo,
    id: IssueId,
    pushed: &Pushed,
    reach: &Reach,
) -> Result<(Move, Assurance, Option<usize>), Failure> {
    let Pushed {
        remote,
        branch,
        base,
        head,
    } = pushed;
    let heads = repo.ask_remote(remote, &[base, branch], reach).await;
    let heads = heads.map_err(|error| {
        let why = format!(
            "{error}\nNothing is pushed. See to it that {remote} can be reached and lets you in (`git ls-remote {remote}` \
             says), then type `turno pr {id}` again"
        );
        refused(&reach.env, Kind::CannotStart, &why)
    })?;
    let tip = heads.get(base).ok_or_else(|| {
        Failure::usage(format!(
            "{remote} has no branch {base} to ask for it; --base names another"
        ))
    })?;
    // A commit that is not here is one that nobody here has seen.
    let (sameness, commits) = if repo.tree_of(tip).is_err() {
        (Sameness::Other { behind: 1 }, None)
    } else {
        let commits = Some(repo.commits_between(tip, head)?.len());
        if repo.is_ancestor(tip, head)? {
            (Sameness::Same, commits)
        } else {
            let missed = repo.commits_between(head, tip)?.len();
            let behind = u32::try_from(missed).unwrap_or(u32::MAX);
            (Sameness::Other { behind }, commits)
        }
    };
    let ours = state
        .issues
        .get(&id)
        .map(|i| i.pull.put(remote, branch))
        .unwrap_or_default();
    let there = match heads.get(branch) {
        None => Move::From(There::Absent),
        Some(at) if at == head => Move::Nothing,
        Some(at) if !ours.contains(&at) => {
            return Err(Failure::new(
                Kind::NeedsPerson,
                format!(
                    "{branch} on {remote} is at {}, where Turno did not put it: somebody else has a branch of that \
                     name, or moved it. Nothing is pushed over it; look at it, and delete or rename it there",
                    at.short()
                ),
            ));
        }
        Some(at) if repo.tree_of(at).is_ok() && repo.is_ancestor(at, head)? => {
            Move::From(There::At(at.clone()))
        }
        Some(at) => {
            return Err(Failure::new(
                Kind::NeedsPerson,
                format!(
                    "{branch} on {remote} is at {}, which the issue's branch does not have any more: it was made \
                     again on top of yours. Nothing is forced; delete {branch} there, then type this again",
                    at.short()
                ),
            ));
        }
    };
    Ok((there, assurance(state, id, sameness), commits))
}

/// What keeps the person's secrets out of all that is said.
fn redaction(env: &EnvMap) -> Redaction {
    let secrets = env.iter().filter(|(name, _)| is_named_like_one(name));
    Redaction::of(secrets.map(|(_, value)| Secret::new(value.clone())))
}

/// What a remote or a program said instead; it may hold an address with a password in it.
fn refused(env: &EnvMap, kind: Kind, why: &str) -> Failure {
    Failure::new(kind, print::plain(&redaction(env).text(why), 2000))
}

/// The title and the text, from the journal and without secrets.
async fn words(
    scene: &Scene,
    door: &mut Door,
    state: &State,
    repo: &Repo,
    id: IssueId,
    head: &CommitId,
) -> Result<(String, String), Failure> {
    let mut told = Told::new(id);
    door.each_record(|record| told.take(record)).await?;
    let redaction = redaction(&scene.env);
    let body = told.body(state, &repo.tree_of(head)?, BODY, &|text| {
        redaction.text(text).into_owned()
    });
    let title = state
        .issues
        .get(&id)
        .map(|i| i.draft.title.as_str())
        .unwrap_or_default();
    Ok((
        print::plain(&redaction.text(title), 200).trim().to_owned(),
        redaction.text(&body).into_owned(),
    ))
}
