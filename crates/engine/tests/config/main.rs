//! The configuration from outside: layers and where values come from, places, and documents that stay true.
//! What goes wrong, files of personas and policies, prompts and detection have a file each.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod budgets;
mod containers;
mod detection;
mod errors;
mod files;
mod notify;
mod own;
mod prompts;
mod repos;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use turno_core::failure::Cause;
use turno_core::persona::Model;
use turno_core::units::{MicroUsd, Span};
use turno_engine::config::{
    self, AgentDialect, EnvMap, EnvValue, Error, FRONT_KEYS, Files, Inputs, Layer, Overrides, Places, Source,
    TextFile, cause_name, env, schema,
};
use turno_engine::prompt::VARIABLES;

use crate::files::CRITIC;

fn file(layer: Layer, name: &str, text: &str) -> TextFile {
    TextFile {
        layer,
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

fn inputs() -> Inputs {
    Inputs {
        places: Places {
            repo: PathBuf::from("/repo"),
            user: Some(PathBuf::from("/home/kim/.config/turno")),
        },
        files: Files::default(),
        env: EnvMap::new(),
        flags: Overrides::default(),
    }
}

/// A configuration of nothing but the repository's `turno.toml`.
fn repo(text: &str) -> Inputs {
    let mut inputs = inputs();
    inputs.files.settings.push(file(Layer::Repo, "turno.toml", text));
    inputs
}

fn env_of(pairs: &[(&str, &str)]) -> EnvMap {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn error(inputs: &Inputs) -> String {
    config::build(inputs).unwrap_err().to_string()
}

#[test]
fn nothing_written_is_a_configuration() {
    let loaded = config::build(&inputs()).unwrap();
    assert_eq!(loaded.core.slots, 2);
    assert_eq!(loaded.budget.shift, MicroUsd(5_000_000));
    assert_eq!(loaded.core.policy.name.as_str(), "feature-dev");
    assert!(loaded.core.checks.is_empty());
    let agents: Vec<String> = loaded.agents.keys().map(ToString::to_string).collect();
    assert_eq!(agents, ["claude", "codex"]);
    let ring: Vec<&str> = loaded.core.personas.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(ring, ["author", "engineer", "reviewer", "tester"]);
}

#[test]
fn each_layer_wins_over_the_one_below_and_is_remembered() {
    let mut all = repo("slots = 4\n\n[budget]\nshift_usd = 7.5\n");
    let user = "/home/kim/.config/turno/turno.toml";
    all.files.settings.insert(
        0,
        file(Layer::User, user, "slots = 3\n[agents.codex]\nat_once = 9\n"),
    );
    let loaded = config::build(&all).unwrap();
    assert_eq!((loaded.core.slots, loaded.budget.shift), (4, MicroUsd(7_500_000)));
    assert_eq!(loaded.source("slots").to_string(), "turno.toml line 1");
    assert_eq!(loaded.source("budget.shift_usd").to_string(), "turno.toml line 4");
    assert_eq!(loaded.source("policy"), Source::Default);
    assert_eq!(
        loaded.core.agents["codex".parse::<turno_core::ids::AgentName>().as_ref().unwrap()].at_once,
        9
    );
    assert_eq!(
        loaded.source("agents.codex.at_once").to_string(),
        format!("{user} line 3")
    );

    all.env = env_of(&[
        ("TURNO_SLOTS", "5"),
        ("TURNO_BUDGET_USD", "8"),
        ("TURNO_POLICY", ""),
    ]);
    let loaded = config::build(&all).unwrap();
    assert_eq!((loaded.core.slots, loaded.budget.shift), (5, MicroUsd(8_000_000)));
    assert_eq!(loaded.source("slots"), Source::Env { name: "TURNO_SLOTS" });

    all.flags.slots = Some(6);
    all.flags.budget = Some(MicroUsd(9_250_000));
    let loaded = config::build(&all).unwrap();
    assert_eq!((loaded.core.slots, loaded.budget.shift), (6, MicroUsd(9_250_000)));
    assert_eq!(loaded.source("budget.shift_usd").to_string(), "the flag --budget");
}

#[test]
fn checks_keep_the_order_they_are_written_in() {
    let text = "[checks.zeta]\ncommand = 'z'\n[checks.alpha]\ncommand = 'a'\ntimeout = '90s'\n[checks.mid]\ncommand = 'm'\n";
    let loaded = config::build(&repo(text)).unwrap();
    let checks: Vec<(&str, Span)> = loaded
        .core
        .checks
        .iter()
        .map(|c| (c.name.as_str(), c.timeout))
        .collect();
    assert_eq!(
        checks,
        [
            ("zeta", Span::seconds(600)),
            ("alpha", Span::seconds(90)),
            ("mid", Span::seconds(600))
        ]
    );
}

#[test]
fn an_agent_is_set_up_as_written() {
    let text = r#"
[agents.claude]
program = "/opt/claude"
args = ["--verbose"]
env = { PLAIN = "x", TOKEN = "$MY_TOKEN", PRICE = "$$5" }
pass_env = ["ANTHROPIC_API_KEY", "NOT_SET"]
[agents.demo]
dialect = "script"
script = "demo/sign-in.yaml"
"#;
    let loaded = config::build(&repo(text)).unwrap();
    let claude = &loaded.agents[&"claude".parse().unwrap()];
    assert_eq!(claude.dialect.program(), Some("/opt/claude"));
    let expected = [
        ("PLAIN", EnvValue::Text("x".to_owned())),
        ("TOKEN", EnvValue::FromUser("MY_TOKEN".to_owned())),
        ("PRICE", EnvValue::Text("$5".to_owned())),
    ];
    assert_eq!(
        claude.env,
        expected.map(|(n, v)| (n.to_owned(), v)).into_iter().collect()
    );
    assert_eq!(claude.pass_env, ["ANTHROPIC_API_KEY", "NOT_SET"]);
    assert_eq!(claude.has_its_variables(&env_of(&[("MY_TOKEN", "")])), Ok(()));
    insta::assert_snapshot!(claude.has_its_variables(&EnvMap::new()).unwrap_err(), @"agent `claude` needs the environment variable MY_TOKEN, which is not set; export it, or remove it from `agents.claude.env.TOKEN`");
    let demo = &loaded.agents[&"demo".parse().unwrap()];
    let path = PathBuf::from("/repo/demo/sign-in.yaml");
    assert_eq!(demo.dialect, AgentDialect::Script { path });
    assert_eq!(demo.extra_args(), ["--script", "/repo/demo/sign-in.yaml"]);
}

#[test]
fn a_value_may_be_written_by_reference() {
    let text = r#"
[agents.claude.env]
BRACED = "${MY_TOKEN}"
BESIDE = { file = "keys/a" }
AT_HOME = { file = "~/keys/b" }
PRINTED = { command = "pass show claude" }
[agents.codex.env.TABLE]
file = "/keys/c"
"#;
    let mut inputs = repo(text);
    inputs.env = env_of(&[("HOME", "/home/kim")]);
    let mine = "[agents.claude.env]\nMINE = { file = 'd' }\nPRINTED = 'x'\n";
    let user = "/home/kim/.config/turno/turno.toml";
    inputs.files.settings.insert(0, file(Layer::User, user, mine));
    let loaded = config::build(&inputs).unwrap();
    let claude = &loaded.agents[&"claude".parse().unwrap()];
    let expected = [
        ("BRACED", EnvValue::FromUser("MY_TOKEN".to_owned())),
        ("BESIDE", EnvValue::FromFile("/repo/keys/a".into())),
        ("AT_HOME", EnvValue::FromFile("/home/kim/keys/b".into())),
        ("PRINTED", EnvValue::FromCommand("pass show claude".to_owned())),
        ("MINE", EnvValue::FromFile("/home/kim/.config/turno/d".into())),
    ];
    assert_eq!(
        claude.env,
        expected.map(|(n, v)| (n.to_owned(), v)).into_iter().collect()
    );
    let codex = &loaded.agents[&"codex".parse().unwrap()];
    assert_eq!(codex.env["TABLE"], EnvValue::FromFile("/keys/c".into()));
    for wrong in [
        "{}",
        "{ file = 'a', command = 'b' }",
        "{ path = 'a' }",
        "{ file = '' }",
        "3",
        "'${A'",
    ] {
        let text = error(&repo(&format!("[agents.claude]\nenv.X = {wrong}\n")));
        assert!(
            text.contains("agents.claude.env.X") && text.contains("line 2"),
            "{text}"
        );
    }
}

#[test]
fn turno_toml_lays_numbers_over_a_persona() {
    let text = "[personas.engineer]\nagents = ['codex']\nmodel = 'gpt-5.1-codex'\nbudget_usd = 1\nwall_clock = '10m'\n";
    let engineer = config::build(&repo(text))
        .unwrap()
        .persona("engineer")
        .unwrap()
        .persona
        .clone();
    assert_eq!(engineer.model, Model::Named("gpt-5.1-codex".to_owned()));
    assert_eq!(
        (engineer.budget, engineer.wall_clock),
        (MicroUsd(1_000_000), Span::seconds(600))
    );
    assert_eq!(engineer.agents, ["codex".parse().unwrap()]);
}

#[test]
fn a_flag_lets_one_agent_play_all() {
    let mut all = inputs();
    all.env = env_of(&[("TURNO_AGENT", "claude, codex")]);
    all.flags.agents = vec!["codex".parse().unwrap()];
    let loaded = config::build(&all).unwrap();
    assert!(
        loaded
            .core
            .personas
            .iter()
            .all(|p| p.agents == ["codex".parse().unwrap()])
    );
}

#[test]
fn agents_that_are_not_there_are_taken_out() {
    let present: BTreeSet<_> = ["claude".parse().unwrap()].into();
    let loaded = config::build(&inputs())
        .unwrap()
        .with_agents_present(&present)
        .unwrap();
    assert!(
        loaded
            .core
            .personas
            .iter()
            .all(|p| p.agents == ["claude".parse().unwrap()])
    );
    let nobody = config::build(&inputs())
        .unwrap()
        .with_agents_present(&BTreeSet::new());
    insta::assert_snapshot!(nobody.unwrap_err(), @"there is no engineer, so nobody can write: no agent that may play it is installed; `turno doctor` shows which are found");
}

#[test]
fn no_file_of_ours_is_forgotten() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let stems = |dir: &str, extension: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(top.join(dir)).unwrap().map(|e| e.unwrap().path());
        let named = entries.filter(|p| p.extension().is_some_and(|e| e == extension));
        named
            .map(|p| p.file_stem().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    let personas = config::built_in_personas()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(stems("personas", "md"), personas);
    let loaded = config::build(&inputs()).unwrap();
    let mut policies: BTreeSet<String> = loaded.policies.keys().map(ToString::to_string).collect();
    policies.insert("prices".to_owned());
    assert_eq!(stems("policies", "toml"), policies);
    assert_eq!(
        stems("personas/prompts", "md"),
        [
            "accept",
            "around",
            "compare",
            "plan",
            "review",
            "test",
            "tests-first",
            "try",
            "write",
        ]
        .map(str::to_owned)
        .into()
    );
}

#[test]
fn files_are_read_from_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("home/turno/turno.toml", "slots = 3\n");
    write("home/turno/personas/critic.md", CRITIC);
    write("repo/turno.toml", "policy = 'brave'\n");
    write("repo/.turno/policies/brave.toml", "review = 'off'\n");
    write(
        "repo/.turno/personas/critic.md",
        &CRITIC.replace("twice", "thrice"),
    );
    write("repo/.turno/personas/notes.txt", "no persona");
    let env = env_of(&[("XDG_CONFIG_HOME", dir.path().join("home").to_str().unwrap())]);
    let places = Places {
        repo: dir.path().join("repo"),
        user: env::user_dir(&env),
    };
    let loaded = config::load(&places, &env, &Overrides::default()).unwrap();
    assert_eq!(
        (loaded.core.slots, loaded.core.policy.name.as_str()),
        (3, "brave")
    );
    let critic = loaded.persona("critic").unwrap();
    assert_eq!(
        (critic.persona.description.as_str(), critic.file.as_str()),
        ("Reads thrice.", ".turno/personas/critic.md")
    );
    assert!(matches!(loaded.source("slots"), Source::UserFile { line: 1, .. }));
    insta::assert_snapshot!(loaded.persona("critc").unwrap_err(), @"there is no persona `critc`; did you mean `critic`?");

    fs::write(dir.path().join("repo/turno.toml"), [0xff, 0xfe]).unwrap();
    let unreadable = config::load(&places, &env, &Overrides::default()).unwrap_err();
    assert!(matches!(unreadable, Error::Read { file, .. } if file == "turno.toml"));
}

#[test]
fn home_is_where_xdg_says() {
    let user = |pairs: &[(&str, &str)]| env::user_dir(&env_of(pairs));
    assert_eq!(user(&[("HOME", "/h")]), Some(PathBuf::from("/h/.config/turno")));
    assert_eq!(
        user(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]),
        Some(PathBuf::from("/x/turno"))
    );
    assert_eq!(
        user(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")]),
        Some(PathBuf::from("/h/.config/turno"))
    );
    assert_eq!(user(&[]), None);
}

#[test]
fn documents_name_everything() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs")
            .join(name);
        fs::read_to_string(path).unwrap()
    };
    let configuration = ["configuration.md", "policies.md", "budgets.md"]
        .map(read)
        .concat();
    let keys = [schema::SETTINGS, schema::POLICY]
        .map(schema::Schema::keys)
        .concat();
    let settings = keys.iter().map(|k| k.path.replace('*', "NAME"));
    let variables = env::ALL.iter().map(|v| v.name.to_owned());
    let causes = Cause::ALL.into_iter().map(cause_name);
    for word in settings.chain(variables).chain(causes) {
        assert!(
            configuration.contains(&format!("`{word}`")),
            "docs/configuration.md and the pages beside it do not name `{word}`"
        );
    }
    let personas = read("personas.md");
    let front = FRONT_KEYS.iter().map(|(key, _)| (*key).to_owned());
    for word in front.chain(VARIABLES.iter().map(|v| v.path.to_owned())) {
        assert!(
            personas.contains(&format!("`{word}`")),
            "docs/personas.md does not name `{word}`"
        );
    }
}
