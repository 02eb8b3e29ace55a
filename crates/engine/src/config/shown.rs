//! Owns the configuration as people are shown it: each key that is set, its value, and where that came from. What may
//! be a secret is not among it.

use std::collections::BTreeMap;

use serde::Serialize;
use turno_core::ids::PolicyName;

use super::layer::{Layers, shown};
use super::{
    DEFAULTS, EnvMap, Error, Files, Inputs, Overrides, Places, Source, embedded, embedded_policies,
    override_values, policies, schema,
};

/// A key of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Its path, with dots.
    pub key: String,
    /// What it is set to.
    pub value: Shown,
    /// Where that came from.
    pub source: Source,
}

/// A value as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// It is this.
    Value(toml::Value),
    /// It is given to agents or to those who are told, and may be a secret.
    Hidden,
}

/// Every key that is set, in the order of their names.
///
/// # Errors
/// When a file cannot be read, or a key is unknown.
pub fn settings(places: &Places, env: &EnvMap, flags: &Overrides) -> Result<Vec<Setting>, Error> {
    let inputs = Inputs {
        places: places.clone(),
        files: Files::read(places)?,
        env: env.clone(),
        flags: flags.clone(),
    };
    let mut layers = Layers::new(schema::SETTINGS);
    layers.add_file(&embedded("defaults.toml", DEFAULTS))?;
    for file in &inputs.files.settings {
        layers.add_file(file)?;
    }
    override_values(&mut layers, &inputs)?;
    Ok(of_layers(&layers, is_secret))
}

/// Every key of every policy, the built-in ones among them.
///
/// # Errors
/// When a file cannot be read, or a key is unknown.
pub fn policy_settings(places: &Places) -> Result<BTreeMap<PolicyName, Vec<Setting>>, Error> {
    let files = Files::read(places)?;
    let policies = policies::layered(&[embedded_policies(), files.policies].concat())?;
    let shown = policies
        .into_iter()
        .map(|(name, layers)| (name, of_layers(&layers, |_| false)));
    Ok(shown.collect())
}

fn of_layers(layers: &Layers, is_hidden: fn(&[String]) -> bool) -> Vec<Setting> {
    let settings = layers.values().map(|(path, value, source)| Setting {
        key: shown(path),
        value: if is_hidden(path) {
            Shown::Hidden
        } else {
            Shown::Value(value.clone())
        },
        source: source.clone(),
    });
    settings.collect()
}

/// What is written into an agent's environment may be a key of its account, and an address may be all it takes to write
/// to somebody.
fn is_secret(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        path.as_slice(),
        ["agents", _, "env", ..] | ["notify", _, "url" | "secret" | "token" | "command"]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_shown_with_its_source_and_a_secret_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let text = "slots = 3\n[agents.a]\ndialect = \"script\"\nscript = \"s.yaml\"\nenv = { API_KEY = \"hunter2\" }\n";
        std::fs::write(dir.path().join("turno.toml"), text).unwrap();
        let places = Places {
            repo: dir.path().to_owned(),
            user: None,
        };
        let settings = settings(&places, &EnvMap::new(), &Overrides::default()).unwrap();
        let of = |key: &str| settings.iter().find(|s| s.key == key).unwrap();
        assert_eq!(of("slots").value, Shown::Value(toml::Value::Integer(3)));
        assert!(matches!(of("slots").source, Source::RepoFile { line: 1, .. }));
        assert_eq!(of("agents.a.env.API_KEY").value, Shown::Hidden);
        assert_eq!(of("budget.shift_usd").source, Source::Default);
        assert!(!serde_json::to_string(&settings).unwrap().contains("hunter2"));
    }

    #[test]
    fn each_value_of_a_policy_is_shown_with_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join(".turno/policies");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("pair.toml"), "# ours\nsilence = \"7m\"\n").unwrap();
        let places = Places {
            repo: dir.path().to_owned(),
            user: None,
        };
        let policies = policy_settings(&places).unwrap();
        let pair = &policies[&"pair".parse().unwrap()];
        let of = |key: &str| pair.iter().find(|s| s.key == key).unwrap();
        assert_eq!(
            of("silence").value,
            Shown::Value(toml::Value::String("7m".to_owned()))
        );
        assert!(matches!(of("silence").source, Source::RepoFile { line: 2, .. }));
        assert_eq!(of("rows.stalled.tries").source, Source::Default);
        assert!(policies.contains_key(&"drain".parse().unwrap()));
    }
}
