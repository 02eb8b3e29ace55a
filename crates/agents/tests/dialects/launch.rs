//! How agents are started, as snapshots, and what is too long to be started.

use std::collections::BTreeMap;

use insta::assert_json_snapshot;
use rstest::rstest;
use turno_agents::dialect::{AfterInput, LaunchError};
use turno_agents::{DialectKind, dialect};
use turno_core::command::Session;
use turno_core::persona::{Access, Effort, Model, Tools};

use crate::stage::{job, tool_server};

#[rstest]
fn every_launch_is_a_snapshot(
    #[values(
        DialectKind::Claude,
        DialectKind::Codex,
        DialectKind::Opencode,
        DialectKind::Gemini,
        DialectKind::Acp,
        DialectKind::Command,
        DialectKind::Script
    )]
    kind: DialectKind,
    #[values(Access::Read, Access::Write)] access: Access,
    #[values("fresh", "resumed")] session: &str,
) {
    let mut job = job(access);
    if session == "resumed" {
        job.session = Session::Resume("--not-a-flag".parse().unwrap());
        job.model = Model::Named("big-2".to_owned());
        job.effort = Effort::High;
        job.tools = Tools::Only(vec!["Bash(git *)".to_owned(), "Read".to_owned()]);
        job.extra_args = vec!["--configured".to_owned(), "yes".to_owned()];
        job.cue.title = "--also not a flag".to_owned();
    }
    let launch = dialect(kind).launch(&job).unwrap();
    let access = serde_json::to_value(access).unwrap();
    assert_json_snapshot!(format!("{kind}-{}-{session}", access.as_str().unwrap()), launch);
}

/// How a person's own screen of each is opened, and what is done before. Others have none.
#[rstest]
fn every_terminal_is_a_snapshot(
    #[values(
        DialectKind::Claude,
        DialectKind::Codex,
        DialectKind::Opencode,
        DialectKind::Gemini
    )]
    kind: DialectKind,
    #[values("fresh", "resumed")] session: &str,
) {
    let mut job = job(Access::Write);
    if session == "resumed" {
        job.session = Session::Resume("ses-7".parse().unwrap());
        job.model = Model::Named("big-2".to_owned());
        job.extra_args = vec!["--configured".to_owned(), "yes".to_owned()];
    }
    let terminal = dialect(kind).at_terminal(&job, &BTreeMap::new()).unwrap();
    assert_json_snapshot!(format!("{kind}-terminal-{session}"), terminal);
}

#[test]
fn nobody_else_has_a_screen() {
    for kind in [DialectKind::Acp, DialectKind::Command, DialectKind::Script] {
        let terminal = dialect(kind).at_terminal(&job(Access::Write), &BTreeMap::new());
        assert_eq!(terminal, None, "{kind}");
    }
}

#[rstest]
#[case(DialectKind::Claude, 131_071)]
#[case(DialectKind::Codex, 1_048_576)]
fn a_system_text_has_a_limit(#[case] kind: DialectKind, #[case] limit: usize) {
    let mut job = job(Access::Write);
    job.system = "x".repeat(limit);
    assert!(dialect(kind).launch(&job).is_ok());
    job.system.push('x');
    let Err(LaunchError::PromptTooLong {
        agent,
        length,
        limit: told,
    }) = dialect(kind).launch(&job)
    else {
        panic!("it was launched");
    };
    assert_eq!((agent, length, told), (kind.name(), limit + 1, limit));
}

#[rstest]
#[case(DialectKind::Claude, 9_900_000)]
#[case(DialectKind::Codex, 1_048_576)]
fn a_prompt_has_a_limit(#[case] kind: DialectKind, #[case] fits: usize) {
    let mut job = job(Access::Write);
    job.prompt = "x".repeat(fits);
    assert!(dialect(kind).launch(&job).is_ok());
    job.prompt.push_str(&"x".repeat(100_001));
    assert!(dialect(kind).launch(&job).is_err());
}

/// A server of tools is named where an agent can be given one, and its variables never stand in an argument.
#[rstest]
fn a_server_of_tools_is_wired_in(#[values(DialectKind::Claude, DialectKind::Codex)] kind: DialectKind) {
    let mut job = job(Access::Read);
    job.tool_servers = vec![tool_server()];
    let launch = dialect(kind).launch(&job).unwrap();
    assert!(!launch.argv.iter().any(|arg| arg.contains("s3cret")));
    assert_json_snapshot!(format!("{kind}-tools"), launch);
}

#[test]
fn input_that_is_spoken_to_stays_open() {
    for kind in DialectKind::ALL {
        let launch = dialect(kind).launch(&job(Access::Write)).unwrap();
        let expected = match kind {
            DialectKind::Claude
            | DialectKind::Codex
            | DialectKind::Opencode
            | DialectKind::Gemini
            | DialectKind::Acp => AfterInput::KeepOpen,
            DialectKind::Command | DialectKind::Script => AfterInput::Close,
        };
        assert_eq!(launch.after_input, expected);
        assert!(launch.input.iter().all(|line| !line.contains('\n')));
    }
}

#[test]
fn dialects_are_found_by_name() {
    for kind in DialectKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
    let error = "clyde".parse::<DialectKind>().unwrap_err().to_string();
    assert_eq!(
        error,
        "`clyde` is no dialect; there are claude, codex, opencode, gemini, acp, command, script"
    );
}
