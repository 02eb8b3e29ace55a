//! Owns whom Turno is to become when root starts it: what a flag, the environment or root's own file says, before any
//! repository is looked at. What a repository says of it is refused in `sandbox.rs`.

use crate::config::env::{self, EnvMap};
use crate::config::error::Error;
use crate::config::file::Settings;
use crate::config::layer::Layers;
use crate::config::source::{Files, Source};
use crate::config::{DEFAULTS, embedded, schema};

/// The user that Turno is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkUser {
    /// The name, as it was written.
    pub name: String,
    /// Who says so.
    pub from: Source,
}

/// Whom the flag `--user`, the environment or the person's own `turno.toml` names, in this order.
///
/// # Errors
/// When that file is there and cannot be used.
pub fn work_user(env: &EnvMap, flag: Option<&str>) -> Result<Option<WorkUser>, Error> {
    let named = |name: &str, from| WorkUser {
        name: name.trim().to_owned(),
        from,
    };
    if let Some(name) = flag {
        return Ok(Some(named(name, Source::Flag { name: "--user" })));
    }
    if let Some(name) = env::USER.of(env) {
        let from = Source::Env { name: env::USER.name };
        return Ok(Some(named(name, from)));
    }
    let mut layers = Layers::new(schema::SETTINGS);
    layers.add_file(&embedded("defaults.toml", DEFAULTS))?;
    if let Some(dir) = env::user_dir(env)
        && let Some(file) = Files::settings_of_user(&dir)?
    {
        layers.add_file(&file)?;
    }
    let settings: Settings = layers.typed()?;
    let from = layers.source(&["sandbox", "user"]);
    Ok(settings.sandbox.user.map(|name| named(&name, from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> EnvMap {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn the_flag_outweighs_the_environment_and_that_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        let name = |env: &EnvMap, flag| work_user(env, flag).unwrap().map(|u| u.name);
        assert_eq!(name(&env(&[("XDG_CONFIG_HOME", home)]), None), None);
        std::fs::create_dir(dir.path().join("turno")).unwrap();
        let file = dir.path().join("turno/turno.toml");
        std::fs::write(&file, "slots = 3\n[sandbox]\nuser = \"file\"\n").unwrap();
        let with_file = env(&[("XDG_CONFIG_HOME", home)]);
        assert_eq!(name(&with_file, None).as_deref(), Some("file"));
        let both = env(&[("XDG_CONFIG_HOME", home), ("TURNO_USER", "variable")]);
        assert_eq!(name(&both, None).as_deref(), Some("variable"));
        assert_eq!(name(&both, Some("flag")).as_deref(), Some("flag"));
        let from = work_user(&with_file, None).unwrap().unwrap().from;
        assert!(matches!(from, Source::UserFile { line: 3, .. }), "{from:?}");
    }
}
