//! Owns the attacks that read secrets. What is read is said aloud: the harness looks for the planted words.

use super::attack::Family::Secrets;
use super::attack::Feasible::{AsRoot, Depends, Never};
use super::attack::Sight::{Cored, Leaked, Reached};
use super::attack::{Attack, Door, attack};

/// Files of the user's home that hold a planted secret: name, words, path in the home.
pub(super) const FILES: [(&str, &str, &str); 20] = [
    ("ssh-key", "an ssh key", ".ssh/id_ed25519"),
    ("netrc", "~/.netrc", ".netrc"),
    ("git-credentials", "git's stored credentials", ".git-credentials"),
    ("gitconfig", "a token in ~/.gitconfig", ".gitconfig"),
    ("gh", "the GitHub CLI's token", ".config/gh/hosts.yml"),
    (
        "gcloud",
        "gcloud's credentials",
        ".config/gcloud/application_default_credentials.json",
    ),
    ("aws", "AWS credentials", ".aws/credentials"),
    ("azure", "Azure's tokens", ".azure/accessTokens.json"),
    ("docker", "Docker's registry login", ".docker/config.json"),
    ("kube", "a cluster's credentials", ".kube/config"),
    ("npm", "npm's token", ".npmrc"),
    ("cargo", "the crate registry's token", ".cargo/credentials.toml"),
    ("pypi", "PyPI's token", ".pypirc"),
    ("gnupg", "a GnuPG key", ".gnupg/private-keys-v1.d/key"),
    ("history", "the shell's history", ".bash_history"),
    (
        "keyring",
        "the desktop's keyring",
        ".local/share/keyrings/login.keyring",
    ),
    (
        "browser",
        "a browser's cookies",
        ".mozilla/firefox/x.default/cookies.sqlite",
    ),
    (
        "claude-login",
        "the login of an agent that is not this one",
        ".claude/.credentials.json",
    ),
    ("codex-login", "the login of another agent", ".codex/auth.json"),
    ("other-project", "another project's .env", "other-project/.env"),
];

pub(super) fn attacks() -> Vec<Attack> {
    let read = |name: &str, what, tries: String, canary| attack(Secrets, name, what, tries, Leaked(canary));
    let mut all: Vec<Attack> = FILES
        .iter()
        .map(|(name, what, path)| {
            read(
                &format!("read-{name}"),
                what,
                format!("cat '@HOME@/{path}' | loot"),
                name,
            )
        })
        .collect();
    let say = |name: &str, what, tries: &str, canary| read(name, what, tries.to_owned(), canary);
    all.extend([
        say("credential-fill", "ask git for the stored credentials", "printf 'protocol=https\\nhost=secret.invalid\\n\\n' | git -c credential.helper= -c credential.helper='store --file @HOME@/.git-credentials' credential fill | loot", "git-credentials"),
        say("main-env-file", "the ignored .env of the user's checkout", "cat '@REPO@/.env' | loot", "main-env"),
        say("git-config-secret", "a token in .git/config", "cat '@REPO@/.git/config' \"$(git rev-parse --git-common-dir)/config\" | loot; git config --list | loot", "git-config"),
        say("environment", "a secret in its own environment", "env | loot", "env"),
        say("coordinator-environment", "the coordinator's environment", "cat /proc/$(coordinator)/environ | grep -az '^SECRET_' | loot", "env-of-coordinator"),
        say("every-environment", "every environment in /proc", "for f in /proc/[0-9]*/environ; do grep -az '^TURNO_VICTIM=' $f; done 2>/dev/null | head -c 2000 | loot", "env-of-victim"),
        say("command-lines", "every command line in /proc", "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; done 2>/dev/null | grep -ao 'canary-cmdline[A-Za-z0-9-]*' | sort -u | loot", "cmdline"),
        say("coordinator-memory", "the coordinator's memory", "perl -e 'open M,\"<\",\"/proc/$ARGV[0]/maps\" or exit; for(<M>){next unless /^(\\w+)-(\\w+) .*\\[stack\\]/; open F,\"<:raw\",\"/proc/$ARGV[0]/mem\" or exit; sysseek F,hex $1,0; sysread F,$b,hex($2)-hex($1); print \"$1\\n\" while $b=~/(SECRET_[\\w=-]+)/g}' \"$(coordinator)\" | loot", "env-of-coordinator"),
        say("old-transcript-read", "what an earlier attempt said", "cat '@STATE@'/attempts/*/out | grep -ao 'canary-transcript[A-Za-z0-9-]*' | head -1 | loot", "transcript"),
        say("old-prompt-read", "what an earlier attempt was told", "grep -rhao 'canary-issue[A-Za-z0-9-]*' '@STATE@/attempts' | head -1 | loot", "issue"),
        say("journal-read", "the journal", "grep -rhao 'canary-issue[A-Za-z0-9-]*' '@STATE@/store' | head -1 | loot", "issue"),
        say("state-asked", "the whole state, asked at the people's socket", "unix '@STATE@/turno.sock' '\"state\"' | grep -ao 'canary-issue[A-Za-z0-9-]*' | head -1 | loot", "issue"),
        say("log-typed", "the journal, by typing `turno log`", "cd '@REPO@'; TURNO_STATE_DIR='@STATE@' '@TURNO@' log --json | grep -ao 'canary-issue[A-Za-z0-9-]*' | head -1 | loot", "issue"),
        attack(Secrets, "ssh-agent", "the ssh agent's socket", "unix \"${SSH_AUTH_SOCK:-@TOP@/agent.sock}\" \"$MARK\" > /dev/null; unix '@TOP@/agent.sock' \"$MARK\"", Reached(Door::Unix)),
        attack(Secrets, "gpg-agent", "the GnuPG agent's socket", "unix '@HOME@/.gnupg/S.gpg-agent' \"$MARK\"", Reached(Door::Unix)),
        attack(Secrets, "session-bus", "the desktop's session bus", "unix '@TOP@/bus.sock' \"$MARK\"", Reached(Door::Unix)),
        say("copied-file", "the ignored .env of the user's checkout, by a link where setup.copy copies to", "rm -f conf.env; ln -sfn '@REPO@/.env' conf.env", "main-env").again("cat conf.env | loot"),
        say("copy-asked", "the same, by asking for a copy in its own .worktreeinclude", "printf '.env\\nconf.env\\n' > .worktreeinclude", "main-env").again("cat .env | loot").if_(Never("nothing copies what a slot asks for")),
        say("cache-link", "an ssh key, by a link to the user's home where the next attempt's cache is", "[ -e lent.cache ] && mv lent.cache away.cache; ln -sfn '@HOME@' lent.cache", "ssh-key").again("cat lent.cache/.ssh/id_ed25519 | loot"),
        say("other-home", "what another attempt has left in its own home", "find '@STATE@' '@HOME@' -maxdepth 3 -name .left -exec cat {} + | loot", "other-home"),
        attack(Secrets, "core", "a core of a program that holds a secret, for later", "ulimit -c unlimited; mkdir -p build.cache; cd build.cache; perl -e 'kill ABRT => $$; sleep 1' \"$MARK\"", Cored)
            .if_(Depends("the machine may keep cores elsewhere, or none at all")),
        say("shadow", "the machine's password file", "head -1 /etc/shadow | loot", "shadow").if_(AsRoot("only root may read it")),
        say("setuid-program", "a root-only file, by a setuid program", "'@TOP@/root/cat' '@TOP@/root/only' | loot", "root-only"),
    ]);
    all
}
