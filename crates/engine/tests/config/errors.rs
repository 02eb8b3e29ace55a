//! What is said when `turno.toml`, the environment or a flag does not do.

use turno_engine::config::EnvMap;

use crate::{env_of, error, inputs, repo};

#[test]
fn slots_of_people_are_not_given_to_agents() {
    let said = error(&repo("slots = 500\n"));
    assert!(
        said.contains("line 1") && said.contains("people's and previews'"),
        "{said}"
    );
    turno_engine::config::build(&repo("slots = 499\n")).unwrap();
}

#[test]
fn errors_of_turno_toml_say_where_and_what_to_do() {
    let cases = [
        ("unknown key", "slots = 2\nslotz = 3\n"),
        ("unknown key in a table", "[checks.test]\ncomand = 'x'\n"),
        ("unknown table", "[chekcs.test]\ncommand = 'x'\n"),
        ("nothing near", "[budget]\nshift_usd = 5\nqqq = 1\n"),
        ("not toml", "slots = 2\nslots = \n"),
        ("twice", "slots = 2\nslots = 3\n"),
        ("no slot", "\n\nslots = 0\n"),
        ("negative", "slots = -1\n"),
        ("all kept for urgent issues", "slots = 2\nurgent_slots = 2\n"),
        ("no persona at once", "[personas.engineer]\nat_once = 0\n"),
        ("wrong type", "slots = \"many\"\n"),
        ("not a table", "budget = 5\n"),
        ("no money", "[budget]\nshift_usd = 0\n"),
        ("little money", "[budget]\nshift_usd = 0.01\n"),
        ("negative money", "[budget]\nshift_usd = -2\n"),
        ("no unit", "[checks.test]\ncommand = 'x'\ntimeout = '10'\n"),
        ("no time", "[checks.test]\ncommand = 'x'\ntimeout = '0s'\n"),
        ("no command", "[checks.test]\ntimeout = '10m'\n"),
        ("empty command", "[checks.test]\ncommand = ' '\n"),
        ("bad check name", "[checks.'Unit Tests']\ncommand = 'x'\n"),
        ("unknown dialect", "[agents.mine]\ndialect = 'cluade'\n"),
        ("no dialect", "[agents.mine]\nprogram = 'mine'\n"),
        ("acp without a program", "[agents.mine]\ndialect = 'acp'\n"),
        (
            "command without a program",
            "[agents.mine]\ndialect = 'command'\n",
        ),
        ("script without a script", "[agents.mine]\ndialect = 'script'\n"),
        (
            "script of another dialect",
            "[agents.claude]\nscript = 'x.yaml'\n",
        ),
        ("none at once", "[agents.claude]\nat_once = 0\n"),
        ("no variable", "[agents.claude]\nenv = { X = \"$5\" }\n"),
        (
            "a value where a name belongs",
            "[agents.claude]\npass_env = ['KEY=value']\n",
        ),
        ("copy from outside", "[setup]\ncopy = ['../secrets']\n"),
        ("unknown policy", "policy = 'feature-devel'\n"),
        ("unknown persona", "[personas.enginer]\nbudget_usd = 1\n"),
        ("unknown agent", "[personas.engineer]\nagents = ['cladue']\n"),
        ("nobody", "[personas.engineer]\nagents = []\n"),
        ("one model for two", "[personas.engineer]\nmodel = 'opus'\n"),
        ("price without output", "[prices.\"gpt-9.5\"]\ninput = 1\n"),
    ];
    let all: String = cases
        .iter()
        .map(|(name, text)| format!("{name}\n  {}\n", error(&repo(text))))
        .collect();
    insta::assert_snapshot!("errors_of_turno_toml", all);
}

#[test]
fn errors_of_environment_and_flags_name_them() {
    let mut all = inputs();
    all.env = env_of(&[("TURNO_SLOTS", "many")]);
    insta::assert_snapshot!(error(&all), @r#"slots = "many" (from the environment variable TURNO_SLOTS): invalid type: string "many", expected a whole number"#);
    all.env = env_of(&[("TURNO_BUDGET_USD", "1e9")]);
    insta::assert_snapshot!(error(&all), @r#"budget.shift_usd = "1e9" (from the environment variable TURNO_BUDGET_USD): `1e9` is no sum of money: US dollars are expected, like 5 or 0.25, with at most six decimals"#);
    all.env = env_of(&[("TURNO_AGENT", "cdex")]);
    insta::assert_snapshot!(error(&all), @"the agents of every persona names the agent `cdex` (from the environment variable TURNO_AGENT), which does not exist; did you mean `codex`?");
    all.env = EnvMap::new();
    all.flags.slots = Some(0);
    insta::assert_snapshot!(error(&all), @"slots = 0 (from the flag --slots): at least 1 slot is needed; set slots = 2");
}
