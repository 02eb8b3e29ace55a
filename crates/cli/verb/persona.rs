//! `turno persona`: lists and shows personas, and prints exactly what one would be told.

use std::collections::BTreeMap;
use std::process::ExitCode;

use turno_core::admit::Refused;
use turno_core::brief::{Ask, Brief, IssueBrief, TaskBrief};
use turno_core::ids::{IssueId, PersonaName, TaskId};
use turno_core::persona::Role;
use turno_core::task::{Because, Proof};
use turno_engine::config::{Loaded, Overrides};
use turno_engine::prompt::{self, Extras};

use crate::args::Persona;
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
        Persona::Render { name, issue } => render(scene, &config, &name, issue).await?,
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

async fn render(scene: &Scene, config: &Loaded, name: &PersonaName, id: IssueId) -> Result<(), Failure> {
    let entry = config.persona(name.as_str())?;
    let state = Door::open(scene).await?.state().await?;
    let issue = state.issues.get(&id).ok_or(Refused::NoSuchIssue(id))?;
    let head = scene.repo.user_head()?.commit;
    let ask = match entry.persona.role {
        Role::Engineer | Role::Author => Ask::Write {
            because: Because::New,
            checks: config.core.checks.iter().map(|c| c.command.clone()).collect(),
        },
        Role::Reviewer | Role::Tester => Ask::Review {
            commit: head.clone(),
            base: head,
            proof: Proof::NoChecks,
            earlier: Vec::new(),
        },
    };
    let brief = Brief {
        issue: IssueBrief {
            id,
            title: issue.draft.title.clone(),
            body: issue.draft.body.clone(),
        },
        task: TaskBrief {
            id: TaskId { issue: id, number: 1 },
            title: issue.draft.title.clone(),
            brief: issue.draft.body.clone(),
            acceptance: issue.draft.acceptance.clone(),
            touches: Vec::new(),
        },
        round: 1,
        ask,
    };
    let prompt = prompt::render(&entry.persona, &brief, &Extras::default())
        .map_err(|e| Failure::usage(format!("persona {name}: {e}")))?;
    print::data(&format!(
        "{}\n\n---\n\n{}",
        print::harmless(prompt.system.trim()),
        print::harmless(prompt.task.trim())
    ));
    Ok(())
}
