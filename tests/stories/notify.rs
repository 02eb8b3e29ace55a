//! People who do not look are told: by a webhook or a program, once, together when there is much, not at night, and
//! whatever dies meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::hook::{Answer, Hook, Posted};
use crate::harness::processes::{ended, signal, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
policy = "single"
slots = 1
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// Those that wait decide how long a shift lasts.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: "Wait*"
    steps:
      - run: 'touch "$HOME/shared/begun"; until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: w.txt, text: "w\n"}
      - outcome: {summary: waited}
  - steps:
      - write: {path: a.txt, text: "a\n"}
      - outcome: {summary: it is done}
"#;

fn project() -> Project {
    Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)]).env("TURNO_AGENT", "actor")
}

/// A webhook that is told everything.
fn told_all(project: &Project, hook: &Hook, more: &str) {
    project.configure(&format!(
        "[notify.hook]\nto = \"webhook\"\nurl = \"{}\"\n{more}\n\
         on = [\"ended\", \"tampering\", \"decision\", \"parked\", \"ready\", \"landed\", \"restarted\"]\n",
        hook.url("hook")
    ));
}

/// How many notices of each kind messages have, each message once.
fn counts(posted: &[Posted]) -> BTreeMap<String, u64> {
    let mut ids = BTreeSet::new();
    let mut counts = BTreeMap::new();
    for message in posted.iter().map(Posted::json) {
        if ids.insert(message["id"].as_str().unwrap().to_owned()) {
            for (kind, n) in message["counts"].as_object().unwrap() {
                *counts.entry(kind.clone()).or_default() += n.as_u64().unwrap();
            }
        }
    }
    counts
}

fn of(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect()
}

fn signed(secret: &str, body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let hex: Vec<String> = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("sha256={}", hex.concat())
}

#[test]
fn a_webhook_and_a_program_are_told_the_end_of_a_shift() {
    let project = project()
        .env("HOOK_SECRET", "a secret of the hook")
        .env("HOOK_TOKEN", "tk_of_the_hook_1234");
    let hook = Hook::start(Answer::Ok);
    told_all(
        &project,
        &hook,
        "secret = \"$HOOK_SECRET\"\ntoken = \"$HOOK_TOKEN\"",
    );
    project.configure(
        "[notify.tell]\nto = \"command\"\ncommand = [\"sh\", \"-c\", \"cat >> $HOME/told; pwd >> $HOME/where\"]\non = [\"ended\"]\n",
    );
    project.issue("Add a");
    project.turno(&["run", "1"]).exits(0);

    let posted = hook.posted();
    assert_eq!(counts(&posted), of(&[("ended", 1), ("landed", 1), ("ready", 1)]));
    let last = posted.last().unwrap();
    assert_eq!(last.path, "/hook");
    assert_eq!(
        last.header("turno-signature").unwrap(),
        signed("a secret of the hook", &last.body)
    );
    assert_eq!(last.header("authorization"), Some("Bearer tk_of_the_hook_1234"));
    let message = last.json();
    assert_eq!(last.header("turno-delivery"), message["id"].as_str());
    assert_eq!(
        (&message["format"], &message["project"]),
        (&1.into(), &"repo".into())
    );
    let text = message["text"].as_str().unwrap();
    assert!(text.contains("1 of 1 landed; ready to promote"), "{text}");

    let told = fs::read_to_string(project.home().join("told")).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["notices"][0]["kind"], "ended");
    assert_eq!(told["notices"][0]["about"]["shift"], 1);
    let place = fs::read_to_string(project.home().join("where")).unwrap();
    assert_eq!(place.trim(), project.repo().to_str().unwrap());

    // The next shift tells its own.
    project.issue("Add more");
    project.turno(&["run", "2"]).exits(0);
    assert_eq!(counts(&hook.posted())["ended"], 2);
    for dir in ["turno.log", "notify/hook.json"] {
        let text = fs::read_to_string(project.state().join(dir)).unwrap();
        assert!(!text.contains("of_the_hook"), "{text}");
    }
}

#[test]
fn a_storm_is_one_digest() {
    let project = Project::new(&[(
        "turno.toml",
        &CONFIG.replace("[checks.test]\ncommand = \"true\"", ""),
    )])
    .env("TURNO_AGENT", "actor");
    project.write(&[("script.yaml", SCRIPT)]);
    let hook = Hook::start(Answer::Ok);
    told_all(&project, &hook, "at_most_every = \"1h\"");
    let issues: Vec<String> = (0..100)
        .map(|n| project.issue(&format!("Issue {n}")).to_string())
        .collect();
    let mut args = vec!["run", "--policy", "qa-repair"];
    args.extend(issues.iter().map(String::as_str));
    project.turno(&args).exits(1);
    let posted = hook.posted();
    assert!(posted.len() <= 2, "{} messages", posted.len());
    assert_eq!(counts(&posted), of(&[("ended", 1), ("parked", 100)]));
    let sizes: Vec<usize> = posted.iter().map(|p| p.body.len()).collect();
    assert!(sizes.iter().all(|s| *s < 16_000), "{sizes:?}");
}

/// Hours of a day by UTC around now, from one before to three after.
fn around_now() -> String {
    let hour = chrono::Timelike::hour(&chrono::Utc::now());
    format!("{:02}:00-{:02}:00", (hour + 23) % 24, (hour + 3) % 24)
}

#[test]
fn what_comes_in_quiet_hours_is_told_together_after_them() {
    let project = project();
    let hook = Hook::start(Answer::Ok);
    told_all(&project, &hook, &format!("quiet = \"{}\"", around_now()));
    for (n, title) in ["Add a", "Add b"].into_iter().enumerate() {
        project.issue(title);
        let done = project.turno(&["run", &(n + 1).to_string()]).exits(0);
        assert!(done.err.contains("it is quiet there"), "{}", done.err);
    }
    let done = project.turno(&["notify", "flush"]).exits(0);
    assert!(done.out.contains("hook: 0 notice(s) told"), "{}", done.out);
    assert_eq!(hook.posted().len(), 0);

    // Six hours further east it is not quiet any more.
    let project = project.env("TZ", "EAST-6");
    let done = project.turno(&["notify", "flush"]).exits(0);
    assert!(done.out.contains("hook: 6 notice(s) told"), "{}", done.out);
    let posted = hook.posted();
    assert_eq!(posted.len(), 1, "one digest");
    assert_eq!(counts(&posted), of(&[("ended", 2), ("landed", 2), ("ready", 2)]));
    project.turno(&["notify", "flush"]).exits(0);
    assert_eq!(hook.posted().len(), 1, "nothing is told twice");
}

#[test]
fn a_dead_target_delays_nobody_and_is_told_when_it_lives() {
    let project = project();
    let hook = Hook::start(Answer::Never);
    told_all(&project, &hook, "");
    project.configure("[notify.tell]\nto = \"command\"\ncommand = [\"sh\", \"-c\", \"cat >> $HOME/told\"]\non = [\"landed\"]\n");
    project.issue("Add a");
    project.issue("Wait for it");
    let begun = Instant::now();
    let child = project.start(&["run", "1", "2"]);
    // The hook hangs with the first message; the second issue begins and the other target is told all the same.
    until("the hook hangs", || !hook.posted().is_empty());
    until("the other is told", || project.home().join("told").exists());
    until("work goes on", || project.shared().join("begun").exists());
    hook.answers(Answer::Status(503));
    fs::write(project.shared().join("go"), "").unwrap();
    let done = ended(&project, child);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(
        done.err.contains("notify.hook: ") && done.err.contains("503"),
        "{}",
        done.err
    );
    let ids = |posted: &[Posted]| -> BTreeSet<String> {
        posted
            .iter()
            .map(|p| p.header("turno-delivery").unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&hook.posted()).len(), 1, "the same is tried again");

    let before = hook.posted().len();
    hook.answers(Answer::Ok);
    project.turno(&["notify", "flush"]).exits(0);
    let posted = hook.posted();
    let arrived = posted.get(before..).unwrap();
    assert_eq!(counts(arrived), of(&[("ended", 1), ("landed", 2), ("ready", 2)]));
    let bodies: BTreeSet<&Vec<u8>> = posted
        .iter()
        .filter(|p| ids(&posted[..1]).contains(p.header("turno-delivery").unwrap()))
        .map(|p| &p.body)
        .collect();
    assert_eq!(bodies.len(), 1, "one id, one content");
}

#[test]
fn a_coordinator_that_is_killed_leaves_nothing_out_and_repeats_under_the_same_id() {
    let project = project();
    let hook = Hook::start(Answer::Never);
    told_all(&project, &hook, "at_most_every = \"0s\"");
    project.issue("Add a");
    project.issue("Wait for it");
    let mut child = project.start(&["run", "1", "2"]);
    until("a message is on its way", || !hook.posted().is_empty());
    until("the second issue begins", || {
        project.shared().join("begun").exists()
    });
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    hook.answers(Answer::Ok);
    fs::write(project.shared().join("go"), "").unwrap();
    project.turno(&["run", "1", "2"]).exits(0);

    let posted = hook.posted();
    let (first, again) = (&posted[0], &posted[1]);
    assert_eq!(
        (first.header("turno-delivery"), &first.body),
        (again.header("turno-delivery"), &again.body)
    );
    assert_eq!(
        counts(&posted),
        of(&[("ended", 1), ("landed", 2), ("ready", 2), ("restarted", 1)])
    );
    let mut told = BTreeSet::new();
    for message in posted.iter().skip(1).map(Posted::json) {
        for notice in message["notices"].as_array().unwrap() {
            let one = (
                notice["seq"].as_u64().unwrap(),
                notice["title"].as_str().unwrap().to_owned(),
            );
            assert!(told.insert(one), "told twice: {notice}");
        }
    }
    assert_eq!(told.len(), 6);
}

#[test]
fn a_test_says_who_was_told_and_why_not() {
    let project = project();
    project.turno(&["notify", "test"]).exits(2);
    let hook = Hook::start(Answer::Ok);
    project.configure(&format!(
        "[notify.good]\nto = \"webhook\"\nurl = \"{}\"\nshape = \"ntfy\"\n\
         [notify.unset]\nto = \"webhook\"\nurl = \"$NOT_SET\"\n\
         [notify.wrong]\nto = \"command\"\ncommand = [\"sh\", \"-c\", \"echo it is broken >&2; exit 3\"]\n\
         [notify.window]\nto = \"desktop\"\n",
        hook.url("my-topic")
    ));
    // A machine without a desktop, whatever this one has.
    let bin = project.home().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink("/bin/sh", bin.join("sh")).unwrap();
    let project = project.env("PATH", bin.to_str().unwrap());
    let done = project.turno(&["notify", "test"]).exits(1);
    assert_eq!(done.out, "good: a webhook at 127.0.0.1 was told\n");
    for said in [
        "notify.unset.url: the environment variable NOT_SET is not set",
        "wrong: `sh` was not told: `sh` ended with exit code 3: it is broken",
        "window",
    ] {
        assert!(done.err.contains(said), "{said}: {}", done.err);
    }
    let posted = hook.posted();
    assert_eq!(
        (posted[0].path.as_str(), &posted[0].json()["topic"]),
        ("/", &"my-topic".into())
    );

    // A desktop: what is handed to the program that opens windows.
    let fake = bin.join("notify-send");
    fs::write(&fake, "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$HOME/window\"\n").unwrap();
    fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    project.turno(&["notify", "test", "window"]).exits(0);
    let window = fs::read_to_string(project.home().join("window")).unwrap();
    assert!(
        window.starts_with("--app-name=Turno\n--urgency=normal\n--\nrepo: a test"),
        "{window}"
    );
    let done = project.turno(&["notify", "test", "nobody"]).exits(2);
    assert!(done.err.contains("there is no target `nobody`"), "{}", done.err);
    let listed = project.turno(&["notify", "list", "--json"]).exits(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 4);
}
