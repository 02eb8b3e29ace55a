//! Owns what a persona is told: renders its own template (who it is) and the task's template (what is asked for
//! now) from a brief. Templates are strict, nothing is escaped, and text from outside is set in blocks that it
//! cannot close. It must not choose what is asked for; that is the core's.

mod bounds;
mod context;
mod fence;
mod rules;
mod sample;
mod strict;
mod template;
mod variables;

use tera::{Context, ErrorKind, Kwargs, State, Tera};
use turno_core::brief::{Ask, Brief};
use turno_core::persona::Persona;

use self::fence::block;

pub use self::context::cut;
pub use self::rules::house_rules;
pub use self::sample::samples;
pub use self::template::Template;
pub use self::variables::{VARIABLES, Variable};

/// What the templates of all asks take in, by its name for them.
const AROUND: (&str, &str) = ("around", include_str!("../../../personas/prompts/around.md"));

/// What the engine knows beyond the brief.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// What changed between base and commit, as `git diff --stat` shows it. Empty when there is nothing to judge.
    pub diff_stat: String,
    /// Facts about the slot, one line each, e.g. which ports are its own.
    pub notes: Vec<String>,
    /// Globs of the paths that a tester may write.
    pub test_paths: Vec<String>,
}

/// What an agent is told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Prompt {
    /// Who it is and how it works.
    pub system: String,
    /// What is asked for now.
    pub task: String,
}

/// Which template failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The persona's own.
    Persona,
    /// What the ones for asks take in.
    Around,
    /// The one for writing.
    Write,
    /// The one for writing tests before what they test.
    TestsFirst,
    /// The one for testing a change.
    Test,
    /// The one for reviewing.
    Review,
    /// The one for choosing among candidates.
    Compare,
    /// The one for planning.
    Plan,
    /// The one for trying the integration branch.
    Try,
    /// The one for accepting.
    Accept,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Persona => "the persona's prompt",
            Self::Around => "the built-in prompt of what is around a task",
            Self::Write => "the built-in prompt for writing",
            Self::TestsFirst => "the built-in prompt for writing tests first",
            Self::Test => "the built-in prompt for testing",
            Self::Review => "the built-in prompt for reviewing",
            Self::Compare => "the built-in prompt for choosing",
            Self::Plan => "the built-in prompt for planning",
            Self::Try => "the built-in prompt for trying",
            Self::Accept => "the built-in prompt for accepting",
        })
    }
}

/// The template for what is asked.
fn template_of(ask: &Ask) -> (Part, &'static str) {
    match ask {
        Ask::Write { because, .. } if context::is_tests_first(because) => (
            Part::TestsFirst,
            include_str!("../../../personas/prompts/tests-first.md"),
        ),
        Ask::Write { .. } => (Part::Write, include_str!("../../../personas/prompts/write.md")),
        Ask::Test { .. } => (Part::Test, include_str!("../../../personas/prompts/test.md")),
        Ask::Review { .. } => (Part::Review, include_str!("../../../personas/prompts/review.md")),
        Ask::Compare { .. } => (
            Part::Compare,
            include_str!("../../../personas/prompts/compare.md"),
        ),
        Ask::Plan { .. } => (Part::Plan, include_str!("../../../personas/prompts/plan.md")),
        Ask::Try { .. } => (Part::Try, include_str!("../../../personas/prompts/try.md")),
        Ask::Accept { .. } => (Part::Accept, include_str!("../../../personas/prompts/accept.md")),
    }
}

/// A template that cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It names a variable that does not exist.
    #[error("line {line} of {part}: {}", self.what())]
    UnknownVariable {
        /// The whole path, e.g. `task.titel`.
        name: String,
        /// Counted from 1 within the template.
        line: u32,
        /// Which template.
        part: Part,
        /// What may have been meant.
        meant: crate::config::Meant,
    },
    /// Anything else that is wrong with it.
    #[error("line {line} of {part}: {}", self.what())]
    Template {
        /// What.
        why: String,
        /// Counted from 1 within the template; 0 when it is not known.
        line: u32,
        /// Which template.
        part: Part,
    },
}

impl Error {
    /// What is wrong, without the place.
    pub fn what(&self) -> String {
        match self {
            Self::UnknownVariable { name, meant, .. } => format!("unknown variable `{name}`; {meant}"),
            Self::Template { why, .. } => why.clone(),
        }
    }

    /// The line within the persona's prompt, counted from 1; 0 when it is not known or is of another template.
    pub fn line(&self) -> u32 {
        match self {
            Self::UnknownVariable { line, part, .. } | Self::Template { line, part, .. } => match part {
                Part::Persona => *line,
                Part::Around
                | Part::Write
                | Part::TestsFirst
                | Part::Test
                | Part::Review
                | Part::Compare
                | Part::Plan
                | Part::Try
                | Part::Accept => 0,
            },
        }
    }
}

/// Renders what `persona` is told.
///
/// # Errors
/// When a template names what does not exist, or is no template.
pub fn render(persona: &Persona, brief: &Brief, extras: &Extras) -> Result<Prompt, Error> {
    let values = context::build(persona, brief, extras);
    let (part, template) = template_of(&brief.ask);
    Ok(Prompt {
        system: render_part(Part::Persona, &persona.prompt, &values)?,
        task: render_part(part, template, &values)?,
    })
}

/// Whether the persona's prompt can be rendered whatever it is asked: every branch is looked at.
///
/// # Errors
/// As [`render`].
pub fn check(persona: &Persona) -> Result<(), Error> {
    for (_, brief) in samples() {
        let values = context::build(persona, &brief, &Extras::default());
        render_part(Part::Persona, &persona.prompt, &values)?;
    }
    Ok(())
}

fn render_part(part: Part, template: &str, values: &serde_json::Value) -> Result<String, Error> {
    for (part, template) in [(part, template), (Part::Around, AROUND.1)] {
        if let Some(unknown) = strict::unknown(template) {
            return Err(Error::UnknownVariable {
                name: unknown.name,
                line: unknown.line,
                part,
                meant: unknown.meant,
            });
        }
    }
    if let Some(deep) = bounds::too_deep(template) {
        return Err(Error::Template {
            why: deep.why,
            line: deep.line,
            part,
        });
    }
    let failed = |e: &tera::Error| {
        let (why, line) = match e.kind() {
            ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
                let line = u32::try_from(report.span().start_line).unwrap_or(0);
                (report.message().to_owned(), line)
            }
            other => in_words(&other.to_string()),
        };
        Error::Template { why, line, part }
    };
    let mut tera = Tera::new();
    tera.autoescape_on(Vec::<&str>::new());
    bounds::register(&mut tera);
    tera.register_filter(
        "data",
        |text: &str, kwargs: Kwargs, _: &State| -> tera::TeraResult<String> {
            Ok(block(kwargs.must_get::<&str>("tag")?, text))
        },
    );
    // Without its last line break, so that nothing is left behind where there is nothing around a task.
    tera.add_raw_templates([(AROUND.0, AROUND.1.trim_end()), ("prompt", template)])
        .map_err(|e| failed(&e))?;
    let context = Context::from_serialize(values).map_err(|e| failed(&e))?;
    let text = tera.render("prompt", &context).map_err(|e| failed(&e))?;
    Ok(format!("{}\n", text.trim()))
}

/// What a report of several lines says, and the line it speaks of.
fn in_words(report: &str) -> (String, u32) {
    let first = report.lines().next().unwrap_or_default();
    let place = report.split_once("--> prompt:").map_or("", |(_, at)| at);
    let line = place.split(':').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    (first.trim_start_matches("error: ").to_owned(), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_escaped() {
        let (_, brief) = samples().swap_remove(0);
        let mut values = serde_json::json!({});
        values["issue"] = serde_json::json!({ "id": brief.issue.id, "title": "a < b && \"c\"", "body": "" });
        let text = render_part(Part::Persona, "{{ issue.title }}", &values).unwrap();
        assert_eq!(text, "a < b && \"c\"\n");
    }
}
