//! Owns the configuration: reads its files, lays the layers over each other (embedded, user, repository,
//! environment, flags), and hands out typed values that know where they came from. Unknown keys are errors. It
//! reads no environment and no clock of its own: what is outside is an argument. It starts nothing.

mod agent_env;
mod agents;
mod budget;
mod disk;
pub mod env;
mod error;
mod file;
mod layer;
pub(crate) mod notify;
mod person;
mod personas;
mod policies;
mod preview;
mod prices;
mod pull_request;
mod repos;
mod sandbox;
pub mod schema;
mod shown;
mod source;
mod traces;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use include_dir::{Dir, include_dir};
use toml::Value;
use turno_agents::dialect;
use turno_agents::dialect::Support;
use turno_core::check::Reach;
use turno_core::config::{AgentLimits, Config, Confinement};
use turno_core::ids::{AgentName, PersonaName, PolicyName, RepoName};
use turno_core::liveness::Hears;
use turno_core::policy::Policy;
use turno_core::promotion::Manner;
use turno_core::retention::Ages;
use turno_core::units::{MicroUsd, Span};

pub use self::agent_env::EnvValue;
pub use self::agents::{AgentDialect, AgentSetup, MissingVar};
pub use self::env::EnvMap;
pub use self::error::{Error, Meant, Place};
pub use self::layer::Sources;
pub use self::notify::{Shape, Target, To, Webhook};
pub use self::person::{WorkUser, work_user};
pub use self::personas::{FRONT_KEYS, PersonaEntry, read_one as read_persona};
pub use self::policies::cause_name;
pub use self::preview::PreviewSetup;
pub use self::prices::{DEFAULT as DEFAULT_PRICE, Prices};
pub use self::pull_request::{ForgeChoice, PullRequests};
pub use self::repos::RepoSetup;
pub use self::sandbox::{Cache, Confine, SandboxSetup};
pub use self::shown::{Setting, Shown, policy_settings, settings};
pub use self::source::{Files, Layer, Places, Source, TextFile};
pub use self::traces::Traces;

use self::file::{Settings, Switch};
use self::layer::Layers;
use crate::known::Use;
use crate::room::Floor;

static PERSONAS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../personas");
static POLICIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../policies");
const DEFAULTS: &str = include_str!("config/defaults.toml");
const PRICE_LIST: &str = "prices.toml";

/// What a person typed as flags. `None` and empty mean that the flag was not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--slots`
    pub slots: Option<u16>,
    /// `--budget`
    pub budget: Option<MicroUsd>,
    /// `--policy`
    pub policy: Option<PolicyName>,
    /// `--agent`: who plays every persona, best first.
    pub agents: Vec<AgentName>,
    /// `--no-sandbox`
    pub confine: Confine,
    /// `--no-cache`
    pub cache: Fresh,
}

/// Whether what checks have shown before is used, as a flag says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fresh {
    /// As the configuration says.
    #[default]
    AsConfigured,
    /// No: each check is run each time.
    Always,
}

/// Everything a configuration is made of.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Where files are; scripts of agents are found from there.
    pub places: Places,
    /// The files that are there.
    pub files: Files,
    /// The environment.
    pub env: EnvMap,
    /// The flags.
    pub flags: Overrides,
}

/// What happens once in each new slot of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// A shell command, run at the top of the slot.
    pub command: Option<String>,
    /// Limit for the command with everything it started.
    pub timeout: Span,
    /// Files to copy from the user's checkout, as paths below its top.
    pub copy: Vec<String>,
    /// What the command reaches of the network.
    pub network: Reach,
}

/// What may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// By one shift.
    pub shift: MicroUsd,
}

/// A configuration that has been checked as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What the core is told.
    pub core: Config,
    /// How each agent is launched.
    pub agents: BTreeMap<AgentName, AgentSetup>,
    /// All personas with their files, in ring order; the same as in `core`.
    pub personas: Vec<PersonaEntry>,
    /// All policies; the one in `core` is among them.
    pub policies: BTreeMap<PolicyName, Policy>,
    /// What models cost.
    pub prices: Prices,
    /// What happens in a new slot of the repository that holds `turno.toml`.
    pub setup: Setup,
    /// The other repositories of the workspace; their checks are in `core`.
    pub repos: BTreeMap<RepoName, RepoSetup>,
    /// What confined programs may do besides what they are for.
    pub sandbox: SandboxSetup,
    /// Whether what checks have shown before is used.
    pub cache: Use,
    /// What may be spent.
    pub budget: Budget,
    /// How long things are kept that nobody needs.
    pub retention: Ages,
    /// The room on disks below which nothing is started.
    pub disk: Floor,
    /// How a change is looked at while it runs; nothing where no command is set.
    pub preview: Option<PreviewSetup>,
    /// How work is put on a branch of the user's where nothing else is said.
    pub promote: Manner,
    /// How pull requests are opened.
    pub pull_request: PullRequests,
    /// Where traces are sent.
    pub traces: Traces,
    /// Who is told what happens.
    pub notify: Vec<Target>,
    /// Where each key's value came from.
    pub sources: Sources,
}

/// Reads and checks the whole configuration.
///
/// # Errors
/// When a file cannot be read, a key is unknown, a value does not do, or the whole makes no sense.
pub fn load(places: &Places, env: &EnvMap, flags: &Overrides) -> Result<Loaded, Error> {
    build(&Inputs {
        places: places.clone(),
        files: Files::read(places)?,
        env: env.clone(),
        flags: flags.clone(),
    })
}

/// Checks a configuration that has been read. Pure.
///
/// # Errors
/// As [`load`], without those of reading.
pub fn build(inputs: &Inputs) -> Result<Loaded, Error> {
    let mut layers = Layers::new(schema::SETTINGS);
    layers.add_file(&embedded("defaults.toml", DEFAULTS))?;
    for file in &inputs.files.settings {
        layers.add_file(file)?;
    }
    let forced = override_values(&mut layers, inputs)?;
    let settings: Settings = layers.typed()?;

    let mut prices = Prices::read(&embedded(PRICE_LIST, text_of(&POLICIES, PRICE_LIST)))?;
    prices.add(&settings.prices);
    let policies = policies::read(&[embedded_policies(), inputs.files.policies.clone()].concat())?;
    let mut personas = personas::read(&[embedded_personas(), inputs.files.personas.clone()].concat())?;
    let mut agents = BTreeMap::new();
    let mut limits = BTreeMap::new();
    for (name, file) in &settings.agents {
        let setup = agents::setup(name, file, &layers, &inputs.places, &inputs.env)?;
        let hears = match dialect(setup.dialect.kind()).capabilities().nudge {
            Support::Yes => Hears::Nudges,
            Support::No => Hears::Nothing,
        };
        agents.insert(name.clone(), setup);
        let at_once = file.at_once.map_or(2, |n| n.0);
        let agent = AgentLimits {
            at_once,
            tariff: file.plan,
            allowance: file.budget.allowance(),
            hears,
        };
        limits.insert(name.clone(), agent);
    }
    validate::patch(&mut personas, &settings, &layers, forced)?;
    let policy = validate::policy(&settings.policy, &policies, &layers)?;
    let core = Config {
        policy,
        personas: personas.iter().map(|e| e.persona.clone()).collect(),
        agents: limits,
        checks: repos::checks(&settings.checks, &layers, &["checks"]),
        repos: repos::for_core(&settings, &layers),
        slots: settings.slots.0,
        urgent_slots: settings.urgent_slots.0,
        confinement: Confinement::Off,
        budgets: settings.budget.levels(),
        disk_wait: settings.disk.wait,
    };
    let repos = repos::setups(&settings, &layers, inputs)?;
    let loaded = Loaded {
        core,
        agents,
        personas,
        policies,
        prices,
        setup: repos::setup(&settings.setup),
        repos,
        sandbox: sandbox::sandbox(&settings, &layers, inputs)?,
        cache: cache(&settings, &layers, inputs.flags.cache)?,
        budget: Budget {
            shift: settings.budget.shift_usd.0,
        },
        retention: settings.retention.ages(),
        disk: settings.disk.floor(),
        preview: preview::preview(&settings.preview, &layers)?,
        promote: settings.promote,
        pull_request: settings.pull_request.meant(&layers)?,
        traces: settings.traces.meant(&layers, &inputs.env)?,
        notify: notify::targets(&settings.notify, &layers, inputs)?,
        sources: layers.sources(),
    };
    validate::whole(&loaded, &layers)?;
    Ok(loaded)
}

fn cache(settings: &Settings, layers: &Layers, fresh: Fresh) -> Result<Use, Error> {
    let verify_percent = u8::try_from(settings.cache.verify_percent.0)
        .ok()
        .filter(|p| *p <= 100);
    let verify_percent = verify_percent.ok_or_else(|| {
        layers.wrong(
            &["cache", "verify_percent"],
            "at most 100 is possible; set it to 5",
        )
    })?;
    Ok(match (settings.cache.checks, fresh) {
        (Switch::On, Fresh::AsConfigured) => Use::Yes { verify_percent },
        (Switch::Off, _) | (Switch::On, Fresh::Always) => Use::No,
    })
}

impl Loaded {
    /// The persona of that name, with its file.
    ///
    /// # Errors
    /// When there is none.
    pub fn persona(&self, name: &str) -> Result<&PersonaEntry, Error> {
        let known = || self.personas.iter().map(|e| e.persona.name.as_str());
        self.personas
            .iter()
            .find(|e| e.persona.name.as_str() == name)
            .ok_or_else(|| {
                Error::Whole(format!(
                    "there is no persona `{name}`; {}",
                    Meant::among(name, known())
                ))
            })
    }

    /// This configuration on a machine where only some of the agents are there. Agents that are not are taken out
    /// of every persona's list, and a persona that nobody can play is left out.
    ///
    /// # Errors
    /// When what is left cannot work, e.g. because nobody can write.
    pub fn with_agents_present(mut self, present: &BTreeSet<AgentName>) -> Result<Self, Error> {
        self.core.agents.retain(|name, _| present.contains(name));
        self.agents.retain(|name, _| present.contains(name));
        for entry in &mut self.personas {
            entry.persona.agents.retain(|name| present.contains(name));
        }
        self.personas.retain(|e| !e.persona.agents.is_empty());
        self.core.personas = self.personas.iter().map(|e| e.persona.clone()).collect();
        validate::staffed(
            &self.core,
            "no agent that may play it is installed; `turno doctor` shows which are found",
        )?;
        Ok(self)
    }

    /// How slots of a repository are set up; `None` for one that is not configured.
    pub fn setup_of(&self, repo: &RepoName) -> Option<&Setup> {
        if *repo == RepoName::default() {
            return Some(&self.setup);
        }
        self.repos.get(repo).map(|r| &r.setup)
    }

    /// Where the value of a key came from, e.g. `budget.shift_usd`.
    pub fn source(&self, key: &str) -> Source {
        self.sources.get(key).cloned().unwrap_or(Source::Default)
    }
}

/// The names of the built-in personas.
///
/// # Errors
/// When an embedded file is not in order, which a test rules out.
pub fn built_in_personas() -> Result<Vec<PersonaName>, Error> {
    Ok(personas::read(&embedded_personas())?
        .into_iter()
        .map(|e| e.persona.name)
        .collect())
}

fn override_values(layers: &mut Layers, inputs: &Inputs) -> Result<Option<(Vec<AgentName>, Source)>, Error> {
    let path = |key: &str| key.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (slots, budget, policy) = (path("slots"), path("budget.shift_usd"), path("policy"));
    let mut forced = None;
    if let Some(text) = env::SLOTS.of(&inputs.env) {
        let number = text
            .trim()
            .parse()
            .map_or_else(|_| Value::String(text.to_owned()), Value::Integer);
        layers.set(
            &slots,
            number,
            Source::Env {
                name: env::SLOTS.name,
            },
        );
    }
    if let Some(text) = env::BUDGET.of(&inputs.env) {
        let source = Source::Env {
            name: env::BUDGET.name,
        };
        layers.set(&budget, Value::String(text.trim().to_owned()), source);
    }
    if let Some(text) = env::POLICY.of(&inputs.env) {
        let source = Source::Env {
            name: env::POLICY.name,
        };
        layers.set(&policy, Value::String(text.trim().to_owned()), source);
    }
    if let Some(text) = env::AGENT.of(&inputs.env) {
        let from = Source::Env {
            name: env::AGENT.name,
        };
        let names: Result<Vec<AgentName>, _> = text.split(',').map(|n| n.trim().parse()).collect();
        let names = names.map_err(|e| Error::Value {
            key: "agents of every persona".to_owned(),
            value: text.to_owned(),
            from: from.clone(),
            why: format!("{e}; agents are named with commas, like claude,codex"),
        })?;
        forced = Some((names, from));
    }
    let flags = &inputs.flags;
    if let Some(n) = flags.slots {
        layers.set(&slots, Value::Integer(n.into()), Source::Flag { name: "--slots" });
    }
    if let Some(sum) = flags.budget {
        let dollars = format!("{}.{:06}", sum.0 / 1_000_000, sum.0 % 1_000_000);
        let dollars = dollars.trim_end_matches('0').trim_end_matches('.').to_owned();
        layers.set(&budget, Value::String(dollars), Source::Flag { name: "--budget" });
    }
    if let Some(name) = &flags.policy {
        layers.set(
            &policy,
            Value::String(name.to_string()),
            Source::Flag { name: "--policy" },
        );
    }
    if !flags.agents.is_empty() {
        forced = Some((flags.agents.clone(), Source::Flag { name: "--agent" }));
    }
    Ok(forced)
}

fn embedded(name: &str, text: &str) -> TextFile {
    TextFile {
        layer: Layer::Embedded,
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn text_of<'a>(dir: &'a Dir<'_>, name: &str) -> &'a str {
    dir.get_file(name)
        .and_then(include_dir::File::contents_utf8)
        .unwrap_or_default()
}

fn embedded_files(dir: &Dir<'_>, shown: &str) -> Vec<TextFile> {
    let named = |f: &include_dir::File<'_>| {
        let name = f.path().to_string_lossy().into_owned();
        (name, f.contents_utf8().unwrap_or_default().to_owned())
    };
    let mut files: Vec<TextFile> = dir
        .files()
        .map(named)
        .map(|(name, text)| embedded(&format!("{shown}/{name}"), &text))
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn embedded_personas() -> Vec<TextFile> {
    embedded_files(&PERSONAS, "built-in personas")
}

fn embedded_policies() -> Vec<TextFile> {
    let mut files = embedded_files(&POLICIES, "built-in policies");
    files.retain(|f| !f.name.ends_with(PRICE_LIST));
    files
}
