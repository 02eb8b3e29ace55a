//! Owns how assumptions are written: the embedded file, one laid over it, and what makes no sense in them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use turno_core::failure::Cause;

use super::super::dice::ln;
use super::{
    Amount, Chance, CheckHabit, Course, Error, Failing, Fault, Habit, Kinship, LandingTime, Model, Person,
    Prone, Split, Work,
};

const ASSUMED: &str = include_str!("../assumed.toml");

/// What is assumed, with the keys of a file laid over it.
pub(super) fn read(over: Option<&Path>) -> Result<Model, Error> {
    let wrong = |from: &str, e: &toml::de::Error| Error::Wrong {
        from: from.to_owned(),
        why: e.to_string().trim_end().to_owned(),
    };
    let built_in = "the embedded assumptions";
    let mut table: toml::Table = toml::from_str(ASSUMED).map_err(|e| wrong(built_in, &e))?;
    let Some(path) = over else {
        return typed(table, built_in);
    };
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let from = path.display().to_string();
    let own: toml::Table = toml::from_str(&text).map_err(|e| wrong(&from, &e))?;
    lay_over(&mut table, own);
    typed(table, &from)
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
    tasks: TasksFile,
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
    tokens_k: AmountFile,
    turns: AmountFile,
    asks: f64,
    fails: BTreeMap<Cause, f64>,
    #[serde(default)]
    sends_back: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PiecesFile {
    least: u16,
    most: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TasksFile {
    again: f64,
    again_worth: f64,
    as_issue: f64,
    as_before: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssueFile {
    tasks: PiecesFile,
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
    again: Chance,
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
        self.share(&key("fails, all together"), file.fails.values().sum())?;
        let mut fails = BTreeMap::new();
        for (cause, chance) in file.fails {
            let chance = match Fault::of(cause) {
                Fault::Task => self.prone(&key("fails"), chance)?,
                Fault::World => Prone::alike(self.chance(&key("fails"), chance)?),
            };
            let course = Course::Unseen;
            fails.insert(cause, Failing { chance, course });
        }
        Ok(Habit {
            work: Work {
                takes: self.amount(&key("minutes"), &file.minutes, 60_000.0)?,
                costs: self.amount(&key("cost_usd"), &file.cost_usd, 1_000_000.0)?,
                tokens: self.amount(&key("tokens_k"), &file.tokens_k, 1000.0)?,
                turns: self.amount(&key("turns"), &file.turns, 1.0)?,
            },
            fails,
            asks: self.prone(&key("asks"), file.asks)?,
            sends_back: self.prone(&key("sends_back"), file.sends_back)?,
        })
    }

    /// A chance that differs between tasks.
    fn prone(&self, key: &str, chance: f64) -> Result<Prone, Error> {
        Ok(Prone::assumed(self.chance(key, chance)?, self.again))
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
        again: Chance {
            mean: file.tasks.again,
            worth: file.tasks.again_worth,
        },
    };
    let Chance { mean, worth } = read.again;
    if !(0.001..=0.999).contains(&mean) || !(0.1..=1e6).contains(&worth) {
        return Err(read.wrong(format!(
            "tasks: again must be between 0 and 1, neither of them, and again_worth 0.1 or more; they are {mean} and \
             {worth}"
        )));
    }
    if !(1.0..=100.0).contains(&file.doubt) || !(0.1..=1e6).contains(&file.worth) {
        return Err(read.wrong("doubt must be 1 to 100, and worth 0.1 or more".to_owned()));
    }
    let PiecesFile { least, most } = file.issue.tasks;
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
            red: read.prone("checks.red", file.checks.red)?,
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
        kinship: Kinship {
            again: read.again,
            as_issue: read.share("tasks.as_issue", file.tasks.as_issue)?,
            as_before: read.share("tasks.as_before", file.tasks.as_before)?,
        },
        // Milliseconds of at most 70 days: they fit.
        person: if minutes == 0.0 {
            Person::Absent
        } else {
            Person::AnswersAfter((minutes * 60_000.0) as u64)
        },
    })
}
