//! Owns the ways by which a target is told, with what they need looked up: a window on the desktop, a webhook, a
//! program of the user's. It must not know when or how often.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use turno_core::ids::TargetName;
use turno_core::notice::Message;
use turno_core::units::Span;

use super::post::{self, Stamp};
use super::shape::{is_urgent, letter, plain};
use crate::config::notify::address;
use crate::config::{EnvMap, EnvValue, Shape, Target, To, Webhook};
use crate::process::{self, Call, End, Input};
use crate::redact::Redaction;
use crate::secret::Secret;
use crate::wallet::{LookUp, OpenToOthers};

/// The program that opens a window on the desktop.
const DESKTOP: &str = "notify-send";
/// It only hands the words over.
const DESKTOP_LIMIT: Duration = Duration::from_secs(10);
/// What a program may say; nobody reads it but for the end of a failure.
const OUTPUT: usize = 1 << 20;
/// So much of what a failed program said is shown.
const SAID: usize = 200;
/// So much text fits into a window.
const WINDOW: usize = 600;

/// A target that can be told.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) target: Target,
    pub(super) means: Means,
}

/// By which way, with all that it needs.
#[derive(Debug, Clone)]
pub(super) enum Means {
    Desktop,
    Webhook {
        url: Secret,
        shape: Shape,
        secret: Option<Secret>,
        token: Option<Secret>,
    },
    Command {
        argv: Vec<String>,
        limit: Duration,
    },
}

/// Why a target was not told, or it is not known that it was.
#[derive(Debug)]
pub(super) struct Failed {
    /// In words, without secrets.
    pub(super) why: String,
    /// For how long it asked to be left alone.
    pub(super) after: Option<Span>,
}

impl Failed {
    pub(super) fn because(why: String) -> Self {
        Self { why, after: None }
    }
}

/// The targets of a workspace, with their secrets looked up.
#[derive(Debug, Default)]
pub struct Book {
    pub(super) ready: Vec<Ready>,
    secrets: Vec<Secret>,
    /// Why targets are told nothing, in words with what to do.
    pub problems: BTreeMap<TargetName, String>,
    /// Files with secrets that others may read.
    pub open: Vec<OpenToOthers>,
}

impl Book {
    /// Looks up what each target needs. Commands are run in `at`. A target that lacks something is a problem and holds
    /// nothing back.
    pub async fn open(targets: &[Target], env: &EnvMap, at: &Path) -> Self {
        let mut book = Self::default();
        let mut look_up = LookUp::new(env, at);
        for target in targets {
            match book.means(&mut look_up, target, env).await {
                Ok(means) => book.ready.push(Ready {
                    target: target.clone(),
                    means,
                }),
                Err(why) => drop(book.problems.insert(target.name.clone(), why)),
            }
        }
        book.open = look_up.open();
        book
    }

    /// What must not be written down.
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.iter().map(|s| s.reveal().to_owned()).collect()
    }

    async fn means(
        &mut self,
        look_up: &mut LookUp<'_>,
        target: &Target,
        env: &EnvMap,
    ) -> Result<Means, String> {
        match &target.to {
            To::Desktop => {
                if find(DESKTOP, env).is_none() {
                    return Err(format!(
                        "`{DESKTOP}` is not on your PATH, so nothing is told on the desktop; install it (libnotify), \
                         or take [notify.{}] out",
                        target.name
                    ));
                }
                Ok(Means::Desktop)
            }
            To::Webhook(hook) => self.webhook(look_up, &target.name, hook).await,
            To::Command { argv, timeout } => Ok(Means::Command {
                argv: argv.clone(),
                limit: Duration::from_millis(timeout.0),
            }),
        }
    }

    async fn webhook(
        &mut self,
        look_up: &mut LookUp<'_>,
        name: &TargetName,
        hook: &Webhook,
    ) -> Result<Means, String> {
        let mut found = Vec::new();
        for (key, from) in [
            ("url", Some(&hook.url)),
            ("secret", hook.secret.as_ref()),
            ("token", hook.token.as_ref()),
        ] {
            let Some(from) = from else {
                found.push(None);
                continue;
            };
            let key = format!("notify.{name}.{key}");
            let value = look_up.value(&key, from).await.map_err(|e| e.to_string())?;
            found.push(Some(value));
        }
        let [Some(url), secret, token] = <[_; 3]>::try_from(found).unwrap_or_default() else {
            return Err(format!("notify.{name}.url: it gives nothing"));
        };
        address(url.reveal()).map_err(|_| {
            format!("notify.{name}.url: what it gives is no address, like https://hooks.example/turno")
        })?;
        // An address that is written for all to see may stand anywhere; one that is only referred to may not.
        let hidden = Some(&url).filter(|_| !matches!(hook.url, EnvValue::Text(_)));
        let all = [hidden, secret.as_ref(), token.as_ref()];
        self.secrets.extend(all.into_iter().flatten().cloned());
        Ok(Means::Webhook {
            url,
            shape: hook.shape,
            secret,
            token,
        })
    }
}

impl Means {
    /// For people, without a secret.
    pub(super) fn phrase(&self) -> String {
        match self {
            Self::Desktop => "the desktop".to_owned(),
            Self::Webhook { url, .. } => {
                let host = url.reveal().parse::<hyper::Uri>().ok();
                let host = host.and_then(|u| u.host().map(str::to_owned));
                format!("a webhook at {}", host.unwrap_or_else(|| "an address".to_owned()))
            }
            Self::Command { argv, .. } => format!("`{}`", argv.first().map_or("", String::as_str)),
        }
    }

    /// Tells a message.
    pub(super) async fn tell(&self, message: &Message, at: &Path, env: &EnvMap) -> Result<(), Failed> {
        match self {
            Self::Webhook {
                url,
                shape,
                secret,
                token,
            } => {
                let stamp = Stamp {
                    id: message.id.clone(),
                    secret: secret.clone(),
                    token: token.clone(),
                };
                post::post(letter(message, *shape, url), stamp).await
            }
            Self::Desktop => {
                // The window may understand markup: what agents write is none.
                let escape = |t: &str| t.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                let text: String = message.text.chars().take(WINDOW).collect();
                let urgency = if is_urgent(message) { "critical" } else { "normal" };
                let args = vec![
                    "--app-name=Turno".to_owned(),
                    format!("--urgency={urgency}"),
                    "--".to_owned(),
                    format!("{}: {}", message.project, message.title),
                    escape(&text),
                ];
                run(DESKTOP, &args, Input::Nothing, at, env, DESKTOP_LIMIT).await
            }
            Self::Command { argv, limit } => {
                let Some((program, args)) = argv.split_first() else {
                    return Err(Failed::because("no program is named".to_owned()));
                };
                let input = Input::Bytes(format!("{}\n", plain(message)).into_bytes());
                run(program, args, input, at, env, *limit).await
            }
        }
    }
}

/// Runs a program as the user, outside of every sandbox.
async fn run(
    program: &str,
    args: &[String],
    input: Input,
    at: &Path,
    env: &EnvMap,
    limit: Duration,
) -> Result<(), Failed> {
    let call = Call {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        cwd: at.to_owned(),
        env: env.iter().map(|(n, v)| (n.into(), v.into())).collect(),
        input,
        output_cap: OUTPUT,
    };
    let done = process::run_to_end(call, limit)
        .await
        .map_err(|e| Failed::because(e.to_string()))?;
    let ended = match done.end {
        End::Exited(0) => return Ok(()),
        End::Exited(code) => format!("`{program}` ended with exit code {code}"),
        End::Signalled(signal) => format!("`{program}` was ended by signal {signal}"),
    };
    let said = String::from_utf8_lossy(&done.stderr);
    let said: String = said
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(SAID)
        .collect();
    let said = Redaction::default().text(&said).into_owned();
    let why = if said.is_empty() {
        ended
    } else {
        format!("{ended}: {said}")
    };
    Err(Failed::because(why))
}

/// A program on the user's `PATH`.
fn find(program: &str, env: &EnvMap) -> Option<PathBuf> {
    let dirs = std::env::split_paths(env.get("PATH")?);
    dirs.map(|dir| dir.join(program)).find(|p| p.is_file())
}
