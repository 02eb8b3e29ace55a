//! Owns the attacks that use up the machine, and those that drown or deceive whoever reads. Each is bounded, so that
//! the machine of the test survives its success.

use super::attack::Family::Floods;
use super::attack::Sight::{Escaped, Kept, Larger, Marked, Seen, Shouted};
use super::attack::{Attack, Peak, attack};

/// What an attempt of the stage may use, and what the attacks go beyond. The stage's `turno.toml` sets the limits.
pub(super) const PROCESSES: usize = 300;
pub(super) const MEMORY: u64 = 512 << 20;
pub(super) const OPEN_FILES: usize = 4096;
pub(super) const FILE_SIZE: u64 = 1 << 30;

pub(super) fn attacks() -> Vec<Attack> {
    let flood = |name: &str, what, tries: &str, sight| attack(Floods, name, what, tries, sight);
    vec![
        flood(
            "fork-bomb",
            "a fork bomb, bounded at 600",
            "perl -e 'for(1..600){$p=fork; last unless defined $p; if(!$p){sleep 2; exit}} sleep 2' \"$MARK\" >/dev/null 2>&1",
            Seen(Peak::Processes(PROCESSES)),
        )
        .ends_its_attempt(),
        flood(
            "memory",
            "a gigabyte of memory",
            "perl -e '$x=\"x\"x(1<<30); sleep 1' \"$MARK\" >/dev/null 2>&1",
            Seen(Peak::Memory(MEMORY * 3 / 2)),
        )
        .ends_its_attempt(),
        flood(
            "open-files",
            "ten thousand open files",
            "ulimit -n $(ulimit -Hn); perl -e 'for(1..10000){open my $f,\"<\",\"/dev/null\" or last; push @f,$f} sleep 1' \"$MARK\" >/dev/null 2>&1",
            Seen(Peak::Files(OPEN_FILES)),
        ),
        flood(
            "big-file",
            "a file of two gigabytes in the slot",
            "mkdir -p build.cache; truncate -s 2G build.cache/$MARK",
            Larger("@SLOT@/build.cache/@MARK@", FILE_SIZE),
        ),
        flood(
            "inodes",
            "a thousand files in the machine's /var/tmp",
            "mkdir -p /var/tmp/$MARK; cd /var/tmp/$MARK && perl -e 'for(1..1000){open F,\">\",$_}'",
            Marked("/var/tmp/@MARK@"),
        ),
        flood(
            "output",
            "300 MB of output",
            "perl -e '$l=\"x\"x65535 .\"\\n\"; print $l for 1..4600' > /proc/$PERFORMER/fd/1",
            Kept(260 << 20),
        )
        .ends_its_attempt(),
        flood(
            "line",
            "one line of 80 MB",
            "head -c 80000000 /dev/zero | tr '\\0' x; echo",
            Shouted(8 << 20),
        )
        .spoils(0),
        flood(
            "escapes",
            "escapes that clear the screen and fill the clipboard (OSC 52)",
            "printf '%s \\033[2J\\033]52;c;YXR0YWNr\\007\\033]0;%s\\007\\n' \"$MARK\" \"$MARK\"",
            Escaped,
        ),
    ]
}
