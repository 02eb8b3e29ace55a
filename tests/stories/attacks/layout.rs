//! Owns what lies on a stage: the user's files with their planted secrets, the repository's history, the scripts that
//! carry the attacks. Texts only; nothing is run here.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::{Value, json};

use super::attack::Who;
use super::secrets;
use super::stage::is_root;

/// Sockets that the harness listens at, below the top.
pub(super) const SOCKETS: [&str; 4] = [
    "agent.sock",
    "bus.sock",
    "home/.docker/run/docker.sock",
    "home/.gnupg/S.gpg-agent",
];

/// Directories of the user's that planted links lead to, empty.
const LINKED: [&str; 3] = [
    "outside/links-mount",
    "outside/links-login",
    "outside/links-cache",
];

/// What git does not see: among it repositories and bundles that attacks make, whose bytes may look like anything and
/// would be held against the change.
pub(super) const IGNORED: &str = "build.cache/\n*.cache\nconf.env\nfake*\nb\nc/\nCLAUDE.local.md\n.env\n";

/// Files of the user's that attacks change, below `outside`.
const OUTSIDE: [&str; 6] = ["hard", "held", "delete", "rename", "rights", "truncate"];

const CONFIG: &str = r#"
slots = 2
policy = "attacked"
[checks.test]
command = "sh check.sh"
timeout = "3m"
[setup]
copy = ["conf.env"]
[sandbox]
caches = ["linked.cache/below", "lent.cache/.ssh"]
[agents.actor]
dialect = "script"
script = "script.yaml"
[limits]
memory_mib = 600
processes = 250
open_files = 2000
file_mib = 256
disk_mib = 600
files = 20000
"#;

/// Everybody has a turn, and the writer has another when the reviewer sends the change back.
fn policy() -> String {
    let causes = [
        "workspace",
        "spawn",
        "lost",
        "could-not-check",
        "agent",
        "no-outcome",
        "no-change",
        "wrote-while-reading",
        "stalled",
        "wall-clock",
        "checks-failed",
        "findings",
        "out-of-bounds",
        "conflict",
    ];
    let rows = causes.map(|cause| {
        // What was sent back is tried once more: what the first attempt left is there for the second one.
        let tries = i32::from(cause == "findings");
        format!("[rows.{cause}]\ntries = {tries}\nwait = \"0s\"\n")
    });
    format!(
        "plan = \"single\"\naccept = \"off\"\ntests = \"each-change\"\ntest_paths = [\"tests/**\"]\ncheck_reruns = 0\nsilence = \"10m\"\n{}",
        rows.concat()
    )
}

/// Runs the attacks of checks, and passes.
pub(super) const CHECK: &str = r#"
case $TURNO_TASK in
2.*) [ -e src/again.txt ] || for f in attacks/check/*.sh; do [ -e "$f" ] && PERFORMER=$$ sh attacks/run.sh "$f"; done ;;
esac
exit 0
"#;

/// Runs one attack, for a limited time, and says that it was tried, for how long, how it ended and of what it
/// complained.
pub(super) const RUN: &str = r#"
MARK=$(sed -n '1s/^# //p' "$1")
export MARK PERFORMER
errors="${ATTACK_ERRORS:-${TMPDIR:-/tmp}/errors}"
begun=$(date +%s%3N)
timeout -k 1 8 sh "$1" "$MARK" </dev/null 2>"$errors"
code=$?
took=$(($(date +%s%3N) - begun))
said=
[ -f "$errors" ] && said=$(head -c 600 "$errors" | tr '\n\0\t' '   ')
printf '\ntried %s in %s ms, ended with %s: %s\n' "$MARK" "$took" "$code" "$said"
"#;

/// What attacks use: to say what was read, to find Turno's processes, to speak by a socket.
pub(super) const PRELUDE: &str = r#"
loot() { printf '%s %s\n' "$MARK" "$(tr '\n\0\t' '   ' | head -c 60000)"; }
with() { perl -e '$/=undef; for $d (glob "/proc/[0-9]*") { open F,"<","$d/cmdline" or next; $c=<F>; $c=~tr/\0/ /; index($c,"turno $ARGV[0]")<0 and next; open E,"<","$d/environ"; $e=<E>; print $d=~s,/proc/,,r,"\n" if index("$c$e","@STATE@")>=0 }' "$1"; }
coordinator() { with 'run 2' | head -1; }
supervisor() { with supervise | sort -u | head -1; }
tcp() { perl -MSocket -e 'alarm 3; socket(S,PF_INET,SOCK_STREAM,0); connect(S,pack_sockaddr_in($ARGV[1],inet_aton($ARGV[0]))) or exit 1; syswrite S,"$ARGV[2]\r\n\r\n"; sysread S,$b,4096; syswrite S,"$ENV{MARK}\r\n" if $b=~/ 200 /; print $b' "$@"; }
udp() { perl -MSocket -e 'socket(S,PF_INET,SOCK_DGRAM,0); send(S,$ARGV[1],0,pack_sockaddr_in($ARGV[0],inet_aton("127.0.0.1")))' "$@"; }
unix() { perl -MSocket -e 'alarm 3; socket(S,PF_UNIX,SOCK_STREAM,0); connect(S,pack_sockaddr_un($ARGV[0])) or exit 1; syswrite S,"$ARGV[1]\n"; $_=<S>; print' "$@"; }
"#;

/// The repository's history and the user's other worktrees, before Turno is first run.
pub(super) const HISTORY: &str = r#"
git init -q -b main
git config user.name 'A Person'
git config user.email person@example.invalid
git config gc.auto 0
git config http.https://secret.invalid/.extraHeader "Authorization: $SECRET_GIT_CONFIG"
echo "secret = $SECRET_MAIN_ENV" > .env
git add -A && git commit -qm begin
echo begun >> src/a.txt && git commit -qam more
git tag v1
git branch precious
git branch release
git update-ref refs/kept/one HEAD
git checkout -q -b keep && echo kept > kept.txt && git add -A && git commit -qm keep && git checkout -q main
git checkout -q -b packed && echo packed > packed.txt && git add -A && git commit -qm packed && git checkout -q main
git rev-list --objects main..packed | git pack-objects -q .git/objects/pack/pack >/dev/null
git init -q --bare -b main ../origin.git
git remote add origin "$(dirname "$PWD")/origin.git"
git push -q origin main
git worktree add -q --detach ../side
git worktree add -q --detach ../away
git worktree add -q --detach ../unplugged
mv ../unplugged ../drive
"#;

/// A word that is nowhere else.
pub(super) fn canary(name: &str, nonce: &str) -> String {
    if name == "shadow" {
        let text = fs::read_to_string("/etc/shadow").unwrap_or_default();
        return text.lines().next().unwrap_or("unreadable").to_owned();
    }
    format!("canary-{name}-{nonce}")
}

/// Writes the user's files. Returns the secrets of the user's environment.
pub(super) fn files(top: &Path, nonce: &str) -> BTreeMap<String, String> {
    fs::set_permissions(top, fs::Permissions::from_mode(0o755)).unwrap();
    let write = |path: &str, text: &str| {
        let path = top.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for (name, _, path) in secrets::FILES {
        let canary = canary(name, nonce);
        let text = match name {
            "git-credentials" => format!("https://user:{canary}@secret.invalid\n"),
            "gitconfig" => format!("[github]\n\ttoken = {canary}\n"),
            _ => format!("secret = {canary}\n"),
        };
        write(&format!("home/{path}"), &text);
    }
    for name in OUTSIDE {
        write(&format!("outside/{name}"), "the user's\n");
    }
    fs::set_permissions(top.join("outside/rights"), fs::Permissions::from_mode(0o600)).unwrap();
    for path in ["home/.bashrc", "home/.profile", "home/.ssh/authorized_keys"] {
        write(path, "# the user's\n");
    }
    write("repo/turno.toml", CONFIG);
    write("repo/.turno/policies/attacked.toml", &policy());
    write("repo/script.yaml", &script(nonce, &[], &[]));
    write("repo/conf.env", "copied into every slot\n");
    write("outside/hard-home", "the user's\n");
    write("home/go/pkg/mod/known", "a module\n");
    for dir in LINKED {
        fs::create_dir_all(top.join(dir)).unwrap();
    }
    write("repo/check.sh", CHECK);
    write("repo/.gitignore", IGNORED);
    write("repo/src/a.txt", "first\n");
    write("repo/src/b.txt", "first\n");
    for dir in ["state", "bin", "root", "home/.docker/run", "home/.gnupg"] {
        fs::create_dir_all(top.join(dir)).unwrap();
    }
    [
        ("AWS_SECRET_ACCESS_KEY", "env"),
        ("SECRET_OF_THE_SHELL", "env-of-coordinator"),
        ("SECRET_GIT_CONFIG", "git-config"),
        ("SECRET_MAIN_ENV", "main-env"),
    ]
    .map(|(variable, name)| (variable.to_owned(), canary(name, nonce)))
    .into()
}

/// What belongs to root beside the user's files, where the harness is root: a setuid program among it.
pub(super) fn outside_the_users_reach(top: &Path, nonce: &str) {
    if !is_root() {
        return;
    }
    let root = top.join("root");
    std::os::unix::fs::chown(&root, Some(0), Some(0)).unwrap();
    fs::write(root.join("only"), canary("root-only", nonce)).unwrap();
    fs::set_permissions(root.join("only"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(root.join("handle"), "root's\n").unwrap();
    fs::copy("/bin/cat", root.join("cat")).unwrap();
    fs::set_permissions(root.join("cat"), fs::Permissions::from_mode(0o4755)).unwrap();
}

/// What the agents do. Whoever attacks goes through the files of his role and then does what he is there for.
pub(super) fn script(nonce: &str, attacks: &[(Who, String)], again: &[String]) -> String {
    let by = |who: Who, last: &[Value]| -> Vec<Value> {
        let mine = attacks.iter().filter(|(whose, _)| *whose == who);
        mine.map(|(_, path)| json!({ "run": format!("PERFORMER=$PPID exec sh attacks/run.sh {path}") }))
            .chain(last.iter().cloned())
            .collect()
    };
    let session = |persona: &str, task: &str, steps: Vec<Value>| json!({ "persona": persona, "task": task, "steps": steps });
    let first = |persona: &str, steps: Vec<Value>| json!({ "persona": persona, "task": "Attack*", "round": 1, "steps": steps });
    let mut second: Vec<Value> = again
        .iter()
        .map(|path| json!({ "run": format!("PERFORMER=$PPID exec sh attacks/run.sh {path}") }))
        .collect();
    second.extend([
        json!({ "write": { "path": "src/again.txt", "text": "again\n" } }),
        json!({ "outcome": { "summary": "done once more" } }),
    ]);
    let finding = json!({ "file": "src/done.txt", "line": 1, "severity": "major", "what": "once more", "how_to_see": "read it" });
    let sent_back = json!({ "outcome": { "verdict": "findings", "findings": [finding] } });
    let write = json!({ "write": { "path": "src/done.txt", "text": "done\n" } });
    let approve = json!({ "outcome": { "verdict": "approve" } });
    let escaped = "done \u{1b}[2J\u{1b}]52;c;YXR0YWNr\u{7} it is";
    let before = json!({ "say": canary("transcript", nonce) });
    let done = json!({ "outcome": { "summary": "done before" } });
    let left = json!({ "run": format!("echo '{}' > \"$HOME/.left\"", canary("other-home", nonce)) });
    let wait = json!({ "run": "mkdir -p build.cache; touch build.cache/waits" });
    json!({ "sessions": [
        session("engineer", "Before*", vec![before, left, write.clone(), done]),
        session("engineer", "Control*", vec![wait, json!({ "hang": {} })]),
        first("engineer", by(Who::Writer, &[json!({"write": {"path": "src/done.txt", "text": "done again\n"}}), json!({ "say": escaped }), json!({ "outcome": { "summary": escaped } })])),
        session("engineer", "Attack*", second),
        first("tester", by(Who::Tester, std::slice::from_ref(&approve))),
        first("reviewer", by(Who::Reader, std::slice::from_ref(&sent_back))),
        session("tester", "*", vec![approve.clone()]),
        session("reviewer", "*", vec![approve]),
    ] })
    .to_string()
}

/// What a path is: nothing, or its rights with its bytes or its names.
pub(super) fn imprint(path: &Path) -> String {
    match fs::symlink_metadata(path) {
        Err(_) => "nothing".to_owned(),
        Ok(meta) if meta.is_file() => {
            let bytes = fs::read(path).unwrap_or_default();
            format!("{:o} {:08x} {}", meta.mode(), crc(&bytes), bytes.len())
        }
        Ok(meta) => {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let mut names: Vec<_> = entries.map(|e| e.file_name()).collect();
            names.sort();
            format!("{:o} {names:?}", meta.mode())
        }
    }
}

/// A sum over bytes, to tell whether they are the same.
fn crc(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Removes what attacks of a stage have left in the places that everybody shares.
pub(super) fn sweep_outside(nonce: &str) {
    for dir in [
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        "/etc/cron.d",
        "/etc/profile.d",
        "/usr/local/bin",
    ] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.starts_with("atk-") && name.contains(nonce);
            if ours && fs::remove_file(entry.path()).is_err() {
                drop(fs::remove_dir_all(entry.path()));
            }
        }
    }
}
