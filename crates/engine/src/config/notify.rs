//! Owns the `[notify]` tables of `turno.toml`: who is told what, by which way, and when not. It looks up no secret and
//! sends nothing. What a repository may not say of it is refused here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use turno_core::ids::TargetName;
use turno_core::notice::{Kind, Quiet};
use turno_core::units::Span;

use crate::config::Inputs;
use crate::config::agent_env::{EnvFile, EnvValue, value};
use crate::config::env::HOME;
use crate::config::error::Error;
use crate::config::layer::Layers;
use crate::config::source::{Layer, Source};

/// Someone or something that is told what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// By which way.
    pub to: To,
    /// Of what.
    pub on: BTreeSet<Kind>,
    /// When nothing is told, by the clock of the user's place.
    pub quiet: Option<Quiet>,
    /// From one message to the next; what comes meanwhile is told together.
    pub at_most_every: Span,
}

/// By which way a target is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// On the user's desktop.
    Desktop,
    /// By a POST to an address.
    Webhook(Webhook),
    /// By a program of the user's, outside of every sandbox.
    Command {
        /// The program, by name or path, and its arguments.
        argv: Vec<String>,
        /// Limit for the program with everything it started.
        timeout: Span,
    },
}

/// An address and what is sent there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is.
    pub url: EnvValue,
    /// What is sent.
    pub shape: Shape,
    /// What a message is signed with.
    pub secret: Option<EnvValue>,
    /// What opens the address, as a bearer's token.
    pub token: Option<EnvValue>,
}

/// What is sent to a webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Turno's own JSON.
    #[default]
    Plain,
    /// For an incoming webhook of Slack, Mattermost and the like.
    Slack,
    /// For a webhook of Discord.
    Discord,
    /// For a topic of ntfy.
    Ntfy,
}

/// The way, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Desktop,
    Webhook,
    Command,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Desktop => "desktop",
            Self::Webhook => "webhook",
            Self::Command => "command",
        })
    }
}

/// A target, as it is written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotifyFile {
    to: Option<Way>,
    url: Option<EnvFile>,
    shape: Option<Shape>,
    secret: Option<EnvFile>,
    token: Option<EnvFile>,
    command: Option<Vec<String>>,
    timeout: Option<Span>,
    on: Option<BTreeSet<Kind>>,
    #[serde(default, deserialize_with = "quiet")]
    quiet: Option<Quiet>,
    at_most_every: Option<Span>,
}

fn quiet<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Quiet>, D::Error> {
    let text: String = serde::Deserialize::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// From one message to the next where nothing is said.
const EVERY: Span = Span::seconds(60);
/// The limit of a program for which nothing is said.
const TIMEOUT: Span = Span::seconds(30);
/// A program is not waited for any longer than this, because a shift ends with it.
const LONGEST: Span = Span::seconds(300);

/// The targets, in the order of their names.
pub(super) fn targets(
    written: &BTreeMap<TargetName, NotifyFile>,
    layers: &Layers,
    inputs: &Inputs,
) -> Result<Vec<Target>, Error> {
    // A target is written in one file: what a repository says would else be sent to, or with the token of, the person.
    let (own, of_repo) = (names(inputs, Layer::User), names(inputs, Layer::Repo));
    if let Some(name) = of_repo.intersection(&own).next() {
        let why = "your own turno.toml has a target of this name too; choose another name for one of them";
        return Err(layers.wrong(&["notify", name], why));
    }
    let target = |(name, file)| {
        Reading {
            name,
            file,
            layers,
            inputs,
        }
        .target()
    };
    written.iter().map(target).collect()
}

/// The targets that the files of a layer name.
fn names(inputs: &Inputs, layer: Layer) -> BTreeSet<String> {
    let files = inputs.files.settings.iter().filter(|f| f.layer == layer);
    // What is no TOML was refused before.
    let tables = files.filter_map(|f| f.text.parse::<toml::Table>().ok());
    let names = tables.filter_map(|t| Some(t.get("notify")?.as_table()?.keys().cloned().collect::<Vec<_>>()));
    names.flatten().collect()
}

struct Reading<'a> {
    name: &'a TargetName,
    file: &'a NotifyFile,
    layers: &'a Layers,
    inputs: &'a Inputs,
}

impl Reading<'_> {
    fn wrong(&self, key: &str, why: impl Into<String>) -> Error {
        self.layers.wrong(&["notify", self.name.as_str(), key], why)
    }

    /// The same of what may be a secret: it is not repeated.
    fn wrong_secret(&self, key: &str, why: impl Into<String>) -> Error {
        Error::Table {
            key: format!("notify.{}.{key}", self.name),
            from: self.source(key),
            why: why.into(),
        }
    }

    fn source(&self, key: &str) -> Source {
        self.layers.source(&["notify", self.name.as_str(), key])
    }

    fn is_of_repo(&self, key: &str) -> bool {
        matches!(self.source(key), Source::RepoFile { .. })
    }

    fn target(&self) -> Result<Target, Error> {
        let file = self.file;
        let Some(way) = file.to else {
            let why = "it is not said how it is told; add to = \"desktop\", \"webhook\" or \"command\"";
            return Err(self.layers.wrong(&["notify", self.name.as_str()], why));
        };
        let keys = [
            ("url", file.url.is_some(), Way::Webhook),
            ("shape", file.shape.is_some(), Way::Webhook),
            ("secret", file.secret.is_some(), Way::Webhook),
            ("token", file.token.is_some(), Way::Webhook),
            ("command", file.command.is_some(), Way::Command),
            ("timeout", file.timeout.is_some(), Way::Command),
        ];
        if let Some((key, _, of)) = keys.into_iter().find(|(_, is_set, of)| *is_set && *of != way) {
            let why = format!("only a target with to = \"{of}\" has it; this one has to = \"{way}\"");
            return Err(self.wrong_secret(key, why));
        }
        let to = match way {
            Way::Desktop => {
                self.own("to", "does not open windows on your desktop")?;
                To::Desktop
            }
            Way::Webhook => To::Webhook(self.webhook()?),
            Way::Command => self.command()?,
        };
        let usual = || Kind::TOLD.into_iter().filter(|k| k.is_usual()).collect();
        let on: BTreeSet<Kind> = file.on.clone().unwrap_or_else(usual);
        if on.is_empty() {
            return Err(self.wrong(
                "on",
                "it is told of nothing; name some kinds, or take the target out",
            ));
        }
        if on.contains(&Kind::Test) {
            return Err(self.wrong(
                "on",
                "a test is told when `turno notify test` is typed; take `test` out",
            ));
        }
        Ok(Target {
            name: self.name.clone(),
            to,
            on,
            quiet: file.quiet,
            at_most_every: file.at_most_every.unwrap_or(EVERY),
        })
    }

    fn webhook(&self) -> Result<Webhook, Error> {
        let file = self.file;
        let Some(url) = &file.url else {
            let why = "a target with to = \"webhook\" needs an address; add url = \"https://...\" or url = \"$NAME\"";
            return Err(self.layers.wrong(&["notify", self.name.as_str()], why));
        };
        let url = self.value("url", url)?;
        if let EnvValue::Text(text) = &url {
            address(text).map_err(|why| self.wrong_secret("url", why))?;
        }
        if file.token.is_some() {
            self.own("token", "does not send your tokens anywhere")?;
        }
        let value = |key: &'static str, written: &Option<EnvFile>| {
            written.as_ref().map(|w| self.value(key, w)).transpose()
        };
        let secret = value("secret", &file.secret)?;
        if let Some(EnvValue::FromUser(_)) = &secret {
            // A repository chooses the address too: guesses of the value could be tried there against what it signed.
            self.own("secret", "signs nothing with a variable of yours")?;
        }
        Ok(Webhook {
            url,
            shape: file.shape.unwrap_or_default(),
            secret,
            token: value("token", &file.token)?,
        })
    }

    fn command(&self) -> Result<To, Error> {
        let Some(argv) = &self.file.command else {
            let why =
                "a target with to = \"command\" needs a program; add command = [\"program\", \"argument\"]";
            return Err(self.layers.wrong(&["notify", self.name.as_str()], why));
        };
        self.own("command", "starts no program of its own outside of the sandbox")?;
        if argv.first().is_none_or(|p| p.trim().is_empty()) {
            return Err(self.wrong("command", "a program is expected, with its arguments after it"));
        }
        let timeout = self.file.timeout.unwrap_or(TIMEOUT);
        if timeout == Span(0) || timeout > LONGEST {
            return Err(self.wrong(
                "timeout",
                format!("more than nothing and at most {LONGEST} is possible"),
            ));
        }
        let argv = argv.clone();
        Ok(To::Command { argv, timeout })
    }

    fn value(&self, key: &'static str, written: &EnvFile) -> Result<EnvValue, Error> {
        let base: &Path = self.inputs.places.directory_of(&self.source(key));
        let understood = value(written, base, HOME.of(&self.inputs.env));
        let understood = understood.map_err(|why| self.wrong_secret(key, why))?;
        match &understood {
            EnvValue::FromFile(_) | EnvValue::FromCommand(_) => {
                self.own(key, "reads no files and runs no commands of yours for this")?;
            }
            EnvValue::Text(_) | EnvValue::FromUser(_) => {}
        }
        Ok(understood)
    }

    /// Refuses what is the person's alone where a repository's file says it.
    fn own(&self, key: &str, why: &str) -> Result<(), Error> {
        if self.is_of_repo(key) {
            let why = format!("a repository {why}; write it into your own ~/.config/turno/turno.toml");
            return Err(self.wrong_secret(key, why));
        }
        Ok(())
    }
}

/// Whether a text is an address that can be posted to.
pub(crate) fn address(text: &str) -> Result<(), String> {
    let expected = "an address is expected, like https://hooks.example/turno";
    let uri: hyper::Uri = text.parse().map_err(|e| format!("{expected} ({e})"))?;
    let scheme = uri.scheme_str();
    if !matches!(scheme, Some("https" | "http")) || uri.host().is_none_or(str::is_empty) {
        return Err(expected.to_owned());
    }
    Ok(())
}
