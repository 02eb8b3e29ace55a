//! Owns the attacks on the repository's git: what Turno or the user's own git would run, follow or lose later.

use super::attack::Family::Git;
use super::attack::Sight::{Differs, Marked, Ref, RefMoved};
use super::attack::{Attack, attack};

/// Plain text added to a file of the git directory: name, words, file, text.
const FILES: [(&str, &str, &str, &str); 12] = [
    (
        "hook-checkout",
        "a hook that runs at the next checkout",
        "@REPO@/.git/hooks/post-checkout",
        "#!/bin/sh\\n: $MARK",
    ),
    (
        "hook-refs",
        "a hook that runs at every ref's move",
        "@REPO@/.git/hooks/reference-transaction",
        "#!/bin/sh\\n: $MARK",
    ),
    (
        "config-file",
        "a command in .git/config, by hand",
        "@REPO@/.git/config",
        "[core]\\n\\tpager = : $MARK",
    ),
    (
        "config-submodule",
        "a submodule's update command",
        "@REPO@/.git/config",
        "[submodule \"x\"]\\n\\tupdate = !: $MARK",
    ),
    (
        "config-include",
        "an include in .git/config",
        "@REPO@/.git/config",
        "[include]\\n\\tpath = /nowhere/$MARK",
    ),
    (
        "attributes",
        "a filter for every file (info/attributes)",
        "@REPO@/.git/info/attributes",
        "* filter=$MARK",
    ),
    (
        "exclude",
        "what the user's git does not show (info/exclude)",
        "@REPO@/.git/info/exclude",
        "$MARK",
    ),
    (
        "alternates",
        "@REPO@/.git/objects from elsewhere (info/alternates)",
        "@REPO@/.git/objects/info/alternates",
        "@TOP@/outside/$MARK",
    ),
    (
        "side-commondir",
        "the common directory of the user's other worktree",
        "@REPO@/.git/worktrees/side/commondir",
        "../..\\n$MARK",
    ),
    (
        "side-gitdir",
        "where the user's other worktree lies",
        "@REPO@/.git/worktrees/side/gitdir",
        "/nowhere/$MARK",
    ),
    (
        "side-config",
        "a configuration of the user's other worktree",
        "@REPO@/.git/worktrees/side/config.worktree",
        "# $MARK",
    ),
    (
        "packed-ref",
        "a ref added to packed-refs",
        "@REPO@/.git/packed-refs",
        "$(git rev-parse HEAD) refs/heads/$MARK",
    ),
];

/// Commands on the repository: name, words, command, what is seen.
fn commands() -> Vec<Attack> {
    let config = Marked("@REPO@/.git/config");
    let git = |name: &str, what, tries: &str, sight| attack(Git, name, what, tries, sight);
    vec![
        git("config-hooks", "git config core.hooksPath", "git config --add core.hooksPath /nowhere/$MARK", config),
        git("config-fsmonitor", "git config core.fsmonitor", "git config core.fsmonitor \": $MARK\"", config),
        git("config-alias", "git config alias", "git config alias.st \"!: $MARK\"", config),
        git("config-ssh", "git config core.sshCommand", "git config core.sshCommand \": $MARK\"", config),
        git("config-remote", "send the user's next push elsewhere", "git config remote.upstream.pushUrl /nowhere/$MARK", config),
        git(
            "config-global",
            "git config --global",
            "git config --file '@HOME@/.gitconfig' alias.st \"!: $MARK\"; git config --global alias.st \"!: $MARK\"",
            Marked("@HOME@/.gitconfig"),
        ),
        git(
            "config-worktree",
            "a configuration of its own worktree",
            "echo \"# $MARK\" >> \"$(git rev-parse --git-dir)/config.worktree\"",
            Marked("@REPO@/.git/worktrees"),
        ),
        git("move-main", "move the user's branch", &moving("refs/heads/main"), RefMoved("refs/heads/main")).spoils(4),
        git("move-base", "move an issue's landed branch", &moving("refs/heads/turno/1/base"), RefMoved("refs/heads/turno/1/base")).spoils(4),
        git("owner", "take the repository for another workspace", "git update-ref refs/turno/owner $(echo x | git hash-object -w --stdin)", RefMoved("refs/turno/owner")).spoils(5),
        git("turno-ref", "a ref among Turno's own", "git update-ref refs/turno/$MARK HEAD", Ref("refs/turno/@MARK@")),
        git("turno-branch", "a branch among Turno's own", "git update-ref refs/heads/turno/9/$MARK HEAD", Ref("refs/heads/turno/9/@MARK@")),
        git("branch", "a new branch", "git branch $MARK", Ref("refs/heads/@MARK@")),
        git("tag", "a new tag", "git tag $MARK", Ref("refs/tags/@MARK@")),
        git("note", "a note on a commit", "git update-ref refs/notes/$MARK HEAD", Ref("refs/notes/@MARK@")),
        git("ref-file", "a branch, by writing its file", "git rev-parse HEAD > '@REPO@/.git/refs/heads/'$MARK", Ref("refs/heads/@MARK@")),
        git("delete-branch", "delete a branch of the user's", "git branch -D precious", RefMoved("refs/heads/precious")),
        git("delete-tag", "delete a tag of the user's", "git tag -d v1", RefMoved("refs/tags/v1")),
        git("stash", "stash the slot's changes: the stash is the user's", "echo $MARK > src/a.txt; git stash -q", Ref("refs/stash")),
        git("delete-ref", "delete a ref of the user's", "git update-ref -d refs/kept/one", RefMoved("refs/kept/one")),
        git("replace", "a replace ref for the user's commit", "git replace -f keep $(git commit-tree -m $MARK 'keep^{tree}')", Ref("refs/replace/@KEEP@")),
        git("head", "point the user's HEAD elsewhere", "git -C '@REPO@' symbolic-ref HEAD refs/heads/$MARK", Marked("@REPO@/.git/HEAD")).spoils(5),
        git("lock-left", "a lock that stops the user's git", "touch '@REPO@/.git/index.lock'", Differs("@REPO@/.git/index.lock")),
        git("object", "change an object of the user's", "chmod u+w '@OBJECT@'; echo \"$MARK\" > '@OBJECT@'", Differs("@OBJECT@")).spoils(1),
        git("pack", "change a pack of the user's", "chmod u+w '@PACK@'; echo \"$MARK\" >> '@PACK@'", Differs("@PACK@")).spoils(1),
        git("gc", "git gc --prune=now: what the user could still recover", "git prune --expire=now", Differs("@DANGLING@")),
        git("reflog", "expire the user's reflog", "git reflog expire --expire=now --all", Differs("@REPO@/.git/logs/HEAD")),
        git("worktree-add", "a worktree elsewhere", "git worktree add -q --detach '@TOP@/outside/'$MARK HEAD", Marked("@REPO@/.git/worktrees")),
        git("worktree-remove", "remove the user's other worktree", "git worktree remove --force '@TOP@/away'", Differs("@TOP@/away/.git")),
        git("worktree-prune", "prune the metadata of a worktree on a drive that is not there now", "git worktree prune --expire=now", Differs("@REPO@/.git/worktrees/unplugged/HEAD")),
        git("orig-head", "the user's ORIG_HEAD", "git -C '@REPO@' update-ref ORIG_HEAD keep", Differs("@REPO@/.git/ORIG_HEAD")),
        git(
            "own-commondir",
            "redirect its own worktree to a repository with a command in it",
            &format!(
                "d=$(git rev-parse --git-dir); {} cp -r '@REPO@/.git/refs' '@REPO@/.git/objects' fake/; echo \"$PWD/fake\" > $d/commondir",
                FAKE
            ),
            Marked("@TOP@/outside/@MARK@"),
        )
        .then("git -C '@SLOT@' status")
        .spoils(6),
        git(
            "planted-git-file",
            "a .git file in the slot that leads to a repository with a command in it",
            &format!("{FAKE} rm -f .git; echo \"gitdir: $PWD/fake\" > .git; git add -A"),
            Marked("@TOP@/outside/@MARK@"),
        )
        .then("git -C '@SLOT@' status")
        .spoils(7),
        git(
            "planted-git-directory",
            "a .git directory in the slot with a command in it",
            &format!("{FAKE} rm -f .git; mv fake .git; git add -A"),
            Marked("@TOP@/outside/@MARK@"),
        )
        .then("git -C '@SLOT@' status")
        .spoils(8),
    ]
}

/// A repository in `fake` whose every look at the working tree touches a file outside.
const FAKE: &str = "git init -q --bare fake; git -C fake config core.bare false; git -C fake config core.fsmonitor \"echo $MARK > @TOP@/outside/$MARK; :\";";

/// Moves a branch to a commit of the attacker's.
fn moving(branch: &str) -> String {
    format!("git update-ref {branch} $(git commit-tree -m $MARK -p HEAD 'HEAD^{{tree}}')")
}

pub(super) fn attacks() -> Vec<Attack> {
    let mut all = commands();
    // They come last: what they leave may stop other commands of git.
    all.extend(FILES.iter().map(|(name, what, path, text)| {
        let quoted = text.replace('"', "\\\"");
        let tries = format!("printf \"{quoted}\\n\" >> '{path}'");
        let one = attack(Git, name, what, tries, Marked(path));
        // No command of git works beside a worktree in disorder.
        if name.starts_with("side-") {
            one.spoils(4)
        } else {
            one
        }
    }));
    all
}
