//! Repositories of every kind that git knows: the work lands in them and the checkout stays as it is, or they are
//! refused in words that say what to do.

use std::fs;
use std::process::Command;

use rstest::rstest;

use super::world::{landed, lands, project, run, tells, told, writes};
use crate::harness::project::Project;

/// Commits everything there is.
fn commit(project: &Project) {
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "--allow-empty", "-m", "more"]);
}

/// A shell command in the repository, as its user.
fn sh(project: &Project, command: &str) {
    let done = Command::new("sh")
        .args(["-ec", command])
        .current_dir(project.repo())
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("HOME", project.home())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// The repository is made anew by these commands from the one that is there, now in `../full`.
fn made_by(project: &Project, command: &str) {
    fs::rename(project.repo(), project.repo().with_file_name("full")).unwrap();
    fs::create_dir(project.repo()).unwrap();
    sh(project, command);
    sh(
        project,
        "git config user.name P && git config user.email p@example.invalid",
    );
}

const POINTER: &str = "\
version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
";

/// What an agent does there, how the repository is made, and what lands besides `a.txt`.
#[rstest]
#[case::with_pointers_of_lfs("cp big.bin copy.bin", "
    echo '*.bin filter=lfs diff=lfs merge=lfs -text' > .gitattributes
    printf \"$POINTER\" > big.bin; git add -A; git commit -qm lfs", &["copy.bin"])]
#[case::with_a_sparse_checkout("test -f out/2 && echo 3 > out/3", "
    mkdir in out; echo 1 > in/1; echo 2 > out/2; git add -A; git commit -qm dirs
    git sparse-checkout set --cone in", &["out/3"])]
#[case::with_a_sparse_index("echo 3 > out/3", "
    mkdir in out; echo 1 > in/1; echo 2 > out/2; git add -A; git commit -qm dirs
    git sparse-checkout set --cone --sparse-index in", &["out/3"])]
#[case::with_a_config_for_each_worktree("true", "
    git config extensions.worktreeConfig true
    git config --worktree core.sparseCheckout true
    git config --worktree core.hooksPath /nowhere", &[])]
#[case::with_autocrlf("printf 'x\\ny\\n' >> mix.txt; printf 'a\\r\\n' > dos.txt", "
    git config core.autocrlf true; git config core.safecrlf false; echo '*.sh eol=lf' > .gitattributes
    printf 'a\\r\\nb\\r\\n' > mix.txt; git add -A; git commit -qm crlf", &["dos.txt", "mix.txt"])]
#[case::with_eol_attributes("printf 'x\\ny\\n' > unix.bat", "
    git config core.safecrlf false
    printf '* text=auto\\n*.bat eol=crlf\\n*.sh eol=lf\\n' > .gitattributes
    printf 'a\\r\\n' > old.bat; git add -A; git commit -qm eol; rm old.bat; git checkout -q old.bat", &["unix.bat"])]
#[case::where_only_the_case_changes("git mv f F && cp F f && mv G g", "echo x > G; git add -A; git commit -qm G", &["F", "G", "g"])]
#[case::with_odd_names("echo y >> \"$(printf 'new\\nline')\"; echo y >> ./-dash; echo y > \"$(printf 'e\\314\\201')\"", "
    for n in 'new\\nline' 'qu\\042ote' 't\\tab' 'e\\314\\201' '\\303\\251' ' sp ' '-dash' 'back\\\\slash' '*' ':(top)'; do
        printf x > \"./$(printf -- \"$n\")\"; done
    git add -A; git commit -qm names", &["\"e\\314\\201\"", "\"new\\nline\"", "-dash"])]
#[case::with_links("ln -sf nowhere link; rm dir && mkdir dir && echo x > dir/x", "
    ln -s f link; ln -s nowhere dangling; ln -s /etc/passwd absolute; ln -s . dir; git add -A; git commit -qm links",
    &["dir", "dir/x", "link"])]
#[case::with_empty_commits("git commit -q --allow-empty -m nothing", "
    git commit -q --allow-empty -m one; git commit -q --allow-empty -m two", &[])]
#[case::with_packed_refs("true", "git tag v1; git branch x; git pack-refs --all; git gc -q", &[])]
#[case::with_a_submodule_nobody_fetched("true", "
    git init -q ../lib; echo l > ../lib/l; git -C ../lib add -A
    git -C ../lib -c user.name=a -c user.email=b commit -qm l
    git -c protocol.file.allow=always submodule --quiet add ../lib lib; git commit -qm lib
    git submodule --quiet deinit lib", &[])]
#[case::with_a_submodule_that_is_there("true", "
    git init -q ../lib; echo l > ../lib/l; git -C ../lib add -A
    git -C ../lib -c user.name=a -c user.email=b commit -qm l
    git -c protocol.file.allow=always submodule --quiet add ../lib lib; git commit -qm lib; echo dirt >> lib/l", &[])]
fn a_repository(#[case] command: &str, #[case] make: &str, #[case] paths: &[&str]) {
    let project = project(&[writes(&[run(command)])]);
    sh(&project, &make.replace("$POINTER", POINTER));
    lands(&project);
    let mut expected = vec!["a.txt"];
    expected.extend(paths);
    let changed = project.git(&["diff", "--no-renames", "--name-only", "HEAD", "turno/1/base"]);
    assert_eq!(
        changed.lines().filter(|l| *l != "f").collect::<Vec<_>>(),
        sorted(&expected)
    );
    if project.repo().join("big.bin").exists() {
        for path in ["big.bin", "copy.bin"] {
            assert_eq!(project.at("turno/1/base", path) + "\n", POINTER);
        }
    }
}

/// In the order of git.
fn sorted<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let mut paths = paths.to_vec();
    paths.sort_by_key(|p| p.trim_start_matches('"').to_owned());
    paths
}

/// Made from the project's own, by a command.
#[rstest]
#[case::shallow(
    "git commit -q --allow-empty -m own",
    "git clone -q --depth 1 file://$PWD/../full ."
)]
#[case::with_alternates("git log --oneline", "git clone -q --shared $PWD/../full .")]
#[case::partial(
    "git log -p --oneline",
    "git -C ../full config uploadpack.allowFilter true; git clone -q --filter=blob:none file://$PWD/../full ."
)]
#[case::that_is_a_linked_worktree(
    "true",
    "rmdir ../repo; git -C ../full worktree add -q -b linked ../repo; cd ../repo"
)]
#[case::behind_a_git_file("true", "git clone -q --separate-git-dir=../elsewhere.git ../full .")]
fn a_clone(#[case] command: &str, #[case] make: &str) {
    let project = project(&[writes(&[run(command)])]);
    made_by(&project, make);
    lands(&project);
    assert_eq!(
        project.git(&["diff", "--name-only", "HEAD", "turno/1/base"]),
        "a.txt"
    );
    project.git(&["fsck", "--connectivity-only"]);
}

/// A commit without a file: the configuration is the user's own.
#[test]
fn a_repository_without_files() {
    let project = project(&[writes(&[])]);
    let own = project.home().join(".config/turno");
    for path in ["turno.toml", "script.yaml"] {
        let text = fs::read_to_string(project.repo().join(path)).unwrap();
        let before = fs::read_to_string(own.join(path)).unwrap_or_default();
        fs::write(
            own.join(path),
            text.replace("sh check.sh", "test -f a.txt") + &before,
        )
        .unwrap();
    }
    sh(
        &project,
        "rm -rf .git .turno *; git init -q -b main; git config user.name P; git config user.email p@example.invalid",
    );
    commit(&project);
    lands(&project);
    assert_eq!(landed(&project), ["a.txt"]);
}

/// Its link is never changed unasked.
#[test]
fn a_submodule_that_an_agent_changes() {
    let project = project(&[writes(&[run("rm -rf lib && mkdir lib && echo mine > lib/mine")])]);
    sh(
        &project,
        "git init -q ../lib; echo l > ../lib/l; git -C ../lib add -A
         git -C ../lib -c user.name=a -c user.email=b commit -qm l
         git -c protocol.file.allow=always submodule --quiet add ../lib lib; git commit -qm lib",
    );
    project.issue("One");
    let text = told(&project, &["run", "1"], 1);
    tells(&text, &["lib: a submodule is changed", "turno answer d1"]);
    assert_eq!(
        project.git(&["branch", "--list", "turno/1/base"]),
        "",
        "nothing landed"
    );
}

/// What cannot be worked with is refused before anything is done, in words that say what to do.
#[rstest]
#[case::with_sha256("git init -q --object-format=sha256 .", &["SHA-256", "git init --object-format=sha1"])]
#[case::with_a_reftable("git init -q --ref-format=reftable .", &["reftable", "git refs migrate --ref-format=files"])]
fn a_repository_that_is_refused(#[case] make: &str, #[case] parts: &[&str]) {
    let project = project(&[]);
    made_by(&project, make);
    sh(
        &project,
        "cp -r ../full/* . && git add -A && git commit -qm begin",
    );
    for words in [&["issue", "add", "One"][..], &["run", "1"], &["doctor"]] {
        let done = project.turno(words);
        assert!(done.code != 0, "{words:?}: {}", done.out);
        tells(&format!("{}{}", done.out, done.err), parts);
    }
    assert!(!project.repo().join(".git/worktrees").exists());
}
