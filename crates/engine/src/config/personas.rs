//! Owns persona files: Markdown with a front matter, read strictly. What a persona is told is `prompt.rs`'s; whether
//! its agents exist is `validate.rs`'s.

use std::collections::BTreeMap;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use turno_core::ids::{AgentName, PersonaName};
use turno_core::persona::{Access, AtOnce, Effort, Model, Persona, Role, Tools};
use turno_core::units::{MicroUsd, Span};

use crate::config::error::{Error, Meant, Place};
use crate::config::file::{Usd, Whole};
use crate::config::source::{Source, TextFile};

/// The keys of a front matter, with one line of words each.
pub const FRONT_KEYS: [(&str, &str); 13] = [
    ("name", "the persona's name; the file is called so too"),
    ("description", "one line for people"),
    ("role", "what it is for: author, engineer, reviewer or tester"),
    ("agents", "agents that may play it, best first"),
    ("agent", "the same, for one agent"),
    (
        "model",
        "the model, by the agent's own name for it; `inherit` for the agent's own choice",
    ),
    ("effort", "how hard it thinks: low, medium or high"),
    ("access", "what it may do to files: read, tests or write"),
    (
        "tools",
        "which of the agent's tools it may use, as a list or with commas",
    ),
    ("budget_usd", "US dollars that one attempt may spend"),
    ("wall_clock", "time limit of one attempt"),
    ("at_once", "how many of its attempts may run at once"),
    ("color", "accepted as other tools write it, and not used"),
];

/// A persona, and the file that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonaEntry {
    /// The persona.
    pub persona: Persona,
    /// Where its file is; the line is where its prompt begins.
    pub source: Source,
    /// The name of its file, for people.
    pub file: String,
    /// The line of its file at which its prompt begins, counted from 1.
    pub prompt_line: u32,
}

/// Words in a list, or in one text with commas.
#[derive(Debug, Default)]
struct Words(Vec<String>);

impl<'de> serde::Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Words;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list, or one text with commas")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Words, E> {
                let words = v.split(',').map(str::trim).filter(|w| !w.is_empty());
                Ok(Words(words.map(str::to_owned).collect()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element()? {
                    words.push(word);
                }
                Ok(Words(words))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(serde::Deserialize)]
struct Front {
    name: Option<String>,
    description: Option<String>,
    role: Option<Role>,
    agents: Option<Words>,
    agent: Option<Words>,
    model: Option<String>,
    effort: Option<Effort>,
    access: Option<Access>,
    tools: Option<Words>,
    budget_usd: Option<Usd>,
    wall_clock: Option<Span>,
    at_once: Option<Whole>,
    #[serde(rename = "color")]
    _color: Option<String>,
}

/// What a front matter may leave out, by role.
struct Defaults {
    agents: [&'static str; 2],
    budget: MicroUsd,
    wall_clock: Span,
}

fn defaults(role: Role) -> Defaults {
    let (agents, cents, minutes) = match role {
        Role::Author => (["claude", "codex"], 75, 20),
        Role::Engineer => (["claude", "codex"], 200, 45),
        Role::Reviewer => (["codex", "claude"], 75, 20),
        Role::Tester => (["claude", "codex"], 150, 45),
    };
    Defaults {
        agents,
        budget: MicroUsd(cents * 10_000),
        wall_clock: Span::seconds(minutes * 60),
    }
}

/// Reads persona files, lowest layer first: a file of a higher layer replaces the one of the same name. The result
/// is in ring order: author, engineer, reviewer, tester, then all others by name.
pub(super) fn read(files: &[TextFile]) -> Result<Vec<PersonaEntry>, Error> {
    let mut found: BTreeMap<PersonaName, (PersonaEntry, &TextFile)> = BTreeMap::new();
    for file in files {
        let entry = read_one(file)?;
        if let Some((_, first)) = found.get(&entry.persona.name)
            && first.layer == file.layer
        {
            return Err(Error::DuplicatePersona {
                name: entry.persona.name.to_string(),
                first: first.name.clone(),
                second: file.name.clone(),
            });
        }
        found.insert(entry.persona.name.clone(), (entry, file));
    }
    let mut entries: Vec<PersonaEntry> = found.into_values().map(|(entry, _)| entry).collect();
    let first = ["author", "engineer", "reviewer", "tester"];
    let place = |e: &PersonaEntry| {
        first
            .iter()
            .position(|n| *n == e.persona.name.as_str())
            .unwrap_or(first.len())
    };
    entries.sort_by_key(place);
    Ok(entries)
}

/// Reads one persona file.
///
/// # Errors
/// When it is not Markdown with a front matter that makes sense.
pub fn read_one(file: &TextFile) -> Result<PersonaEntry, Error> {
    let wrong = |line: u32, why: String| Error::File {
        place: Place {
            file: file.name.clone(),
            line,
        },
        why,
    };
    let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if first.trim_end() != "---" {
        let why = "a persona file begins with a line `---` and its front matter; it has none";
        return Err(wrong(1, why.to_owned()));
    }
    let (mut front, mut front_lines, mut closed) = (String::new(), 0u32, None);
    let mut offset = first.len();
    for line in lines {
        offset += line.len();
        if line.trim_end() == "---" {
            closed = Some(offset);
            break;
        }
        front.push_str(line);
        front_lines += 1;
    }
    let Some(body_at) = closed else {
        let why = "the front matter is not closed; end it with a line `---`";
        return Err(wrong(1, why.to_owned()));
    };
    let body = text.get(body_at..).unwrap_or_default();
    let blank = body.lines().take_while(|l| l.trim().is_empty()).count();
    let prompt_line = front_lines + 3 + u32::try_from(blank).unwrap_or(0);
    let front = parse_front(file, &front)?;
    let persona = persona(file, front, body, &wrong)?;
    Ok(PersonaEntry {
        persona,
        source: file.at(prompt_line),
        file: file.name.clone(),
        prompt_line,
    })
}

fn parse_front(file: &TextFile, front: &str) -> Result<Front, Error> {
    let place = |line: u32| Place {
        file: file.name.clone(),
        line,
    };
    let mut unknown = None;
    let parsed: Result<Option<Front>, _> = serde_saphyr::with_deserializer_from_str(front, |deserializer| {
        serde_ignored::deserialize(deserializer, |path| {
            unknown.get_or_insert_with(|| path.to_string().trim_start_matches("?.").to_owned());
        })
    });
    let parsed = parsed.map_err(|e| {
        let line = e.location().map_or(0, |l| line_of(front, l.span().offset()));
        let words = e.without_snippet().to_string();
        // The location is said once, in lines of the whole file, and advice for programmers is left out.
        let why = words.split(" at line ").next().unwrap_or(&words);
        let why = why.split(", set DuplicateKeyPolicy").next().unwrap_or(why);
        Error::File {
            place: place(line),
            why: format!("the front matter cannot be read: {}", why.trim()),
        }
    })?;
    if let Some(key) = unknown {
        let at = front.lines().position(|l| {
            l.split('\r')
                .any(|l| l.split(':').next().is_some_and(|k| k.trim() == key))
        });
        return Err(Error::UnknownFrontKey {
            place: place(at.map_or(1, |l| u32::try_from(l).unwrap_or(0) + 2)),
            meant: Meant::among(&key, FRONT_KEYS.map(|(k, _)| k)),
            key,
        });
    }
    parsed.ok_or_else(|| Error::File {
        place: place(1),
        why: "the front matter is empty; name, description and role are needed".to_owned(),
    })
}

/// The line of the file in which the character at `offset` of its front matter is. A carriage return by itself ends
/// a line for YAML, and not for what shows files to people, so the lines that YAML counts are not those of the file.
fn line_of(front: &str, offset: u64) -> u32 {
    let before = front.chars().take(usize::try_from(offset).unwrap_or(usize::MAX));
    let ends = before.filter(|c| *c == '\n').count();
    u32::try_from(ends).unwrap_or(u32::MAX).saturating_add(2)
}

fn persona(
    file: &TextFile,
    front: Front,
    body: &str,
    wrong: &dyn Fn(u32, String) -> Error,
) -> Result<Persona, Error> {
    let missing = |key: &str, hint: &str| wrong(1, format!("`{key}` is missing in the front matter; {hint}"));
    let name = front
        .name
        .ok_or_else(|| missing("name", &format!("add `name: {}`", file.stem())))?;
    let name: PersonaName = name.parse().map_err(|e| wrong(1, format!("{e}")))?;
    if name.as_str() != file.stem() {
        let why = format!(
            "the persona is named `{name}` but its file `{}.md`; give both one name",
            file.stem()
        );
        return Err(wrong(1, why));
    }
    let description = front
        .description
        .map(|d| d.trim().to_owned())
        .filter(|d| !d.is_empty());
    let description = description.ok_or_else(|| missing("description", "say in one line what it does"))?;
    let roles = "add `role: author`, `engineer`, `reviewer` or `tester`";
    let role = front.role.ok_or_else(|| missing("role", roles))?;
    let defaults = defaults(role);
    let agents = match (front.agents, front.agent) {
        (Some(_), Some(_)) => {
            return Err(wrong(
                1,
                "`agent` and `agents` are both given; keep one".to_owned(),
            ));
        }
        (Some(words), None) | (None, Some(words)) => words.0,
        (None, None) => defaults.agents.map(str::to_owned).to_vec(),
    };
    let agents: Result<Vec<AgentName>, _> = agents.iter().map(|a| a.parse()).collect();
    let agents = agents.map_err(|e| wrong(1, format!("{e}")))?;
    if agents.is_empty() {
        return Err(wrong(
            1,
            "`agents` is empty; name at least one, like `agents: [claude]`".to_owned(),
        ));
    }
    if body.trim().is_empty() {
        return Err(wrong(
            1,
            "there is no prompt; write it below the front matter".to_owned(),
        ));
    }
    Ok(Persona {
        at_once: front.at_once.map_or(AtOnce::NoLimit, |n| AtOnce::Limit(n.0)),
        name,
        description,
        role,
        agents,
        model: model(front.model.as_deref()),
        effort: front.effort.unwrap_or(Effort::AgentDefault),
        access: front.access.unwrap_or_else(|| role.access()),
        tools: front.tools.map_or(Tools::ByAccess, |t| Tools::Only(t.0)),
        budget: front.budget_usd.map_or(defaults.budget, |b| b.0),
        wall_clock: front.wall_clock.unwrap_or(defaults.wall_clock),
        prompt: prompt_of(body),
    })
}

/// The body without blank lines around it.
fn prompt_of(body: &str) -> String {
    let lines: Vec<&str> = body.lines().skip_while(|l| l.trim().is_empty()).collect();
    format!("{}\n", lines.join("\n").trim_end())
}

/// A model by its name; the names that mean the agent's own choice name none.
pub(super) fn model(name: Option<&str>) -> Model {
    match name.map(str::trim) {
        None | Some("" | "inherit" | "agent-default") => Model::AgentDefault,
        Some(name) => Model::Named(name.to_owned()),
    }
}
