//! Files of personas, policies and prices: what they may say, and what is said when they do not do.

use rstest::rstest;
use turno_core::failure::Cause;
use turno_core::globs;
use turno_core::guard::{GuardKind, GuardRule};
use turno_core::ids::PolicyName;
use turno_core::persona::{AtOnce, Model, Tools};
use turno_core::policy::{
    AcceptRule, AccountRule, Charge, DecisionRule, Jitter, NewTestsRule, Nobody, OverlapRule, PlanRule,
    ReviewRule, TestRule, Then, TrialRule, TryRow,
};
use turno_core::units::{MicroUsd, Span};
use turno_engine::config::{self, Inputs, Layer};

use crate::{error, file, inputs, repo};

fn persona(text: &str) -> Inputs {
    let mut inputs = inputs();
    inputs
        .files
        .personas
        .push(file(Layer::Repo, ".turno/personas/critic.md", text));
    inputs
}

pub(crate) const CRITIC: &str =
    "---\nname: critic\ndescription: Reads twice.\nrole: reviewer\n---\nYou are {{ persona.name }}.\n";

#[test]
fn a_persona_file_adds_or_replaces() {
    let mut all = persona(CRITIC);
    let own = "---\nname: engineer\ndescription: Ours.\nrole: engineer\nagent: codex\ntools: Read, Edit\nmodel: inherit\ncolor: blue\nbudget_usd: 0.5\n---\n\nWrite.\n";
    all.files
        .personas
        .push(file(Layer::Repo, ".turno/personas/engineer.md", own));
    let loaded = config::build(&all).unwrap();
    let ring: Vec<&str> = loaded.core.personas.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(ring, ["author", "engineer", "reviewer", "tester", "critic"]);
    let engineer = loaded.persona("engineer").unwrap();
    assert_eq!(engineer.source.to_string(), ".turno/personas/engineer.md line 12");
    let engineer = &engineer.persona;
    assert_eq!(
        (engineer.prompt.as_str(), engineer.budget),
        ("Write.\n", MicroUsd(500_000))
    );
    assert_eq!(
        engineer.tools,
        Tools::Only(vec!["Read".to_owned(), "Edit".to_owned()])
    );
    assert_eq!(
        (&engineer.model, engineer.agents.len()),
        (&Model::AgentDefault, 1)
    );
}

#[test]
fn errors_of_persona_files_say_where_and_what_to_do() {
    let head = "---\nname: critic\ndescription: Reads twice.\nrole: reviewer\n";
    let cases = [
        ("no front matter", "You are a critic.\n".to_owned()),
        ("not closed", format!("{head}You are a critic.\n")),
        ("empty front matter", "---\n---\nx\n".to_owned()),
        (
            "no name",
            "---\nrole: reviewer\ndescription: x\n---\nx\n".to_owned(),
        ),
        (
            "no description",
            "---\nname: critic\nrole: reviewer\n---\nx\n".to_owned(),
        ),
        (
            "no role",
            "---\nname: critic\ndescription: x\n---\nx\n".to_owned(),
        ),
        (
            "unknown role",
            "---\nname: critic\ndescription: x\nrole: judge\n---\nx\n".to_owned(),
        ),
        ("another name", CRITIC.replace("name: critic", "name: cynic")),
        ("bad name", CRITIC.replace("name: critic", "name: The Critic")),
        ("unknown key", format!("{head}acess: read\n---\nx\n")),
        ("not yaml", format!("{head}tools: [Read\n---\nx\n")),
        ("bad value", format!("{head}effort: enormous\n---\nx\n")),
        ("bad time", format!("{head}wall_clock: soon\n---\nx\n")),
        ("key twice", format!("{head}role: tester\n---\nx\n")),
        (
            "agent twice",
            format!("{head}agent: claude\nagents: [codex]\n---\nx\n"),
        ),
        ("nobody", format!("{head}agents: []\n---\nx\n")),
        ("unknown agent", format!("{head}agents: [claud]\n---\nx\n")),
        ("none at once", format!("{head}at_once: 0\n---\nx\n")),
        ("at once in words", format!("{head}at_once: two\n---\nx\n")),
        ("no prompt", format!("{head}---\n\n\n")),
        ("may not write", format!("{head}access: write\n---\nx\n")),
        ("too little money", format!("{head}budget_usd: 0.01\n---\nx\n")),
        (
            "unknown variable",
            format!("{head}---\n\nHello {{{{ persona.nam }}}}.\n"),
        ),
        (
            "unknown variable in a branch",
            format!("{head}---\n{{% if rond > 3 %}}x{{% endif %}}\n"),
        ),
        ("broken template", format!("{head}---\na\n{{% if round %}}\n")),
        ("unknown filter", format!("{head}---\n{{{{ round | shout }}}}\n")),
        (
            "loops in loops",
            format!("{head}---\n{}x\n", "{% for a in task.touches %}\n".repeat(4)),
        ),
        (
            "a range without end",
            format!("{head}---\na\n{{% for n in range(end=100000) %}}x{{% endfor %}}\n"),
        ),
    ];
    let all: String = cases
        .iter()
        .map(|(name, text)| format!("{name}\n  {}\n", error(&persona(text))))
        .collect();
    insta::assert_snapshot!("errors_of_persona_files", all);
}

/// A carriage return by itself ends a line for YAML; U+0085 and U+2028 did in YAML 1.1.
#[rstest]
#[case::bad_value("\r\r\r", "effort: enormous\n", "unknown variant `enormous`")]
#[case::not_yaml("\r\r\r", "tools: [Read\n", "the front matter cannot be read")]
#[case::unknown_key("\r\r\r", "acess: read\n", "acess")]
#[case::windows("\r\n", "effort: enormous\r\n", "unknown variant `enormous`")]
#[case::next_line("\u{85}\u{85}", "effort: enormous\n", "unknown variant `enormous`")]
#[case::separators("\u{2028}\u{2029}", "effort: enormous\n", "unknown variant `enormous`")]
#[case::wide_characters("\u{1f600}\r", "effort: enormous\n", "unknown variant `enormous`")]
fn an_error_names_the_line_that_an_editor_shows(#[case] between: &str, #[case] bad: &str, #[case] why: &str) {
    let text =
        format!("---\nname: critic\ndescription: Reads{between}  twice.\nrole: reviewer\n{bad}---\nx\n");
    let before = text.split(bad).next().unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let said = error(&persona(&text));
    assert!(said.contains(why), "{said}");
    assert!(
        said.contains(&format!("critic.md line {line}:")),
        "line {line}: {said}"
    );
}

#[test]
fn a_key_that_stands_behind_a_carriage_return_is_found_in_its_line() {
    let text = CRITIC.replace("role: reviewer\n", "role: reviewer\racess: read\n");
    insta::assert_snapshot!(error(&persona(&text)), @".turno/personas/critic.md line 4: unknown key `acess` in the front matter; did you mean `access`?");
}

#[test]
fn a_persona_is_defined_once_in_a_layer() {
    let mut all = persona(CRITIC);
    all.files
        .personas
        .push(file(Layer::Repo, ".turno/personas/more/critic.md", CRITIC));
    insta::assert_snapshot!(error(&all), @".turno/personas/more/critic.md: persona `critic` is already defined by .turno/personas/critic.md; rename or remove one of them");
}

#[test]
fn somebody_must_write_and_review() {
    let not = |name: &str| {
        let text = format!("---\nname: {name}\ndescription: x\nrole: tester\n---\nx\n");
        let mut all = inputs();
        all.files
            .personas
            .push(file(Layer::Repo, &format!(".turno/personas/{name}.md"), &text));
        all
    };
    insta::assert_snapshot!(error(&not("engineer")), @"there is no engineer, so nobody can write: add one in .turno/personas, or remove the file that changed its role");
    insta::assert_snapshot!(error(&not("reviewer")), @r#"there is no reviewer, and the policy `feature-dev` has review = "required": add one in .turno/personas, or remove the file that changed its role"#);
    let mut unreviewed = not("reviewer");
    unreviewed.files.policies.push(file(
        Layer::Repo,
        ".turno/policies/feature-dev.toml",
        "review = 'off'\n",
    ));
    assert!(config::build(&unreviewed).is_ok());
}

fn with_policy(name: &str, text: &str) -> Inputs {
    let mut all = inputs();
    all.files
        .policies
        .push(file(Layer::Repo, &format!(".turno/policies/{name}.toml"), text));
    all
}

#[test]
fn a_policy_file_says_only_what_is_different() {
    let mut all = with_policy(
        "brave",
        "description = 'Fast.'\nreview = 'off'\n[rows.findings]\ntries = 9\n",
    );
    all.flags.policy = Some("brave".parse().unwrap());
    let policy = config::build(&all).unwrap().core.policy;
    assert_eq!(policy.name.as_str(), "brave");
    assert_eq!(
        policy.row(Cause::Findings),
        TryRow::new(Cause::Findings, 9, Span(0))
    );
    assert_eq!(
        policy.row(Cause::Provider),
        TryRow::new(Cause::Provider, 6, Span::seconds(10))
    );
}

/// Also the built-in files alone say it of every cause, and what goes with a cause is what they say.
#[test]
fn every_cause_has_a_row_and_it_is_the_usual_one() {
    let policy = config::build(&inputs()).unwrap().core.policy;
    for cause in Cause::ALL {
        let row = policy.rows.get(&cause);
        let row = row.unwrap_or_else(|| panic!("feature-dev.toml has no row for {cause:?}"));
        assert_eq!(*row, TryRow::new(cause, row.tries, row.wait), "{cause:?}");
    }
    assert_eq!(policy.accounts, AccountRule::default());
    assert_eq!(policy.caps.failures, 100);
}

#[test]
fn a_policy_file_says_who_is_charged_and_how_it_goes_on() {
    let mut all = with_policy(
        "brave",
        "[rows.provider]\ncharge = 'account'\nthen = 'other-agent'\njitter = 'none'\n[accounts]\nrounds = 9\n",
    );
    all.flags.policy = Some("brave".parse().unwrap());
    let policy = config::build(&all).unwrap().core.policy;
    let row = policy.row(Cause::Provider);
    assert_eq!((row.tries, row.charge), (6, Charge::Account));
    assert_eq!((row.then, row.jitter), (Then::OtherAgent, Jitter::None));
    assert_eq!(policy.accounts.rounds, 9);
    assert_eq!(policy.row(Cause::Quota).charge, Charge::Account);
}

#[test]
fn errors_of_policy_files_say_where_and_what_to_do() {
    let cases = [
        ("unknown key", with_policy("brave", "reviews = 'off'\n")),
        ("unknown value", with_policy("brave", "review = 'maybe'\n")),
        (
            "unknown cause",
            with_policy("brave", "[rows.finding]\ntries = 1\nwait = '0s'\n"),
        ),
        (
            "no account's",
            with_policy("brave", "[rows.findings]\ncharge = 'account'\n"),
        ),
        (
            "no starts",
            with_policy("brave", "[accounts]\nfailing_starts = 0\n"),
        ),
        ("no failures", with_policy("brave", "[caps]\nfailures = 0\n")),
        (
            "too many tries",
            with_policy("brave", "[rows.findings]\ntries = 300\n"),
        ),
        ("no silence", with_policy("brave", "silence = '0s'\n")),
        ("nearest value", with_policy("brave", "plan = 'auhtor'\n")),
        (
            "nearest value of tests",
            with_policy("brave", "tests = 'every-change'\n"),
        ),
        (
            "nearest key in a table",
            with_policy("brave", "[caps]\ndeph = 1\n"),
        ),
        (
            "nearest value in a table",
            with_policy("brave", "[decisions]\nnobody = 'parked'\n"),
        ),
        (
            "no time to answer",
            with_policy("brave", "[decisions]\ndeadline = '0s'\n"),
        ),
        ("no tasks", with_policy("brave", "[caps]\ntasks = 0\n")),
        ("too deep", with_policy("brave", "[caps]\ndepth = 256\n")),
        (
            "glob that leads out",
            with_policy("brave", "protected = ['ci/**', '../x']\n"),
        ),
        (
            "unknown kind of finding",
            with_policy("brave", "[guards]\nlockfile = 'refuse'\n"),
        ),
        (
            "unknown rule",
            with_policy("brave", "[guards]\nlockfiles = 'persons'\n"),
        ),
        (
            "not looked at is not clean",
            with_policy("brave", "[guards]\nunseen = 'allow'\n"),
        ),
        ("no size", with_policy("brave", "big_file_bytes = -1\n")),
        ("broken glob", with_policy("brave", "test_paths = ['tests/[']\n")),
        (
            "nowhere to test",
            with_policy("brave", "tests = 'first'\ntest_paths = []\n"),
        ),
        ("bad name", with_policy("Brave New", "review = 'off'\n")),
        ("prices", with_policy("prices", "")),
    ];
    let all: String = cases
        .iter()
        .map(|(name, inputs)| format!("{name}\n  {}\n", error(inputs)))
        .collect();
    insta::assert_snapshot!("errors_of_policy_files", all);
}

#[test]
fn every_built_in_policy_has_a_row_for_every_cause() {
    let loaded = config::build(&inputs()).unwrap();
    for (name, policy) in &loaded.policies {
        let missing: Vec<Cause> = Cause::ALL
            .into_iter()
            .filter(|c| !policy.rows.contains_key(c))
            .collect();
        assert_eq!(missing, [], "{name}");
    }
}

#[test]
fn every_built_in_policy_says_what_follows_from_each_kind_of_finding() {
    let loaded = config::build(&inputs()).unwrap();
    for (name, policy) in &loaded.policies {
        assert_eq!(policy.big_file, 1 << 20, "{name}");
        for kind in GuardKind::ALL {
            assert_eq!(
                policy.guards.get(&kind),
                Some(&kind.default_rule()),
                "{name}: {kind}"
            );
        }
    }
}

#[test]
fn built_in_policies_are_what_their_names_say() {
    let loaded = config::build(&inputs()).unwrap();
    let policy = |name: &str| loaded.policies[&name.parse().unwrap()].clone();
    let all: Vec<&str> = loaded.policies.keys().map(PolicyName::as_str).collect();
    assert_eq!(
        all,
        ["batch", "drain", "feature-dev", "pair", "qa-repair", "single"]
    );
    for policy in loaded.policies.values() {
        assert_eq!(policy.review, ReviewRule::Required, "{}", policy.name);
    }
    let team = policy("feature-dev");
    assert_eq!((team.plan, team.accept), (PlanRule::Author, AcceptRule::Team));
    let single = policy("single");
    assert_eq!((single.plan, single.accept), (PlanRule::Single, AcceptRule::Off));
    assert_eq!((single.tests, single.rows), (TestRule::Off, team.rows.clone()));
    assert_eq!(policy("drain").decisions.nobody, Nobody::Park);
    assert_eq!(policy("pair").row(Cause::Findings).tries, 2);
    assert_eq!(
        (policy("batch").trial, policy("batch").decisions.nobody),
        (TrialRule::Person, Nobody::Wait)
    );
    assert_eq!(policy("qa-repair").plan, PlanRule::Checks);
}

#[rstest]
#[case("crates/core/tests/flow.rs", true, true)]
#[case("web/src/button.test.tsx", true, true)]
#[case("pkg/limit_test.go", true, true)]
#[case("test_limit.py", true, true)]
#[case(".github/workflows/ci.yml", false, true)]
#[case("packages/a/tsconfig.base.json", false, true)]
#[case("turno.toml", false, true)]
#[case(".golangci.yaml", false, true)]
#[case("src/limit.rs", false, false)]
#[case("src/latest.rs", false, false)]
fn tests_and_checks_are_known_by_their_paths(
    #[case] path: &str,
    #[case] test: bool,
    #[case] protected: bool,
) {
    let policies = config::build(&inputs()).unwrap().policies;
    let repair = &policies[&"qa-repair".parse().unwrap()];
    assert_eq!(globs::matches(&repair.test_paths, path), test);
    assert_eq!(globs::matches(&repair.protected, path), protected);
}

#[test]
fn a_policy_file_may_say_everything() {
    let text = "plan = 'single'\ntests = 'first'\nnew_tests = 'fail-on-base'\ntest_paths = ['t/**']\n\
                protected = ['ci/**']\naccept = 'author'\noverlap = 'start'\ntrial = 'all-landed'\n\
                big_file_bytes = 9\n[guards]\nsecrets = 'person'\n[caps]\ntasks = 7\nrounds = 1\n[decisions]\nnobody = 'recommended'\ndeadline = '1m'\n";
    let policy =
        config::build(&with_policy("brave", text)).unwrap().policies[&"brave".parse().unwrap()].clone();
    assert_eq!(
        (policy.plan, policy.tests, policy.new_tests),
        (PlanRule::Single, TestRule::First, NewTestsRule::FailOnBase)
    );
    assert_eq!(
        (policy.test_paths, policy.protected),
        (vec!["t/**".to_owned()], vec!["ci/**".to_owned()])
    );
    assert_eq!(
        (policy.accept, policy.overlap, policy.trial),
        (AcceptRule::Author, OverlapRule::Start, TrialRule::AllLanded)
    );
    assert_eq!(
        (policy.caps.tasks, policy.caps.rounds, policy.caps.depth),
        (7, 1, 2),
        "what is not written is as in feature-dev"
    );
    assert_eq!(
        (
            policy.big_file,
            policy.guards[&GuardKind::Secrets],
            policy.guards[&GuardKind::Links]
        ),
        (9, GuardRule::Person, GuardRule::Refuse)
    );
    let rule = DecisionRule {
        nobody: Nobody::Recommended,
        deadline: Span::seconds(60),
    };
    assert_eq!(policy.decisions, rule);
}

#[test]
fn a_file_of_a_built_in_name_lies_over_that_one() {
    let policies = config::build(&with_policy("pair", "silence = '2m'\n"))
        .unwrap()
        .policies;
    let pair = &policies[&"pair".parse().unwrap()];
    assert_eq!((pair.silence, pair.plan), (Span::seconds(120), PlanRule::Single));
    assert_eq!(pair.row(Cause::Findings).tries, 2);
}

#[test]
fn somebody_must_plan_and_try() {
    let not = |name: &str, policy: &str| {
        let text = format!("---\nname: {name}\ndescription: x\nrole: engineer\n---\nx\n");
        let mut all = inputs();
        all.files
            .personas
            .push(file(Layer::Repo, &format!(".turno/personas/{name}.md"), &text));
        all.flags.policy = Some(policy.parse().unwrap());
        all
    };
    insta::assert_snapshot!(error(&not("author", "feature-dev")), @r#"there is no author, and the policy `feature-dev` has plan = "author": add one in .turno/personas, or remove the file that changed its role; or choose the policy `single`, which needs none"#);
    insta::assert_snapshot!(error(&not("tester", "drain")), @r#"there is no tester, and the policy `drain` has accept = "team": add one in .turno/personas, or remove the file that changed its role; or choose the policy `single`, which needs none"#);
    for policy in ["single", "pair", "batch", "qa-repair"] {
        assert!(config::build(&not("author", policy)).is_ok(), "{policy}");
        assert!(config::build(&not("tester", policy)).is_ok(), "{policy}");
    }
}

#[test]
fn a_persona_may_be_at_work_only_so_often() {
    let limited = CRITIC.replace("role: reviewer\n", "role: reviewer\nat_once: 1\n");
    let mut all = persona(&limited);
    let at_once = |inputs: &Inputs, name: &str| {
        let loaded = config::build(inputs).unwrap();
        loaded.persona(name).unwrap().persona.at_once
    };
    assert_eq!(at_once(&all, "critic"), AtOnce::Limit(1));
    assert_eq!(at_once(&all, "engineer"), AtOnce::NoLimit);
    let text = "[personas.critic]\nat_once = 3\n";
    all.files.settings.push(file(Layer::Repo, "turno.toml", text));
    assert_eq!(at_once(&all, "critic"), AtOnce::Limit(3));
}

#[rstest]
#[case("claude-opus-4-5-20251101", "5", "25")]
#[case("claude-opus-4-1-20250805", "15", "75")]
#[case("claude-sonnet-4-5[1m]", "3", "15")]
#[case("gpt-5-2025-08-07", "1.25", "10")]
#[case("gpt-5-mini", "0.25", "2")]
#[case("gpt-5.1-codex", "1.25", "10")]
#[case("gpt-5.9", "15", "75")]
#[case("who-knows", "15", "75")]
fn a_model_costs_what_its_longest_entry_says(#[case] model: &str, #[case] input: &str, #[case] output: &str) {
    let price = config::build(&inputs()).unwrap().prices.of(model);
    assert_eq!(
        (price.input, price.output),
        (input.parse().unwrap(), output.parse().unwrap())
    );
}

#[test]
fn every_price_of_the_list_says_when_and_where_it_is_from() {
    let list = include_str!("../../../../policies/prices.toml");
    let entries: Vec<&str> = list.split("\n[").skip(1).collect();
    assert!(entries.len() > 10);
    for entry in entries {
        let told = entry.contains("\nas_of = \"20") && entry.contains("\nsource = \"https://");
        // Two are Turno's own guesses, and the comments beside them say so.
        let guess = entry.starts_with("default]") || entry.starts_with("\"gpt-5.\"]");
        assert!(told != guess, "{entry}");
    }
    let wrong = "[prices.\"gpt-5.9\"]\ninput = 2\noutput = 16\nas_of = \"soon\"\n";
    let error = config::build(&repo(wrong)).unwrap_err().to_string();
    assert!(error.contains("2026-03-31"), "{error}");
}

#[test]
fn turno_toml_adds_prices() {
    let text = "[prices.\"gpt-5.9\"]\ninput = 2\noutput = '16.5'\ncache_read = 0.2\n";
    let prices = config::build(&repo(text)).unwrap().prices;
    let price = prices.of("gpt-5.9-codex");
    assert_eq!(
        (price.output, price.cache_write),
        (MicroUsd(16_500_000), MicroUsd(2_000_000))
    );
    assert_eq!(prices.list().get("default"), Some(&prices.of("?")));
}
