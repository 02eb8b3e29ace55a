//! Programs that are run to their end.

use super::*;
use std::time::Instant;

fn sh(script: &str, input: Input, output_cap: usize) -> Call {
    Call {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        cwd: "/".into(),
        env: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("GIVEN".into(), "yes".into()),
        ],
        input,
        output_cap,
    }
}

#[tokio::test]
async fn input_output_code_and_environment_are_the_ones_given() {
    let call = sh(
        "cat; echo $GIVEN$HOME; echo oops >&2; exit 3",
        Input::Bytes(b"in ".to_vec()),
        1000,
    );
    let finished = run_to_end(call, Duration::from_secs(10)).await.unwrap();
    assert_eq!(finished.end, End::Exited(3));
    assert_eq!(finished.stdout, b"in yes\n");
    assert_eq!(finished.stderr, b"oops\n");
}

#[tokio::test]
async fn at_the_limit_the_whole_group_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 300 & echo $! > {}; wait", file.display());
    let result = run_to_end(sh(&script, Input::Nothing, 1000), Duration::from_millis(700)).await;
    assert!(matches!(result, Err(Error::TimedOut { .. })), "{result:?}");
    let grandchild: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    let begun = Instant::now();
    while is_running(grandchild) {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "the grandchild lives on"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_running(pid: i32) -> bool {
    // A zombie that waits for init to reap it does not run.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|s| !s.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

#[tokio::test]
async fn a_child_left_behind_does_not_hold_the_caller() {
    let begun = Instant::now();
    let finished = run_to_end(
        sh("sleep 300 & echo done", Input::Nothing, 1000),
        Duration::from_secs(60),
    )
    .await
    .unwrap();
    assert_eq!(finished.stdout, b"done\n");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn too_much_output_is_an_error_and_not_half_an_answer() {
    let result = run_to_end(
        sh("yes | head -c 5000", Input::Nothing, 4999),
        Duration::from_secs(10),
    )
    .await;
    assert!(
        matches!(result, Err(Error::TooMuch { cap: 4999, .. })),
        "{result:?}"
    );
    let whole = run_to_end(
        sh("yes | head -c 5000", Input::Nothing, 5000),
        Duration::from_secs(10),
    )
    .await;
    assert_eq!(whole.unwrap().stdout.len(), 5000);
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let call = Call {
        program: "no-such-program".into(),
        ..sh("", Input::Nothing, 10)
    };
    let error = run_to_end(call, Duration::from_secs(10)).await.unwrap_err();
    assert!(error.to_string().contains("no-such-program"), "{error}");
}
