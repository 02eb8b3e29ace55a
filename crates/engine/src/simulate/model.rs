//! Owns what is believed of agents, checks and landings: typed odds, read from the assumptions that are embedded and
//! from a file laid over them. It draws nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use turno_core::failure::Cause;
use turno_core::ids::{AgentName, CheckName, PersonaName};
use turno_core::persona::Role;

use super::dice::ln;

const ASSUMED: &str = include_str!("assumed.toml");

/// Why assumptions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the assumptions {} cannot be read: {source}; name another file with --assume", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It says something that makes no sense.
    #[error("{from}: {why}; docs/simulate.md lists what may be assumed")]
    Wrong {
        /// Where.
        from: String,
        /// What.
        why: String,
    },
}

/// A quantity whose logarithm is normally distributed, and how well it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Amount {
    /// The mean of the logarithms.
    pub mu: f64,
    /// Their deviation.
    pub sigma: f64,
    /// The deviation of what is believed of `mu`.
    pub doubt: f64,
}

/// A chance, and how many observations it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Chance {
    /// Between 0 and 1.
    pub mean: f64,
    /// How many.
    pub worth: f64,
}

/// What is believed of one agent in one role.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Habit {
    /// How long an attempt takes that comes to its end, in milliseconds.
    pub takes: Amount,
    /// What it costs, in millionths of a dollar.
    pub costs: Amount,
    /// That it fails.
    pub fails: Chance,
    /// Of what, in proportion.
    pub causes: BTreeMap<Cause, f64>,
    /// That it asks a person.
    pub asks: Chance,
    /// That it says no: findings, or something missing.
    pub sends_back: Chance,
}

/// What is believed of one check.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CheckHabit {
    /// How long it takes, in milliseconds.
    pub takes: Amount,
    /// That it is red on a change.
    pub red: Chance,
}

/// How long a landing takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LandingTime {
    /// So long, and the checks where something has landed meanwhile; in milliseconds.
    AndChecks(Amount),
    /// So long in all; in milliseconds.
    Whole(Amount),
}

/// Into how many tasks an author splits an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Evenly between these.
    Between(u16, u16),
    /// As often as here: each number was seen once.
    Seen(Vec<u16>),
}

/// When a person answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Person {
    /// Never.
    Absent,
    /// After so many milliseconds.
    AnswersAfter(u64),
}

/// Everything that is believed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Model {
    /// Of each role, where nothing is known of who plays it.
    pub roles: [Habit; 4],
    /// Of those of whom something is known.
    #[serde(skip)]
    pub known: BTreeMap<(PersonaName, AgentName), Habit>,
    /// Of checks of which nothing is known; `red` is that of all together.
    pub checks: CheckHabit,
    /// Of the others.
    pub known_checks: BTreeMap<CheckName, CheckHabit>,
    /// That a check says nothing.
    pub cannot_run: f64,
    /// That tests prove nothing.
    pub proves_nothing: f64,
    /// Of plans.
    pub split: Split,
    /// That a task needs another one.
    pub needs: f64,
    /// In how many parts of the code tasks are.
    pub parts: u16,
    /// How long the beginning of a branch takes, in milliseconds.
    pub opens: Amount,
    /// That a check is red before the work, where that is the work.
    pub broken: f64,
    /// How long a landing takes.
    pub landing: LandingTime,
    /// That a change does not apply.
    pub conflict: Chance,
    /// That it is red together with what has landed.
    pub red_together: Chance,
    /// How long a quota is used up, in milliseconds.
    pub quota: Amount,
    /// Who answers.
    pub person: Person,
}

impl Model {
    /// What is assumed, with the keys of a file laid over it.
    ///
    /// # Errors
    /// When the file cannot be read or says something that makes no sense.
    pub fn assumed(over: Option<&Path>) -> Result<Self, Error> {
        let embedded: toml::Table = toml::from_str(ASSUMED).map_err(|e| Error::Wrong {
            from: "the embedded assumptions".to_owned(),
            why: e.to_string(),
        })?;
        let Some(path) = over else {
            return typed(embedded, "the embedded assumptions");
        };
        let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let from = path.display().to_string();
        let own: toml::Table = toml::from_str(&text).map_err(|e| Error::Wrong {
            from: from.clone(),
            why: e.to_string().trim_end().to_owned(),
        })?;
        let mut table = embedded;
        lay_over(&mut table, own);
        typed(table, &from)
    }

    /// What is believed of an agent that plays a persona.
    pub fn habit(&self, persona: &PersonaName, agent: &AgentName, role: Role) -> &Habit {
        // A persona is cast with few agents, so the copies of two short names are cheap enough here.
        let known = self.known.get(&(persona.clone(), agent.clone()));
        known.unwrap_or_else(|| self.of_role(role))
    }

    /// What is believed of a role.
    pub fn of_role(&self, role: Role) -> &Habit {
        let [author, engineer, reviewer, tester] = &self.roles;
        match role {
            Role::Author => author,
            Role::Engineer => engineer,
            Role::Reviewer => reviewer,
            Role::Tester => tester,
        }
    }
}

/// Tables are laid over tables, anything else replaces.
fn lay_over(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            // Chances of failure are one list: whoever names some means these.
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) if key != "fails" => {
                lay_over(below, above);
            }
            (_, value) => drop(below.insert(key, value)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    doubt: f64,
    worth: f64,
    engineer: RoleFile,
    reviewer: RoleFile,
    tester: RoleFile,
    author: RoleFile,
    issue: IssueFile,
    checks: ChecksFile,
    landing: LandingFile,
    account: AccountFile,
    person: PersonFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountFile {
    typical: f64,
    spread: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleFile {
    minutes: AmountFile,
    cost_usd: AmountFile,
    asks: f64,
    fails: BTreeMap<Cause, f64>,
    #[serde(default)]
    sends_back: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TasksFile {
    least: u16,
    most: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssueFile {
    tasks: TasksFile,
    needs: f64,
    parts: u16,
    open_seconds: AmountFile,
    broken: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChecksFile {
    seconds: AmountFile,
    red: f64,
    cannot_run: f64,
    proves_nothing: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LandingFile {
    seconds: AmountFile,
    conflict: f64,
    red: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountFile {
    quota_hours: AmountFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonFile {
    answers_after_minutes: f64,
}

/// Turns what is written into what is meant, and finds what is wrong with it.
struct Reader {
    from: String,
    doubt: f64,
    worth: f64,
}

impl Reader {
    fn wrong(&self, why: String) -> Error {
        Error::Wrong {
            from: self.from.clone(),
            why,
        }
    }

    fn amount(&self, key: &str, file: &AmountFile, unit: f64) -> Result<Amount, Error> {
        let sound = |x: f64, least: f64| x.is_finite() && x >= least && x < 1e9;
        if !sound(file.typical, 1e-6) || !sound(file.spread, 1.0) {
            return Err(self.wrong(format!(
                "{key}: typical must be above 0 and spread at least 1, and they are {} and {}",
                file.typical, file.spread
            )));
        }
        Ok(Amount {
            mu: ln(file.typical * unit),
            sigma: ln(file.spread),
            doubt: ln(self.doubt),
        })
    }

    fn share(&self, key: &str, chance: f64) -> Result<f64, Error> {
        if (0.0..=1.0).contains(&chance) {
            return Ok(chance);
        }
        Err(self.wrong(format!(
            "{key}: a chance between 0 and 1 is expected, not {chance}"
        )))
    }

    fn chance(&self, key: &str, chance: f64) -> Result<Chance, Error> {
        Ok(Chance {
            mean: self.share(key, chance)?,
            worth: self.worth,
        })
    }

    fn role(&self, name: &str, file: RoleFile) -> Result<Habit, Error> {
        let key = |key: &str| format!("{name}.{key}");
        for (cause, chance) in &file.fails {
            self.share(&key(&format!("fails ({})", cause.phrase())), *chance)?;
        }
        let all = self.share(&key("fails, all together"), file.fails.values().sum())?;
        Ok(Habit {
            takes: self.amount(&key("minutes"), &file.minutes, 60_000.0)?,
            costs: self.amount(&key("cost_usd"), &file.cost_usd, 1_000_000.0)?,
            fails: self.chance(&key("fails"), all)?,
            causes: file.fails,
            asks: self.chance(&key("asks"), file.asks)?,
            sends_back: self.chance(&key("sends_back"), file.sends_back)?,
        })
    }
}

fn typed(table: toml::Table, from: &str) -> Result<Model, Error> {
    let file: File = table.try_into().map_err(|e: toml::de::Error| Error::Wrong {
        from: from.to_owned(),
        why: e.to_string().trim_end().replace('\n', " "),
    })?;
    let read = Reader {
        from: from.to_owned(),
        doubt: file.doubt,
        worth: file.worth,
    };
    if !(1.0..=100.0).contains(&file.doubt) || !(0.1..=1e6).contains(&file.worth) {
        return Err(read.wrong("doubt must be 1 to 100, and worth 0.1 or more".to_owned()));
    }
    let TasksFile { least, most } = file.issue.tasks;
    if least == 0 || most < least || most > 100 || file.issue.parts == 0 {
        return Err(read.wrong("issue: tasks must be 1 to 100, and parts at least 1".to_owned()));
    }
    let minutes = file.person.answers_after_minutes;
    if !(0.0..=100_000.0).contains(&minutes) {
        return Err(read.wrong("person.answers_after_minutes must be 0 (never) or more".to_owned()));
    }
    Ok(Model {
        roles: [
            read.role("author", file.author)?,
            read.role("engineer", file.engineer)?,
            read.role("reviewer", file.reviewer)?,
            read.role("tester", file.tester)?,
        ],
        known: BTreeMap::new(),
        checks: CheckHabit {
            takes: read.amount("checks.seconds", &file.checks.seconds, 1000.0)?,
            red: read.chance("checks.red", file.checks.red)?,
        },
        known_checks: BTreeMap::new(),
        cannot_run: read.share("checks.cannot_run", file.checks.cannot_run)?,
        proves_nothing: read.share("checks.proves_nothing", file.checks.proves_nothing)?,
        split: Split::Between(least, most),
        needs: read.share("issue.needs", file.issue.needs)?,
        parts: file.issue.parts,
        opens: read.amount("issue.open_seconds", &file.issue.open_seconds, 1000.0)?,
        broken: read.share("issue.broken", file.issue.broken)?,
        landing: LandingTime::AndChecks(read.amount("landing.seconds", &file.landing.seconds, 1000.0)?),
        conflict: read.chance("landing.conflict", file.landing.conflict)?,
        red_together: read.chance("landing.red", file.landing.red)?,
        quota: read.amount("account.quota_hours", &file.account.quota_hours, 3_600_000.0)?,
        // Milliseconds of at most 70 days: they fit.
        person: if minutes == 0.0 {
            Person::Absent
        } else {
            Person::AnswersAfter((minutes * 60_000.0) as u64)
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn what_is_assumed_is_sound() {
        let model = Model::assumed(None).unwrap();
        assert!((model.of_role(Role::Engineer).takes.mu - ln(540_000.0)).abs() < 1e-9);
        assert_eq!(model.person, Person::Absent);
    }

    fn over(text: &str) -> Result<Model, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Model::assumed(Some(file.path()))
    }

    #[test]
    fn a_file_replaces_what_it_names_and_nothing_else() {
        let model = over("[engineer]\nminutes = {typical = 2}\nfails = {agent = 0.5}\n").unwrap();
        let engineer = model.of_role(Role::Engineer);
        assert!((engineer.takes.mu - ln(120_000.0)).abs() < 1e-9);
        assert!((engineer.takes.sigma - ln(2.2)).abs() < 1e-9);
        assert_eq!(engineer.causes, [(Cause::Agent, 0.5)].into());
    }

    #[rstest]
    #[case("[enginer]\n", "enginer")]
    #[case("[engineer]\nasks = 2\n", "between 0 and 1")]
    #[case("[engineer]\nfails = {boredom = 0.1}\n", "boredom")]
    #[case("[checks]\nseconds = {typical = -1}\n", "above 0")]
    #[case("[issue]\ntasks = {least = 3, most = 2}\n", "1 to 100")]
    #[case("not toml", "expected")]
    fn what_makes_no_sense_is_refused(#[case] text: &str, #[case] told: &str) {
        let error = over(text).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
