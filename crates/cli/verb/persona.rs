//! `turno persona`: lists and shows personas, and prints exactly what one would be told.

use std::collections::BTreeSet;

use std::collections::BTreeMap;
use std::process::ExitCode;

use turno_core::admit::Refused;
use turno_core::brief::{Ask, Brief, CandidateBrief, IssueBrief, TaskBrief};
use turno_core::ids::{CommitId, IssueId, PersonaName, TaskId};
use turno_core::persona::Role;
use turno_core::task::{Because, PlanBecause, Proof, Trial};
use turno_engine::config::{Loaded, Overrides};
use turno_engine::prompt::{self, Extras, house_rules};

use crate::args::{AskFor, Persona};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Persona) -> Result<ExitCode, Failure> {
    let config = scene.config(&Overrides::default())?;
    match verb {
        Persona::List(format) => {
            if format.json {
                print::json(&config.core.personas)?;
                return Ok(ExitCode::SUCCESS);
            }
            for entry in &config.personas {
                let persona = &entry.persona;
                let agents: Vec<_> = persona.agents.iter().map(ToString::to_string).collect();
                print::data(&format!(
                    "{:<12} {:<9} {:<16} {:>7}  {}",
                    persona.name,
                    persona.role,
                    agents.join(","),
                    persona.budget.to_string(),
                    print::plain(&persona.description, 90)
                ));
            }
        }
        Persona::Show { name } => show(&config, &name)?,
        Persona::Render { name, issue, ask } => render(scene, &config, &name, issue, ask).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(config: &Loaded, name: &PersonaName) -> Result<(), Failure> {
    let entry = config.persona(name.as_str())?;
    let persona = &entry.persona;
    let agents: BTreeMap<_, _> = persona
        .agents
        .iter()
        .map(|a| (a, config.agents.get(a).map(|s| s.dialect.kind())))
        .collect();
    print::data(&format!(
        "{} ({})",
        print::bold(persona.name.as_str()),
        persona.role
    ));
    print::data(&format!("from        {}", entry.file));
    print::data(&format!("agents      {agents:?}"));
    print::data(&format!(
        "model       {:?}, effort {:?}",
        persona.model, persona.effort
    ));
    print::data(&format!(
        "access      {:?}, tools {:?}",
        persona.access, persona.tools
    ));
    print::data(&format!(
        "limits      {} and {} an attempt",
        persona.budget, persona.wall_clock
    ));
    print::data(&format!("\n{}\n", print::harmless(&persona.description)));
    print::data(&print::harmless(persona.prompt.trim()));
    Ok(())
}

/// What a role is asked for first.
fn first_ask(role: Role) -> AskFor {
    match role {
        Role::Author => AskFor::Plan,
        Role::Engineer => AskFor::Write,
        Role::Reviewer => AskFor::Review,
        Role::Tester => AskFor::Test,
    }
}

/// An ask on the newest commit, as long as nothing has been done.
fn ask_for(what: AskFor, config: &Loaded, head: CommitId, issue: IssueId) -> Ask {
    let checks = || config.core.checks.iter().map(|c| c.command.clone()).collect();
    let base = head.clone();
    match what {
        AskFor::Plan => Ask::Plan {
            because: PlanBecause::New,
            checks: checks(),
            room: config.core.policy.caps.tasks,
            tasks: Vec::new(),
            proposals: Vec::new(),
        },
        AskFor::Write => Ask::Write {
            because: Because::New,
            checks: checks(),
        },
        AskFor::TestsFirst => Ask::Write {
            because: Because::TestsFirst,
            checks: checks(),
        },
        AskFor::Test => Ask::Test {
            commit: head,
            base,
            proof: Proof::NoChecks,
            test_paths: config.core.policy.test_paths.clone(),
            rule: config.core.policy.new_tests,
        },
        AskFor::Review => Ask::Review {
            commit: head,
            base,
            proof: Proof::NoChecks,
            earlier: Vec::new(),
            protected: BTreeSet::new(),
            guards: Vec::new(),
        },
        AskFor::Compare => Ask::Compare {
            base,
            candidates: [1, 2]
                .map(|number| CandidateBrief {
                    task: TaskId { issue, number },
                    commit: head.clone(),
                    proof: Proof::NoChecks,
                    paths: BTreeSet::new(),
                })
                .to_vec(),
        },
        AskFor::Try => Ask::Try { head, base },
        AskFor::Accept => Ask::Accept {
            head,
            base,
            tasks: Vec::new(),
            trial: Trial::Untried,
        },
    }
}

/// The task that is asked about: the issue's own where it is asked for as a whole.
fn task_of(what: AskFor, issue: IssueId) -> TaskId {
    match what {
        AskFor::Plan | AskFor::Try | AskFor::Accept => TaskId::lead(issue),
        AskFor::Write | AskFor::TestsFirst | AskFor::Test | AskFor::Review | AskFor::Compare => {
            TaskId { issue, number: 1 }
        }
    }
}

async fn render(
    scene: &Scene,
    config: &Loaded,
    name: &PersonaName,
    id: IssueId,
    ask: Option<AskFor>,
) -> Result<(), Failure> {
    let entry = config.persona(name.as_str())?;
    let state = Door::open(scene).await?.state().await?;
    let issue = state.issues.get(&id).ok_or(Refused::NoSuchIssue(id))?;
    let head = scene.repo.user_head()?.commit;
    let what = ask.unwrap_or_else(|| first_ask(entry.persona.role));
    let brief = Brief {
        issue: IssueBrief {
            id,
            title: issue.draft.title.clone(),
            body: issue.draft.body.clone(),
        },
        task: TaskBrief {
            id: task_of(what, id),
            title: issue.draft.title.clone(),
            brief: issue.draft.body.clone(),
            acceptance: issue.draft.acceptance.clone(),
            touches: Vec::new(),
        },
        round: 1,
        ask: ask_for(what, config, head, id),
        handoffs: Vec::new(),
        others: Vec::new(),
        answers: Vec::new(),
        lessons: Vec::new(),
        remarks: Vec::new(),
    };
    let extras = Extras {
        diff_stat: String::new(),
        notes: house_rules(scene.repo.root()).into_iter().collect(),
        test_paths: config.core.policy.test_paths.clone(),
    };
    let prompt = prompt::render(&entry.persona, &brief, &extras)
        .map_err(|e| Failure::usage(format!("persona {name}: {e}")))?;
    print::data(&format!(
        "{}\n\n---\n\n{}",
        print::harmless(prompt.system.trim()),
        print::harmless(prompt.task.trim())
    ));
    Ok(())
}
