//! Owns the rules that need more than one value: names that must exist, numbers that must fit each other, and who
//! must be there. Every refusal says what to do.

use std::collections::BTreeMap;

use turno_core::check::{Check, Reach};
use turno_core::config::Config;
use turno_core::container::Within;
use turno_core::holding::FIRST_SLOT;
use turno_core::ids::{AgentName, PolicyName};
use turno_core::persona::{Access, AtOnce, Model, Persona, Role};
use turno_core::policy::{AcceptRule, PlanRule, Policy, ReviewRule, TestRule};
use turno_core::units::{MicroUsd, Span};

use crate::config::budget;
use crate::config::error::{Error, Meant, Place};
use crate::config::file::Settings;
use crate::config::layer::Layers;
use crate::config::personas::{PersonaEntry, model};
use crate::config::source::Source;
use crate::config::{AgentDialect, Loaded, Setup};
use crate::prompt;

/// Lays the `[personas]` of `turno.toml`, and the agents that flags or environment ask for, over the personas.
pub(super) fn patch(
    personas: &mut [PersonaEntry],
    settings: &Settings,
    layers: &Layers,
    forced: Option<(Vec<AgentName>, Source)>,
) -> Result<(), Error> {
    let known: Vec<String> = personas.iter().map(|e| e.persona.name.to_string()).collect();
    for (name, patch) in &settings.personas {
        let path = ["personas", name.as_str()];
        let Some(entry) = personas.iter_mut().find(|e| e.persona.name == *name) else {
            return Err(Error::UnknownName {
                key: format!("personas.{name}"),
                kind: "persona",
                name: name.to_string(),
                from: Box::new(layers.source(&path)),
                meant: Meant::among(name.as_str(), known),
            });
        };
        let persona = &mut entry.persona;
        if let Some(agents) = &patch.agents {
            if agents.is_empty() {
                let path = ["personas", name.as_str(), "agents"];
                return Err(layers.wrong(&path, "name at least one, like [\"claude\"]"));
            }
            persona.agents.clone_from(agents);
        }
        if let Some(name) = &patch.model {
            persona.model = model(Some(name));
        }
        if let Some(effort) = patch.effort {
            persona.effort = effort;
        }
        if let Some(budget) = patch.budget_usd {
            persona.budget = budget.0;
        }
        if let Some(wall_clock) = patch.wall_clock {
            persona.wall_clock = wall_clock;
        }
        if let Some(at_once) = patch.at_once {
            persona.at_once = AtOnce::Limit(at_once.0);
        }
    }
    if let Some((agents, from)) = forced {
        for name in &agents {
            if !settings.agents.contains_key(name) {
                return Err(unknown_agent(
                    "the agents of every persona",
                    name,
                    from,
                    &settings.agents,
                ));
            }
        }
        for entry in personas {
            entry.persona.agents.clone_from(&agents);
        }
    }
    Ok(())
}

/// The policy that is asked for.
pub(super) fn policy(
    name: &PolicyName,
    policies: &BTreeMap<PolicyName, Policy>,
    layers: &Layers,
) -> Result<Policy, Error> {
    policies.get(name).cloned().ok_or_else(|| Error::UnknownName {
        key: "policy".to_owned(),
        kind: "policy",
        name: name.to_string(),
        from: Box::new(layers.source(&["policy"])),
        meant: Meant::among(name.as_str(), policies.keys().map(PolicyName::as_str)),
    })
}

/// The rules of the whole.
pub(super) fn whole(loaded: &Loaded, layers: &Layers) -> Result<(), Error> {
    let core = &loaded.core;
    if core.slots == 0 {
        return Err(layers.wrong(&["slots"], "at least 1 slot is needed; set slots = 2"));
    }
    if core.slots >= FIRST_SLOT {
        let why = format!("the slots from {FIRST_SLOT} on are people's and previews'; set slots to less");
        return Err(layers.wrong(&["slots"], why));
    }
    if core.urgent_slots >= core.slots {
        let why = format!(
            "of {} slots at least 1 must be left for other issues; set urgent_slots to less, or slots to more",
            core.slots
        );
        return Err(layers.wrong(&["urgent_slots"], why));
    }
    let budget = ["budget", "shift_usd"];
    if loaded.budget.shift == MicroUsd::ZERO {
        return Err(layers.wrong(&budget, "a shift without money starts nothing; set shift_usd = 5"));
    }
    if loaded.budget.shift < core.policy.least_start {
        let why = format!(
            "the policy `{}` starts no attempt with less than {}; set shift_usd to more, or least_start_usd to less",
            core.policy.name, core.policy.least_start
        );
        return Err(layers.wrong(&budget, why));
    }
    budget::check(&core.budgets, &core.agents, core.policy.least_start, layers)?;
    checks(&core.checks, &["checks"], layers)?;
    for (name, repo) in &core.repos {
        checks(&repo.checks, &["repos", name.as_str(), "checks"], layers)?;
    }
    for (name, limits) in &core.agents {
        if limits.at_once == 0 {
            let path = ["agents", name.as_str(), "at_once"];
            return Err(layers.wrong(&path, "at least 1 is needed; set at_once = 1"));
        }
    }
    copied(&loaded.setup, &["setup", "copy"], layers)?;
    for (name, repo) in &loaded.repos {
        copied(&repo.setup, &["repos", name.as_str(), "setup", "copy"], layers)?;
    }
    for entry in &loaded.personas {
        persona(entry, loaded, layers)?;
    }
    staffed(
        core,
        "add one in .turno/personas, or remove the file that changed its role",
    )
}

fn checks(checks: &[Check], table: &[&str], layers: &Layers) -> Result<(), Error> {
    for check in checks {
        let at = |key| [table, &[check.name.as_str(), key]].concat();
        if check.command.trim().is_empty() {
            return Err(layers.wrong(&at("command"), "a shell command is expected, like \"cargo test\""));
        }
        if check.timeout == Span(0) {
            return Err(layers.wrong(&at("timeout"), "a check needs some time; set it to \"10m\""));
        }
        if let (Within::Container(_), Reach::Hosts) = (&check.within, check.network) {
            let why = "named hosts cannot be held to in a container; set it to \"none\" or \"open\"";
            return Err(layers.wrong(&at("network"), why));
        }
    }
    Ok(())
}

fn copied(setup: &Setup, key: &[&str], layers: &Layers) -> Result<(), Error> {
    let odd = |part: &str| matches!(part, "" | "." | ".." | ".git");
    match setup.copy.iter().find(|path| path.split('/').any(odd)) {
        Some(path) => {
            let why = format!("`{path}` must be the path of a file below the top of the repository");
            Err(layers.wrong(key, why))
        }
        None => Ok(()),
    }
}

/// Whether every role that a shift cannot do without is played.
pub(super) fn staffed(core: &Config, what_to_do: &str) -> Result<(), Error> {
    let played = |role| core.personas.iter().any(|p| p.role == role);
    if !played(Role::Engineer) {
        return Err(Error::Whole(format!(
            "there is no engineer, so nobody can write: {what_to_do}"
        )));
    }
    if core.policy.review == ReviewRule::Required && !played(Role::Reviewer) {
        return Err(Error::Whole(format!(
            "there is no reviewer, and the policy `{}` has review = \"required\": {what_to_do}",
            core.policy.name
        )));
    }
    let policy = &core.policy;
    let author = match (policy.plan, policy.accept) {
        (PlanRule::Author, _) => Some("plan = \"author\""),
        (PlanRule::Single, AcceptRule::Author) => Some("accept = \"author\""),
        (PlanRule::Single, AcceptRule::Team) => Some("accept = \"team\""),
        (PlanRule::Single, AcceptRule::Off) | (PlanRule::Checks, _) => None,
    };
    let tester = match (policy.tests, policy.accept) {
        (TestRule::EachChange, _) => Some("tests = \"each-change\""),
        (TestRule::First, _) => Some("tests = \"first\""),
        // Where the checks plan, they also say when it is done.
        (TestRule::Off, AcceptRule::Team) if policy.plan != PlanRule::Checks => Some("accept = \"team\""),
        (TestRule::Off, AcceptRule::Off | AcceptRule::Author | AcceptRule::Team) => None,
    };
    for (needed, role, none) in [
        (author, Role::Author, "no author"),
        (tester, Role::Tester, "no tester"),
    ] {
        if let Some(because) = needed
            && !played(role)
        {
            return Err(Error::Whole(format!(
                "there is {none}, and the policy `{}` has {because}: {what_to_do}; or choose the policy `single`, \
                 which needs none",
                policy.name
            )));
        }
    }
    Ok(())
}

fn persona(entry: &PersonaEntry, loaded: &Loaded, layers: &Layers) -> Result<(), Error> {
    let persona = &entry.persona;
    let name = persona.name.as_str();
    // A value that turno.toml lays over the file is blamed there, all others in the persona's own file.
    let wrong = |key: &'static str, why: String| {
        if loaded.sources.contains_key(&format!("personas.{name}.{key}")) {
            layers.wrong(&["personas", name, key], why)
        } else {
            let place = Place {
                file: entry.file.clone(),
                line: 0,
            };
            let why = format!("{key}: {why}");
            Error::File { place, why }
        }
    };
    for agent in &persona.agents {
        if !loaded.agents.contains_key(agent) {
            let meant = Meant::among(agent.as_str(), loaded.agents.keys().map(AgentName::as_str));
            return Err(wrong("agents", format!("there is no agent `{agent}`; {meant}")));
        }
    }
    match (persona.role, persona.access) {
        (Role::Engineer, Access::Read | Access::Tests) => {
            return Err(wrong(
                "access",
                "an engineer writes; set access: write".to_owned(),
            ));
        }
        (Role::Author | Role::Reviewer, Access::Tests | Access::Write) => {
            let why = format!("an {} changes no files; set access: read", persona.role);
            return Err(wrong("access", why.replace("an reviewer", "a reviewer")));
        }
        (Role::Tester, Access::Write) => {
            return Err(wrong(
                "access",
                "a tester writes tests only; set access: tests".to_owned(),
            ));
        }
        (Role::Engineer, Access::Write)
        | (Role::Author | Role::Reviewer, Access::Read)
        | (Role::Tester, Access::Read | Access::Tests) => {}
    }
    if persona.budget < loaded.core.policy.least_start || persona.budget == MicroUsd::ZERO {
        let why = format!(
            "{} is less than an attempt is started with ({}); raise it",
            persona.budget, loaded.core.policy.least_start
        );
        return Err(wrong("budget_usd", why));
    }
    if persona.wall_clock == Span(0) {
        return Err(wrong(
            "wall_clock",
            "an attempt needs some time; set it to 45m".to_owned(),
        ));
    }
    if persona.at_once == AtOnce::Limit(0) {
        return Err(wrong(
            "at_once",
            "at least 1 is needed; set it to 1, or leave it out for no limit".to_owned(),
        ));
    }
    one_model(persona, loaded).map_err(|why| wrong("model", why))?;
    prompt::check(persona).map_err(|source| {
        let line = match source.line() {
            0 => 0,
            line => entry.prompt_line + line - 1,
        };
        Error::Prompt {
            place: Place {
                file: entry.file.clone(),
                line,
            },
            persona: name.to_owned(),
            source,
        }
    })
}

/// A model's name means something to one kind of agent only.
fn one_model(persona: &Persona, loaded: &Loaded) -> Result<(), String> {
    let Model::Named(model) = &persona.model else {
        return Ok(());
    };
    let dialects = persona.agents.iter().filter_map(|a| loaded.agents.get(a));
    let mut kinds: Vec<&str> = dialects
        .filter(|a| !matches!(a.dialect, AgentDialect::Script { .. }))
        .map(|a| a.dialect.kind().name())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    if let [first, second, ..] = kinds.as_slice() {
        return Err(format!(
            "`{model}` would be asked of both {first} and {second}; name agents of one kind, or remove the model"
        ));
    }
    Ok(())
}

fn unknown_agent<T>(key: &str, name: &AgentName, from: Source, known: &BTreeMap<AgentName, T>) -> Error {
    Error::UnknownName {
        key: key.to_owned(),
        kind: "agent",
        name: name.to_string(),
        from: Box::new(from),
        meant: Meant::among(name.as_str(), known.keys().map(AgentName::as_str)),
    }
}
