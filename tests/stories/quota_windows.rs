//! What providers told of accounts is on the page of the shift, in its JSON and on the screen of `turno top`.

use crate::harness::board::Shown;
use crate::harness::browser::{Browser, PHONE};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 1
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - quota: {window: five-hour, fill: {percent: 83}, resets_in: 2h}
      - quota: {window: seven-day, fill: near, resets_in: 50h}
      - write: {path: x.txt, text: "x\n"}
      - outcome: {summary: done}
"#;

#[test]
fn how_full_an_account_is_stands_beside_what_it_did() {
    let project =
        Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)]).env("TURNO_AGENT", "actor");
    project.issue("Write x");
    project.turno(&["run", "1", "--policy", "single"]).exits(0);
    let top = project.turno(&["top", "--once", "--size", "120x30"]).exits(0).out;
    assert!(top.contains("actor: five-hour 83 % used, resets"), "{top}");
    let board = Shown::begin(&project);
    let page = board.get("/api/shifts/1");
    let windows = &page["accounts"][0]["windows"];
    assert_eq!(page["accounts"][0]["agent"], "actor", "{page:#}");
    assert_eq!(
        (&windows[0]["name"], &windows[0]["percent"]),
        (&"five-hour".into(), &83.into())
    );
    assert_eq!(windows[1]["fill"], "nearly used up");
    assert!(windows[0]["resets"].as_i64() > windows[0]["seen"].as_i64());
    if let Some(mut browser) = Browser::open(&project.home()) {
        browser.go(&board.link);
        browser.at("/");
        browser.go(&format!("{}/shifts/1", board.url));
        assert_eq!(browser.eval("document.querySelector('.account meter').value"), 83);
        let told = browser.text();
        assert!(
            told.contains("83 % used") && told.contains("nearly used up"),
            "{told}"
        );
        browser.shot("shift-accounts");
        browser.likes("dark");
        browser.size(PHONE);
        browser.shot("shift-accounts-phone");
    }
    board.end();
}
