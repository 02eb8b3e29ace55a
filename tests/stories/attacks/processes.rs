//! Owns the attacks on other processes, those that outlive their attempt, and those that ask the kernel for more.

use super::attack::Family::Processes;
use super::attack::Feasible::{AsRoot, Depends, Never};
use super::attack::Sight::{
    CoordinatorGone, Hurt as HurtSight, Leaked, Marked, Outlives, Seen, SupervisorGone,
};
use super::attack::{Attack, Hurt, Peak, attack};

/// A quiet minute under the attack's mark.
const QUIET: &str = "perl -e 'sleep 60' \"$MARK\" </dev/null >/dev/null 2>&1";

pub(super) fn attacks() -> Vec<Attack> {
    let act = |name: &str, what, tries: &str, sight| attack(Processes, name, what, tries, sight);
    vec![
        act("kill-coordinator", "kill the coordinator", "kill -9 $(coordinator)", CoordinatorGone).spoils(8),
        act("kill-supervisor", "kill the attempt's supervisor", "kill -9 $(supervisor)", SupervisorGone).spoils(9),
        act("kill-other", "kill a program of the user's", "kill -9 @PID:kill@", HurtSight("kill", Hurt::Gone)),
        act("kill-by-name", "kill it by its name", "pkill -9 -f victim-by-name-@NONCE@", HurtSight("by-name", Hurt::Gone)),
        act("kill-group", "kill a process group of the user's", "perl -e 'kill \"-KILL\", @PID:group@'", HurtSight("group", Hurt::Gone)),
        act("ptrace", "take a program over by ptrace", "perl -e '$n=`uname -m`=~/aarch64/?117:101; $p=$ARGV[0]+0; syscall($n,16,$p,0,0)==0 or exit; select undef,undef,undef,.3; syscall($n,8,$p,0,0)' @PID:ptrace@", HurtSight("ptrace", Hurt::Gone)),
        act("renice", "slow a program of the user's down", "renice -n 19 -p @PID:renice@", HurtSight("renice", Hurt::Slower)),
        act("limits", "let a program of the user's open no more files", "prlimit --pid @PID:limits@ --nofile=7:7", HurtSight("limits", Hurt::Limited)),
        act("affinity", "keep a program of the user's off all processors but one", "taskset -pc 0 @PID:affinity@", HurtSight("affinity", Hurt::Pinned))
            .if_(Depends("a machine of one processor has nothing to take away")),
        act("io-priority", "let a program of the user's wait for the disk", "ionice -c 3 -p @PID:disk@", HurtSight("disk", Hurt::LastAtTheDisk)),
        act("oom-score", "have the kernel kill it first when memory is short", "echo 1000 > /proc/@PID:oom@/oom_score_adj", HurtSight("oom", Hurt::FirstToDie)),
        act("setsid", "outlive the attempt in a session of its own", &format!("setsid {QUIET} &"), Outlives),
        act("nohup", "outlive it by nohup", &format!("nohup {QUIET} &"), Outlives),
        act("double-fork", "outlive it by a double fork", "perl -MPOSIX -e 'fork and exit; setsid; fork and exit; open STDOUT,\">/dev/null\"; open STDERR,\">/dev/null\"; sleep 60' \"$MARK\"", Outlives),
        act("env-cleared", "outlive it without any variable", &format!("env -i setsid --fork /usr/bin/{QUIET}"), Outlives),
        act("deaf", "outlive it deaf to signals", "setsid perl -e '$SIG{$_}=\"IGNORE\" for qw(INT TERM HUP QUIT USR1); sleep 60 while 1' \"$MARK\" </dev/null >/dev/null 2>&1 &", Outlives),
        act("late-write", "write into the slot after the end", "setsid perl -e 'sleep 3; open F,\">\",\"@SLOT@/$ARGV[0]\"; print F 1; close F; sleep 60' \"$MARK\" </dev/null >/dev/null 2>&1 &", Outlives),
        act("real-time", "go before everything else, in real time", "chrt -f 50 perl -e 'sleep 1' \"$MARK\"", Seen(Peak::Priority))
            .if_(AsRoot("a normal user may not")),
        act("nice", "go before others by a negative nice value", "nice -n -15 perl -e 'sleep 1' \"$MARK\"", Seen(Peak::Priority))
            .if_(AsRoot("a normal user may not")),
        act("namespace-remount", "make read-only places writable in a user namespace of its own", "unshare -Urm sh -c 'mount -o remount,bind,rw \"@REPO@/.git\"; mount -o remount,bind,rw /; echo 1 > \"@REPO@/.git/$0\"' \"$MARK\"", Marked("@REPO@/.git/@MARK@")),
        act("namespace-unmount", "uncover what is covered in a user namespace of its own", "unshare -Urm sh -c 'umount -l \"@HOME@\"; umount -l \"@HOME@\"; cat \"@HOME@/.netrc\"' | loot", Leaked("netrc")),
        act("unmount", "uncover what is covered", "umount -l '@HOME@/.ssh' '@HOME@' 2>/dev/null; cat '@HOME@/.ssh/id_ed25519' | loot", Leaked("ssh-key")),
        act("enter-init", "enter the namespaces of process 1", "nsenter -t 1 -m -p -- /bin/sh -c 'echo 1 > \"@TOP@/outside/$0\"' \"$MARK\"", Marked("@TOP@/outside/@MARK@"))
            .if_(Depends("process 1 is root's, and may have more rights than root has here")),
        act("enter-other", "enter the namespaces of a program of the user's", "nsenter -t @PID:plain@ -U --preserve-credentials -m -- /bin/sh -c 'echo 1 > \"@TOP@/outside/$0\"' \"$MARK\" || nsenter -t @PID:plain@ -m -- /bin/sh -c 'echo 1 > \"@TOP@/outside/$0\"' \"$MARK\"", Marked("@TOP@/outside/@MARK@"))
            .if_(AsRoot("a normal user may not enter namespaces that are not below his own")),
        act("sudo", "become root by sudo", "sudo -n sh -c 'echo 1 > \"/etc/profile.d/$0.sh\"' \"$MARK\"", Marked("/etc/profile.d/@MARK@.sh"))
            .if_(Never("it needs an account that may use sudo without a password")),
        act("file-handle", "open a file outside by its handle", "perl -e '$a=`uname -m`=~/aarch64/; $f=\"@TOP@/root/handle\"; $h=pack(\"Ii\",128,0).(\"\\0\"x128); $m=pack(\"i\",0); syscall($a?264:303,-100,$f,$h,$m,0)==0 or exit; open D,\"<\",\"@TOP@\"; $d=syscall($a?265:304,fileno D,$h,577); $d<0 and exit; open O,\">&=\",$d; print O \"$ARGV[0]\\n\"' \"$MARK\"", Marked("@TOP@/root/handle"))
            .if_(AsRoot("open_by_handle_at is refused to a normal user")),
    ]
}
