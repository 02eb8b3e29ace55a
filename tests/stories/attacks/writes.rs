//! Owns the attacks that write where nobody but Turno or the user may: by every kind of path, and into every place
//! from which something is run later.

use super::attack::Family::Writes;
use super::attack::Feasible::{AsRoot, Depends};
use super::attack::Sight::{Differs, Larger, Marked, Staged};
use super::attack::{Attack, attack};

/// The places that are written by their absolute path: name, words, path.
const PLACES: [(&str, &str, &str); 26] = [
    (
        "absolute-path",
        "a file beside the slot, by absolute path",
        "@TOP@/outside/absolute",
    ),
    (
        "dot-dot",
        "a file beside the slot, by `..`",
        "../../../outside/dot-dot",
    ),
    (
        "self-root",
        "through /proc/self/root",
        "/proc/self/root@TOP@/outside/self-root",
    ),
    (
        "self-cwd",
        "through /proc/self/cwd and `..`",
        "/proc/self/cwd/../../../outside/self-cwd",
    ),
    ("other-slot", "the directory of the slots", "@STATE@/slots/@MARK@"),
    (
        "attempts",
        "the directory of the attempts",
        "@STATE@/attempts/@MARK@",
    ),
    ("store", "the directory of the journal", "@STATE@/store/@MARK@"),
    ("state-top", "the state directory", "@STATE@/@MARK@"),
    ("lock", "the coordinator's lock file", "@STATE@/lock"),
    ("bashrc", "~/.bashrc", "@HOME@/.bashrc"),
    ("profile", "~/.profile", "@HOME@/.profile"),
    (
        "authorized-keys",
        "~/.ssh/authorized_keys",
        "@HOME@/.ssh/authorized_keys",
    ),
    (
        "ssh-config",
        "~/.ssh/config, with a ProxyCommand",
        "@HOME@/.ssh/config",
    ),
    (
        "autostart",
        "the desktop's autostart",
        "@HOME@/.config/autostart/x.desktop",
    ),
    (
        "systemd-user",
        "a systemd unit of the user",
        "@HOME@/.config/systemd/user/x.service",
    ),
    (
        "environment-d",
        "LD_PRELOAD for the next login",
        "@HOME@/.config/environment.d/x.conf",
    ),
    (
        "home-bin",
        "a program on the user's PATH",
        "@HOME@/.local/bin/git",
    ),
    (
        "turno-config",
        "Turno's own configuration of the user",
        "@HOME@/.config/turno/turno.toml",
    ),
    (
        "agent-settings",
        "an agent's settings, with a hook",
        "@HOME@/.claude/settings.json",
    ),
    (
        "cargo-config",
        "a compiler wrapper for the user's builds",
        "@HOME@/.cargo/config.toml",
    ),
    ("host-tmp", "the machine's /tmp", "/tmp/@MARK@"),
    ("host-var-tmp", "the machine's /var/tmp", "/var/tmp/@MARK@"),
    ("host-shm", "the machine's /dev/shm", "/dev/shm/@MARK@"),
    (
        "main-source",
        "a source file of the user's checkout",
        "@REPO@/src/a.txt",
    ),
    ("main-new", "a new file in the user's checkout", "@REPO@/.envrc"),
    (
        "program-beside",
        "the directory of the turno program",
        "@BIN@/@MARK@",
    ),
];

/// What only root can write at all.
const ROOTS: [(&str, &str, &str); 3] = [
    ("cron", "a cron job of the machine", "/etc/cron.d/@MARK@"),
    (
        "profile-d",
        "the machine's login scripts",
        "/etc/profile.d/@MARK@.sh",
    ),
    (
        "usr-local-bin",
        "a program on everybody's PATH",
        "/usr/local/bin/@MARK@",
    ),
];

fn writing(name: &str, what: &'static str, path: &'static str) -> Attack {
    // A path that goes through /proc or `..` is looked at where it ends.
    let seen = match name {
        "dot-dot" => "@TOP@/outside/dot-dot",
        "self-root" => "@TOP@/outside/self-root",
        "self-cwd" => "@TOP@/outside/self-cwd",
        _ => path,
    };
    let tries = format!("mkdir -p \"$(dirname '{path}')\"; echo \"# $MARK\" >> '{path}'");
    attack(Writes, name, what, tries, Marked(seen))
}

pub(super) fn attacks() -> Vec<Attack> {
    let mut all: Vec<Attack> = PLACES.iter().map(|(n, w, p)| writing(n, w, p)).collect();
    let mine = AsRoot("a normal user may not write there");
    all.extend(ROOTS.iter().map(|(n, w, p)| writing(n, w, p).if_(mine)));
    all.extend([
        attack(
            Writes,
            "symlink",
            "through a symlink planted in the slot",
            "ln -s '@TOP@/outside' link; echo \"$MARK\" > link/symlink; rm -f link",
            Marked("@TOP@/outside/symlink"),
        ),
        attack(
            Writes,
            "hard-link",
            "through a hard link to a file outside",
            "ln '@TOP@/outside/hard' hard && echo \"$MARK\" >> hard; rm -f hard",
            Marked("@TOP@/outside/hard"),
        ),
        attack(
            Writes,
            "open-descriptor",
            "through the descriptors that other processes hold (/proc/PID/fd)",
            "for f in /proc/@PID:holder@/fd/*; do case $(readlink $f) in */held) echo \"$MARK\" >> $f;; esac; done",
            Marked("@TOP@/outside/held"),
        ),
        attack(
            Writes,
            "coordinator-cwd",
            "through the coordinator's working directory (/proc/PID/cwd)",
            "c=$(coordinator); echo \"$MARK\" > /proc/$c/cwd/$MARK",
            Marked("@REPO@/@MARK@"),
        ),
        attack(
            Writes,
            "coordinator-root",
            "through the coordinator's root (/proc/PID/root)",
            "for c in $(coordinator) @PID:plain@; do echo \"$MARK\" > /proc/$c/root@TOP@/outside/$MARK; done",
            Marked("@TOP@/outside/@MARK@"),
        ),
        attack(
            Writes,
            "init-root",
            "through the root of process 1",
            "echo \"$MARK\" > /proc/1/root@TOP@/outside/$MARK",
            Marked("@TOP@/outside/@MARK@"),
        )
        .if_(Depends("process 1 is root's, and may have more rights than root has here")),
        attack(
            Writes,
            "chroot-escape",
            "out of a chroot, by the classic way",
            "mkdir -p jail; perl -e 'chroot \"jail\" or exit; chdir \"..\" for 1..64; chroot \".\"; open F, \">\", \"@TOP@/outside/$ARGV[0]\"; print F $ARGV[0]' $MARK",
            Marked("@TOP@/outside/@MARK@"),
        )
        .if_(AsRoot("chroot is refused to a normal user")),
        attack(
            Writes,
            "device",
            "a device node of the machine's disk",
            "mknod @TOP@/outside/$MARK b 8 0",
            Marked("@TOP@/outside/@MARK@"),
        )
        .if_(AsRoot("mknod is refused to a normal user")),
        attack(
            Writes,
            "device-in-slot",
            "a device node in the slot, to read the machine's disk by",
            "mkdir -p build.cache; mknod build.cache/$MARK b 8 0",
            Marked("@SLOT@/build.cache/@MARK@"),
        )
        .if_(AsRoot("mknod is refused to a normal user")),
        attack(
            Writes,
            "setuid-shell",
            "a setuid shell for later",
            "cp /bin/sh /var/tmp/$MARK && chmod 4755 /var/tmp/$MARK",
            Marked("/var/tmp/@MARK@"),
        ),
        attack(
            Writes,
            "delete",
            "delete a file of the user's",
            "rm -f '@TOP@/outside/delete'",
            Differs("@TOP@/outside/delete"),
        ),
        attack(
            Writes,
            "rename",
            "move a file of the user's away",
            "mv '@TOP@/outside/rename' '@TOP@/outside/renamed'",
            Differs("@TOP@/outside/rename"),
        ),
        attack(
            Writes,
            "rights",
            "open a private file for everybody",
            "chmod 666 '@TOP@/outside/rights'",
            Differs("@TOP@/outside/rights"),
        ),
        attack(
            Writes,
            "truncate",
            "empty a file of the user's",
            ": > '@TOP@/outside/truncate'",
            Differs("@TOP@/outside/truncate"),
        ),
        attack(
            Writes,
            "main-delete",
            "delete a file of the user's checkout",
            "rm -f '@REPO@/src/b.txt'",
            Differs("@REPO@/src/b.txt"),
        ),
        attack(
            Writes,
            "main-index",
            "stage something in the user's checkout",
            "o=$(echo x | git -C '@REPO@' hash-object -w --stdin) && git -C '@REPO@' update-index --add --cacheinfo 100644,$o,$MARK",
            Staged,
        ),
        attack(
            Writes,
            "socket-moved",
            "move the coordinator's socket away",
            "mv '@STATE@/turno.sock' '@STATE@/moved-'$MARK",
            Marked("@STATE@/moved-@MARK@"),
        )
        .spoils(5),
        attack(
            Writes,
            "journal-append",
            "write into the journal itself",
            "for f in $(find '@STATE@/store' -type f ! -name 'atk*'); do printf '\\n%s\\n' \"$MARK\" >> $f; done",
            Marked("@STATE@/store"),
        )
        .spoils(7),
        attack(
            Writes,
            "old-transcript",
            "change what an earlier attempt said",
            "for f in '@STATE@'/attempts/*/out; do echo \"$MARK\" >> $f; break; done",
            Marked("@FIRST@/out"),
        ),
        attack(
            Writes,
            "sparse",
            "a file of 100 GB beside the slot",
            "truncate -s 100G '@TOP@/outside/sparse'",
            Larger("@TOP@/outside/sparse", 50 << 30),
        ),
    ]);
    all
}
