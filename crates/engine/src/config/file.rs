//! Owns the types of `turno.toml`, as written: the shape of each value. Whether the whole makes sense is
//! `validate.rs`'s to say.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use turno_agents::DialectKind;
use turno_core::check::Reach;
use turno_core::container::Container;
use turno_core::ids::{AgentName, CheckName, PersonaName, PolicyName, RepoName, TargetName};
use turno_core::ledger::{Day, Tariff};
use turno_core::persona::Effort;
use turno_core::promotion::Manner;
use turno_core::retention::Ages;
use turno_core::units::{MicroUsd, Price, Span};
use turno_sandbox::limits::CpuWeight;

use crate::config::agent_env::EnvFile;
use crate::config::budget::{AllowanceFile, BudgetFile};
use crate::config::disk::DiskFile;
use crate::config::notify::NotifyFile;
use crate::config::preview::PreviewFile;
use crate::config::pull_request::PullRequestFile;
use crate::config::traces::TracesFile;

/// US dollars, as a number or a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usd(pub(super) MicroUsd);

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dollars;
        impl Visitor<'_> for Dollars {
            type Value = Usd;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("US dollars, like 5 or 0.25")
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Usd, E> {
                self.visit_str(&v.to_string())
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Usd, E> {
                self.visit_str(&v.to_string())
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Usd, E> {
                self.visit_str(&v.to_string())
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Usd, E> {
                v.parse().map(Usd).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Dollars)
    }
}

/// A small whole number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Whole(pub(super) u16);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Whole;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Whole, E> {
                let wrong = || E::custom(format!("a whole number from 0 to {} is expected", u16::MAX));
                u16::try_from(v).map(Whole).map_err(|_| wrong())
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Whole, E> {
                self.visit_i64(i64::try_from(v).unwrap_or(i64::MAX))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) slots: Whole,
    pub(super) urgent_slots: Whole,
    pub(super) policy: PolicyName,
    pub(super) promote: Manner,
    pub(super) budget: BudgetFile,
    pub(super) cache: CacheFile,
    #[serde(default)]
    pub(super) checks: BTreeMap<CheckName, CheckFile>,
    #[serde(default)]
    pub(super) agents: BTreeMap<AgentName, AgentFile>,
    pub(super) setup: SetupFile,
    #[serde(default)]
    pub(super) sandbox: SandboxFile,
    #[serde(default)]
    pub(super) network: NetworkFile,
    #[serde(default)]
    pub(super) limits: LimitsFile,
    pub(super) retention: RetentionFile,
    pub(super) disk: DiskFile,
    pub(super) preview: PreviewFile,
    pub(super) pull_request: PullRequestFile,
    #[serde(default)]
    pub(super) traces: TracesFile,
    #[serde(default)]
    pub(super) repos: BTreeMap<RepoName, RepoFile>,
    #[serde(default)]
    pub(super) notify: BTreeMap<TargetName, NotifyFile>,
    #[serde(default)]
    pub(super) personas: BTreeMap<PersonaName, PersonaPatch>,
    #[serde(default)]
    pub(super) prices: BTreeMap<String, PriceFile>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CacheFile {
    pub(super) checks: Switch,
    pub(super) verify_percent: Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Switch {
    On,
    Off,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckFile {
    pub(super) command: String,
    #[serde(default = "ten_minutes")]
    pub(super) timeout: Span,
    #[serde(default)]
    pub(super) network: Reach,
    pub(super) container: Option<Container>,
}

/// The limit of a check or a setup that names none.
pub(super) fn ten_minutes() -> Span {
    Span::seconds(600)
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentFile {
    pub(super) dialect: DialectKind,
    pub(super) program: Option<String>,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, EnvFile>,
    #[serde(default)]
    pub(super) pass_env: Vec<String>,
    pub(super) at_once: Option<Whole>,
    #[serde(default)]
    pub(super) plan: Tariff,
    #[serde(default)]
    pub(super) budget: AllowanceFile,
    pub(super) script: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetupFile {
    pub(super) command: Option<String>,
    #[serde(default = "ten_minutes")]
    pub(super) timeout: Span,
    #[serde(default)]
    pub(super) copy: Vec<String>,
    #[serde(default = "open")]
    pub(super) network: Reach,
}

/// What a setup fetches comes from registries that nobody has listed, and it runs before any agent has written a line.
fn open() -> Reach {
    Reach::Open
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SandboxFile {
    #[serde(default)]
    pub(super) caches: Vec<String>,
    #[serde(default)]
    pub(super) read: Vec<String>,
    pub(super) user: Option<String>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkFile {
    #[serde(default)]
    pub(super) agents: AgentReach,
    #[serde(default)]
    pub(super) allow: Vec<String>,
    pub(super) proxy: Option<String>,
}

/// Limits that are not written are the built-in ones.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFile {
    pub(super) memory_mib: Option<u32>,
    pub(super) processes: Option<u32>,
    pub(super) open_files: Option<u32>,
    pub(super) file_mib: Option<u32>,
    pub(super) disk_mib: Option<u32>,
    pub(super) files: Option<u32>,
    pub(super) cpu_weight: Option<CpuWeight>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionFile {
    attempts: Span,
    homes: Span,
    salvage: Span,
}

impl RetentionFile {
    pub(super) fn ages(&self) -> Ages {
        Ages {
            attempts: self.attempts,
            homes: self.homes,
            salvage: self.salvage,
        }
    }
}

/// What agents reach of the network. Without their provider they are nothing.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AgentReach {
    #[default]
    Hosts,
    Open,
}

/// A repository that says nothing of its setup has none.
impl Default for SetupFile {
    fn default() -> Self {
        Self {
            command: None,
            timeout: ten_minutes(),
            copy: Vec::new(),
            network: open(),
        }
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepoFile {
    pub(super) path: String,
    #[serde(default)]
    pub(super) checks: BTreeMap<CheckName, CheckFile>,
    #[serde(default)]
    pub(super) setup: SetupFile,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonaPatch {
    pub(super) agents: Option<Vec<AgentName>>,
    pub(super) model: Option<String>,
    pub(super) effort: Option<Effort>,
    pub(super) budget_usd: Option<Usd>,
    pub(super) wall_clock: Option<Span>,
    pub(super) at_once: Option<Whole>,
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceFile {
    input: Usd,
    output: Usd,
    cache_read: Option<Usd>,
    cache_write: Option<Usd>,
    /// For people: read, so that a date that is none is seen, and not used.
    #[serde(rename = "as_of")]
    _as_of: Option<Day>,
    #[serde(rename = "source")]
    _source: Option<SourceNote>,
}

/// Where a price is from, in words. For people.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceNote;

impl<'de> Deserialize<'de> for SourceNote {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|_| Self)
    }
}

impl PriceFile {
    /// Cached tokens without a price of their own cost as much as others: the guess is never too low for reads.
    pub(super) fn price(self) -> Price {
        Price {
            input: self.input.0,
            output: self.output.0,
            cache_read: self.cache_read.unwrap_or(self.input).0,
            cache_write: self.cache_write.unwrap_or(self.input).0,
        }
    }
}
