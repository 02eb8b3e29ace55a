//! The board as a person has it: a browser is let in by the link, cards move while a shift runs, a question is
//! answered and an issue promoted by the keyboard, and text that means harm is shown and does nothing.
//!
//! Each story keeps pictures in `target/board-shots`.

use std::fs;

use crate::harness::board::Shown;
use crate::harness::browser::Browser;
use crate::harness::processes::{ended, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 4
[checks.lint]
command = "true"
[checks.test]
command = "true"
[agents.claude]
dialect = "script"
script = "team.yaml"
[agents.gemini]
dialect = "script"
script = "team.yaml"
[agents.codex]
dialect = "script"
script = "team.yaml"
[personas.author]
agents = ["gemini"]
[personas.engineer]
agents = ["claude"]
[personas.reviewer]
agents = ["codex"]
[personas.tester]
agents = ["codex"]
"#;

/// Who waits for a file waits for the story; who may write nowhere waits for a tag.
const TEAM: &str = r#"
sessions:
  - persona: author
    task: "2*"
    round: 1
    steps:
      - say: I read the sessions and how keys are kept.
      - usage: {usd: 0.12}
      - outcome:
          tasks:
            - {key: table, title: Sessions have a table, brief: "src/table.txt", acceptance: [there is a table], touches: ["src/table*"], size: small}
            - {key: ended, title: A session can be ended, brief: "src/ended.txt", acceptance: [it ends], needs: [table], touches: ["src/ended*"]}
            - {key: page, title: A page lists the sessions, brief: "src/page.txt", acceptance: [it lists them], needs: [table], touches: ["src/page*"]}
            - {key: all, title: A lost key ends them all, brief: "src/all.txt", acceptance: [all end], needs: [ended], touches: ["src/all*"], size: large}
            - {key: help, title: The help tells of it, brief: "help.txt", acceptance: [it tells], needs: [page, all], touches: [help.txt]}
  - persona: author
    task: "3*"
    round: 1
    steps:
      - say: I look at how the session is kept.
      - run: "echo 'reads src/auth/session.rs'; until git rev-parse -q --verify refs/tags/go-plan; do sleep 0.1; done"
      - usage: {usd: 0.05}
      - outcome: {tasks: [{key: fix, title: The session is made anew, brief: "src/fix.txt", acceptance: [one can sign in]}]}
  - {persona: author, steps: [{outcome: {missing: []}}]}
  - {persona: tester, steps: [{outcome: {verdict: approve}}]}

  - persona: engineer
    task: A session can be ended
    steps:
      - say: I begin with the query, then the handler.
      - run: "ls -a; touch $HOME/shared/writes; until [ -e $HOME/shared/go-write ]; do sleep 0.05; done"
      - write: {path: src/ended.txt, text: "ended\n"}
      - usage: {usd: 0.21}
      - outcome: {summary: A session can be ended.}
  - persona: engineer
    task: A page lists the sessions
    resumed: true
    steps:
      - run: 'mkdir -p src; printf "%s\n" "$TURNO_ANSWER" > src/page.txt'
      - outcome: {summary: A page lists the sessions by the header that you named.}
  - persona: engineer
    task: A page lists the sessions
    steps:
      - usage: {usd: 0.08}
      - ask: {question: "Which header names the client: X-Client or User-Agent?", options: [X-Client, User-Agent], recommended: X-Client}
      - outcome: {summary: asked}
  - persona: engineer
    task: Sessions have a table
    round: 1
    steps:
      - say: A table with the key, the client and the last use.
      - write: {path: src/table.txt, text: "key\nclient\nlast use\n"}
      - usage: {usd: 0.31}
      - outcome: {summary: Sessions have a table.}
  - persona: engineer
    task: Sessions have a table
    steps:
      - edit: {path: src/table.txt, find: "last use\n", replace: "last use\nended\n"}
      - usage: {usd: 0.14}
      - outcome: {summary: The table tells when a session was ended., evidence: [the checks], open_questions: [old rows were not looked at]}
  - persona: engineer
    steps:
      - run: 'mkdir -p src; printf "key\nclient\nlast use\nended\n%s\n" "$TURNO_ATTEMPT" > "src/table-$TURNO_TASK.txt"; [ "$TURNO_TASK" != 2.5 ] || { rm src/table-1.1.txt; echo told > help.txt; }'
      - usage: {usd: 0.14}
      - outcome: {summary: it is done, evidence: [the checks], open_questions: [old rows were not looked at]}
  - persona: reviewer
    task: Sessions have a table
    round: 1
    steps:
      - usage: {usd: 0.02}
      - outcome: {verdict: findings, findings: [{file: src/table.txt, line: 3, severity: major, what: nothing tells when a session was ended, how_to_see: cat src/table.txt}], read: [src]}
  - {persona: reviewer, steps: [{usage: {usd: 0.02}}, {outcome: {verdict: approve, read: [src]}}]}
"#;

fn project() -> Project {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        ("team.yaml", TEAM),
        ("README.md", "till\n"),
    ]);
    for add in [
        &["Amounts are in cents"][..],
        &["Sign out everywhere when a key is lost", "--label", "auth"],
        &["Sign-in fails after a password change", "--priority", "urgent"],
        &[
            "Export invoices as PDF",
            "--priority",
            "high",
            "--label",
            "billing",
            "--label",
            "pdf",
            "--needs",
            "2",
        ],
        &["Dark theme for the printed page", "--needs", "2"],
    ] {
        project.turno(&[&["issue", "add"][..], add].concat()).exits(0);
    }
    project.turno(&["run", "1", "--policy", "single"]).exits(0);
    project.turno(&["promote", "1"]).exits(0);
    project
}

/// What would do harm if a page took it for markup, or hide something if it were not shown.
const HARM: &str = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u{202e}gnp.exe\u{200b}";

const HOSTILE: &str = r##"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - say: "</script><script>document.title='owned'</script>\u202e\u001b[31m"
      - flood: {lines: 1, bytes_per_line: 10000000}
      - run: "printf '%s\\n' \"<img src=x onerror=document.title='owned'>\" > '<b>bold.txt'; printf '\\342\\200\\256txt\\n' >> '<b>bold.txt'"
      - ask: {question: "<img src=x onerror=document.title='owned'>\u202e?", options: ["\" autofocus onfocus=alert(1) x=\"", "<b>"], recommended: "<b>"}
      - outcome: {summary: "<script>document.title='owned'</script>"}
"##;

fn go(project: &Project, what: &str) {
    fs::write(project.shared().join(what), "").unwrap();
}

const LANE: &str = "document.querySelector('#issue-3').closest('.lane').id";

#[test]
fn a_person_follows_a_shift_answers_and_promotes_by_the_keyboard() {
    let project = project();
    let Some(mut browser) = Browser::open(&project.home()) else {
        return;
    };
    let board = Shown::begin(&project);
    browser.go(&board.link);
    browser.at("/");
    let shift = project.start(&["drain", "--budget", "20"]);
    browser.until("a question came by itself", "document.querySelector('.question')");
    browser.until(
        "two are at work",
        "document.querySelector('#issue-2 .doing .now') && document.querySelector('#lane-planning #issue-3')",
    );
    until("it waits", || project.shared().join("writes").exists());
    browser.until(
        "the sum is told as it grows",
        "document.querySelector('#shift meter').value > 500000",
    );
    browser.until(
        "what it does is told",
        "document.querySelector('#issue-2 .now').textContent.includes('go-write')",
    );
    browser.shots("board");

    // The focus stays on a card that moves to another column.
    browser.eval("document.querySelector('#open-3').focus()");
    assert_eq!(browser.eval(LANE), "lane-planning");
    project.git(&["tag", "go-plan"]);
    browser.until(
        "it has moved",
        &format!("{LANE} === 'lane-working' || {LANE} === 'lane-review'"),
    );
    assert_eq!(browser.eval("document.activeElement.id"), "open-3");

    // While it runs, its page goes on by itself.
    let task = board.get("/api/tasks/2.2");
    let attempt = task["running"]["attempt"].as_u64().unwrap();
    browser.go(&format!("{}/attempts/{attempt}", board.url));
    browser.until(
        "it said so",
        "document.querySelector('#talk').innerText.includes('I begin with the query')",
    );
    browser.shot("attempt");
    browser.go(&format!("{}/issues/2", board.url));
    browser.shots("issue-working");
    // What has landed is shown, and what is not in that is named.
    browser.go(&format!("{}/issues/2/diff", board.url));
    let told = browser.text();
    assert!(
        told.contains("src/table.txt") && told.contains("Not in it"),
        "{told}"
    );
    assert!(told.contains("A session can be ended"), "{told}");
    browser.shots("issue-diff-working");
    let typed = project.turno(&["diff", "2", "--stat"]).exits(0);
    assert!(typed.err.contains("2.2 has not landed"), "{}", typed.err);
    assert!(!typed.err.contains("2.1 has not landed"), "{}", typed.err);
    // It was sent back once, and landed as two commits: both are what it has written.
    let diff = project.turno(&["diff", "2.1"]).exits(0).out;
    assert!(diff.contains("\n+key\n") && diff.contains("\n+ended\n"), "{diff}");
    browser.go(&format!("{}/tasks/2.1", board.url));
    browser.shot("task");

    // A number answers the question, from the inbox.
    browser.key("g");
    browser.key("i");
    browser.at("/decisions");
    browser.shots("inbox");
    browser.key("1");
    browser.until("nothing waits", "!document.querySelector('.question')");
    browser.until(
        "it is settled",
        "document.querySelector('main').innerText.includes('X-Client')",
    );
    let asked = board.get("/api/decisions");
    assert_eq!(asked[0]["stage"]["answered"]["answer"], "X-Client", "{asked:#}");

    // Keys go through cards and columns, and change the colours.
    browser.key("g");
    browser.key("b");
    browser.at("/");
    let at = "document.activeElement.closest('.lane, body').id";
    browser.key("j");
    assert_eq!(browser.eval(at), "lane-working");
    browser.key("h");
    assert_eq!(browser.eval(at), "lane-backlog");
    browser.key("j");
    assert_eq!(browser.eval("document.activeElement.id"), "open-5");
    browser.key("k");
    assert_eq!(browser.eval("document.activeElement.id"), "open-4");
    browser.key("t");
    assert_eq!(browser.eval("document.documentElement.dataset.theme"), "dark");
    browser.key("t");
    browser.key("t");

    // An edit begins with what is stored, not with what the page shows of it.
    let long = format!("{}\u{200b}", "x".repeat(9_000));
    let body = serde_json::json!({"body": long}).to_string();
    let edited = board.ask("PATCH", "/api/issues/4", &[], &body);
    assert_eq!(edited.code, 200, "{}", edited.body);
    browser.go(&format!("{}/issues/4", board.url));
    browser.at("/issues/4");
    browser.eval("document.querySelector('[data-open=edit]').click()");
    browser.until("the form is there", "document.querySelector('#edit[open]')");
    browser.eval("document.querySelector('#edit [name=title]').select()");
    browser.types("Export invoices as PDF/A");
    browser.key("Enter");
    browser.until(
        "it is edited",
        "document.querySelector('h1').innerText.includes('PDF/A')",
    );
    let stored = board.get("/api/issues/4");
    assert_eq!(stored["issue"]["body"], long, "{stored:#}");
    assert_eq!(stored["issue"]["labels"], serde_json::json!(["billing", "pdf"]));
    assert_eq!(stored["issue"]["priority"], "high");
    browser.key("g");
    browser.key("b");
    browser.at("/");

    // The backlog: a key makes one more urgent, the palette finds, a dialog files.
    browser.eval("document.querySelector('#open-5').focus()");
    browser.key("+");
    browser.until(
        "it is high",
        "document.querySelector('#issue-5').dataset.priority === 'high'",
    );
    browser.key("n");
    browser.until("a form is there", "document.querySelector('#new[open]')");
    browser.types("Words for a wrong key");
    browser.shot("new");
    browser.key("Enter");
    browser.at("/issues/6");
    browser.key("?");
    browser.until("help is there", "document.querySelector('#help[open]')");
    browser.shot("help");
    browser.key("Escape");
    browser.ctrl("k");
    browser.until(
        "the palette knows it",
        "document.querySelector('#found').innerText.includes('Export invoices')",
    );
    browser.types("sign out");
    browser.shot("palette");
    browser.key("Enter");
    browser.at("/issues/2");

    // A conversation goes on in the page, and the page tells of its end.
    browser.go(&format!("{}/attempts/{attempt}", board.url));
    browser.at(&format!("/attempts/{attempt}"));
    browser.eval("document.querySelector('#talk').firstElementChild.id = 'first-said'");
    go(&project, "go-write");
    browser.until(
        "what it wrote is told",
        "document.querySelector('#talk').innerText.includes('src/ended.txt')",
    );
    browser.until(
        "its end is told",
        "!document.querySelector('main .facts .pill.live') && document.querySelector('#first-said')",
    );
    browser.go(&format!("{}/issues/2", board.url));
    browser.until(
        "it is to be looked at",
        "document.querySelector('a[href=\"/issues/2/promote\"]')",
    );
    browser.go(&format!("{}/issues/2/diff", board.url));
    browser.go(&format!("{}/issues/2/promote", board.url));
    let told = browser.text();
    assert!(told.contains("main would get 1 new commit"), "{told}");
    browser.shots("promote");
    browser.eval("document.querySelector('.confirm button').focus()");
    browser.key("Enter");
    browser.until(
        "it is done",
        "location.pathname === '/issues/2' && document.querySelector('.facts').innerText.includes('done')",
    );
    assert_eq!(project.at("main", "help.txt"), "told");

    browser.go(&format!("{}/?q=pdf", board.url));
    assert_eq!(browser.eval("document.querySelectorAll('.issue').length"), 1);
    ended(&project, shift);
    let report = board.ask("GET", "/report", &[], "");
    assert_eq!(report.code, 200, "{}", report.body);
    assert!(
        report.head.contains("default-src 'none'; style-src 'sha256-"),
        "{}",
        report.head
    );
    assert!(report.body.contains("A session can be ended"));
    for (page, name) in [
        ("", "home"),
        ("issues/2", "issue"),
        ("issues/2/diff", "issue-diff"),
        ("tasks/2.1", "task"),
        ("tasks/2.1/diff", "task-diff"),
        (&format!("attempts/{attempt}"), "attempt"),
        ("decisions", "decisions"),
        ("shifts", "shifts"),
        ("shifts/S2", "shift"),
        ("report", "report"),
        ("salvage", "salvage"),
        ("config", "config"),
        ("personas", "personas"),
    ] {
        browser.go(&format!("{}/{page}", board.url));
        let told = browser.text();
        assert!(!told.contains("cannot be shown"), "{page}: {told}");
        browser.shots(name);
    }
    assert_eq!(browser.wrong, Vec::<String>::new());
    board.end();
}

#[test]
fn text_that_means_harm_is_shown_and_does_nothing() {
    let project = Project::new(&[("turno.toml", CONFIG), ("team.yaml", HOSTILE)]);
    let Some(mut browser) = Browser::open(&project.home()) else {
        return;
    };
    let add = [
        "issue", "add", HARM, "--body", HARM, "--accept", HARM, "--label", "<i>label",
    ];
    project.turno(&add).exits(0);
    let shift = project.start(&["run", "1", "--policy", "single"]);
    let board = Shown::begin(&project);
    until("it asks", || {
        let asked = board.get("/api/decisions");
        asked.as_array().is_some_and(|d| !d.is_empty())
    });
    browser.go(&board.link);
    browser.at("/");
    let pages = [
        "",
        "issues/1",
        "tasks/1.1",
        "attempts/1",
        "decisions",
        "shifts/1",
        "?q=%3Cimg",
    ];
    for page in pages {
        browser.go(&format!("{}/{page}", board.url));
        browser.until("it hears", "document.body.dataset.heard === ''");
        assert_eq!(
            browser.eval("document.querySelectorAll('main img, main script, main b.text > *').length"),
            0,
            "{page}"
        );
        assert_eq!(
            browser.eval("document.querySelectorAll('[onerror], [onfocus]').length"),
            0,
            "{page}"
        );
        assert_ne!(browser.eval("document.title"), "owned", "{page}");
        let told = browser.text();
        assert!(!told.contains("cannot be shown"), "{page}: {told}");
        assert!(!told.contains('\u{202e}') && !told.contains('\u{1b}'), "{page}");
        assert!(told.len() < 300_000, "{page}: {}", told.len());
    }
    browser.go(&format!("{}/issues/1", board.url));
    let told = browser.text();
    assert!(
        told.contains("onerror") && told.contains("⟨202E⟩gnp.exe⟨200B⟩"),
        "{told}"
    );
    browser.shot("hostile");
    let question = board.get("/api/decisions")[0]["id"].clone();
    let answer = serde_json::json!({"answer": "<b>"});
    let path = format!("/api/decisions/{question}/answer");
    assert_eq!(board.post(&path, &answer).code, 200);
    ended(&project, shift);
    browser.go(&format!("{}/tasks/1.1/diff", board.url));
    let told = browser.text();
    assert!(
        told.contains("⟨202E⟩txt") && told.contains("<b>bold.txt"),
        "{told}"
    );
    assert_ne!(browser.eval("document.title"), "owned");
    assert_eq!(browser.wrong, Vec::<String>::new());

    // All of it reads without scripts too.
    browser.without_scripts();
    for page in pages {
        let seen = board.ask("GET", &format!("/{page}"), &[], "");
        assert_eq!(seen.code, 200, "{page}: {}", seen.body);
        browser.go(&format!("{}/{page}", board.url));
    }
    browser.go(&format!("{}/issues/1", board.url));
    assert!(browser.text().contains("onerror"), "{}", browser.text());
    board.end();
}
