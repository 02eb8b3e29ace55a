//! Files of the configuration: the first byte picks `turno.toml` of the repository, of the user, or a policy; prices
//! are part of both. The same text means the same twice, an error says something on one place that exists, and
//! where every accepted key came from is a line of the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use turno_engine::config::{EnvMap, Error, Files, Inputs, Layer, Overrides, Places, Source, TextFile, build};

fn inputs(which: u8, text: &str) -> Inputs {
    let file = |layer, name: &str| TextFile {
        layer,
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let mut files = Files::default();
    match which % 4 {
        0 | 1 => files.settings.push(file(Layer::Repo, "turno.toml")),
        2 => files
            .settings
            .push(file(Layer::User, "/home/u/.config/turno/turno.toml")),
        _ => files
            .policies
            .push(file(Layer::Repo, ".turno/policies/feature-dev.toml")),
    }
    Inputs {
        places: Places {
            repo: "/nowhere/repo".into(),
            user: Some("/nowhere/user".into()),
        },
        files,
        env: EnvMap::default(),
        flags: Overrides::default(),
    }
}

fn line_of(error: &Error) -> u32 {
    let of = |source: &Source| match source {
        Source::UserFile { line, .. } | Source::RepoFile { line, .. } => *line,
        Source::Default | Source::Env { .. } | Source::Flag { .. } => 0,
    };
    match error {
        Error::Toml { place, .. }
        | Error::File { place, .. }
        | Error::UnknownFrontKey { place, .. }
        | Error::Prompt { place, .. } => place.line,
        Error::UnknownKey { from, .. }
        | Error::NotATable { from, .. }
        | Error::Value { from, .. }
        | Error::Table { from, .. } => of(from),
        Error::UnknownName { from, .. } => of(from),
        Error::Read { .. } | Error::DuplicatePersona { .. } | Error::Whole(_) => 0,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((which, rest)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let lines = u32::try_from(text.split('\n').count()).expect("a short text");
    let inputs = inputs(*which, text);
    match (build(&inputs), build(&inputs)) {
        (Ok(loaded), Ok(again)) => {
            assert_eq!(loaded, again);
            assert!(loaded.core.slots > 0);
            assert!(!loaded.core.personas.is_empty());
            for source in loaded.sources.values() {
                if let Source::UserFile { line, .. } | Source::RepoFile { line, .. } = source {
                    assert!((1..=lines).contains(line), "{source:?} of {lines}");
                }
            }
        }
        (Err(error), Err(again)) => {
            let words = error.to_string();
            assert_eq!(words, again.to_string());
            assert!(!words.trim().is_empty());
            assert!(line_of(&error) <= lines, "{error:?} of {lines}");
        }
        (one, other) => panic!("it is taken once: {} {}", one.is_ok(), other.is_ok()),
    }
});
