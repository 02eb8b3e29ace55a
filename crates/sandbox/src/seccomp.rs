//! Owns the filter of system calls: what no program needs to write and test software, and what has let programs out
//! of their confinement before. A refused call fails with an error; the program goes on.

use std::collections::BTreeMap;

use libc::{
    AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER,
    SOCK_STREAM, SYS_acct, SYS_add_key, SYS_bpf, SYS_clock_adjtime, SYS_clock_settime, SYS_clone, SYS_clone3,
    SYS_delete_module, SYS_finit_module, SYS_fsconfig, SYS_fsmount, SYS_fsopen, SYS_fspick, SYS_init_module,
    SYS_io_uring_enter, SYS_io_uring_register, SYS_io_uring_setup, SYS_ioctl, SYS_ioprio_set, SYS_kcmp,
    SYS_kexec_file_load, SYS_kexec_load, SYS_keyctl, SYS_lookup_dcookie, SYS_mount, SYS_mount_setattr,
    SYS_move_mount, SYS_move_pages, SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_open_tree,
    SYS_perf_event_open, SYS_pivot_root, SYS_prlimit64, SYS_process_vm_readv, SYS_process_vm_writev,
    SYS_ptrace, SYS_quotactl, SYS_reboot, SYS_request_key, SYS_sched_setaffinity, SYS_sched_setattr,
    SYS_sched_setparam, SYS_sched_setscheduler, SYS_setdomainname, SYS_sethostname, SYS_setns,
    SYS_setpriority, SYS_settimeofday, SYS_socket, SYS_swapoff, SYS_swapon, SYS_syslog, SYS_umount2,
    SYS_unshare, SYS_userfaultfd, SYS_vhangup, TIOCLINUX, TIOCSTI,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use crate::profile::{Nesting, Network};

/// Why the filter is not in force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This processor is not known to the filter.
    #[error("system calls cannot be filtered on {0}")]
    UnknownProcessor(&'static str),
    /// It could not be made or set.
    #[error("the filter of system calls cannot be set: {0}")]
    Refused(String),
}

/// What else holds the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Namespaces: sockets and processes are its own.
    Namespaces,
    /// Nothing but Landlock, which does not look at every kind of socket.
    LandlockAlone,
}

/// Never needed, whatever the program is.
const NEVER: &[i64] = &[
    SYS_acct,
    SYS_add_key,
    SYS_bpf,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_delete_module,
    SYS_finit_module,
    SYS_init_module,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_kcmp,
    SYS_kexec_file_load,
    SYS_kexec_load,
    SYS_keyctl,
    SYS_lookup_dcookie,
    SYS_move_pages,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_perf_event_open,
    SYS_quotactl,
    SYS_reboot,
    SYS_request_key,
    SYS_settimeofday,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_userfaultfd,
    SYS_vhangup,
];

/// Needed only to make a confinement of one's own.
const NESTING: &[i64] = &[
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_open_tree,
    SYS_pivot_root,
    SYS_setdomainname,
    SYS_sethostname,
    SYS_setns,
    SYS_umount2,
    SYS_unshare,
];

/// Dangerous where other processes of the user can be seen.
const OTHERS: &[i64] = &[SYS_process_vm_readv, SYS_process_vm_writev, SYS_ptrace];

/// What acts on any process of the same user, and where its arguments say on whom. Landlock does not look at these
/// either: alone it goes without them but for what a thread does to itself.
const ON_WHOM: &[(i64, Whom)] = &[
    (SYS_prlimit64, Whom::At(0)),
    (SYS_sched_setaffinity, Whom::At(0)),
    (SYS_sched_setattr, Whom::At(0)),
    (SYS_sched_setparam, Whom::At(0)),
    (SYS_sched_setscheduler, Whom::At(0)),
    (SYS_setpriority, Whom::OfKind(PROCESS_OF_PRIORITY)),
    (SYS_ioprio_set, Whom::OfKind(PROCESS_OF_IO)),
];

/// Where a call says on whom it acts; zero is the caller itself.
#[derive(Debug, Clone, Copy)]
enum Whom {
    /// In this argument.
    At(u8),
    /// In the second one, and the first says that it is a process rather than a group or a user.
    OfKind(u64),
}

/// `PRIO_PROCESS`.
const PROCESS_OF_PRIORITY: u64 = 0;
/// `IOPRIO_WHO_PROCESS`.
const PROCESS_OF_IO: u64 = 1;

impl Whom {
    /// When it is refused.
    fn others(self) -> Result<Vec<SeccompRule>, Error> {
        match self {
            Self::At(argument) => Ok(vec![rule(&[(argument, SeccompCmpOp::Ne, 0)])?]),
            Self::OfKind(process) => Ok(vec![
                rule(&[(0, SeccompCmpOp::Ne, process)])?,
                rule(&[(1, SeccompCmpOp::Ne, 0)])?,
            ]),
        }
    }
}

/// What changes rights, owners, times and attributes by a path. Landlock does not look at these, so alone it goes
/// without them; by an open file they can still be changed.
const BY_PATH: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
];

/// Puts the filter on this thread and on every process it starts.
///
/// # Errors
/// When the kernel does not take it.
pub fn apply(nesting: Nesting, network: &Network, beside: Beside) -> Result<(), Error> {
    seccompiler::apply_filter(&program(nesting, network, beside)?).map_err(refused)?;
    if nesting == Nesting::Closed {
        seccompiler::apply_filter(&new_namespaces()?).map_err(refused)?;
    }
    Ok(())
}

/// A child in new namespaces is not made. The newer call hides its wishes from a filter, so it is said not to exist,
/// and the older one is used instead.
fn new_namespaces() -> Result<BpfProgram, Error> {
    filter([(SYS_clone3, Vec::new())].into(), libc::ENOSYS)
}

fn program(nesting: Nesting, network: &Network, beside: Beside) -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    rules.extend(NEVER.iter().map(|call| (*call, Vec::new())));
    if nesting == Nesting::Closed {
        rules.extend(NESTING.iter().map(|call| (*call, Vec::new())));
        let mut clones = Vec::new();
        for flag in [CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID] {
            let flag = widened(flag);
            clones.push(rule(&[(0, SeccompCmpOp::MaskedEq(flag), flag)])?);
        }
        rules.insert(SYS_clone, clones);
    }
    if beside == Beside::LandlockAlone {
        let alone = OTHERS.iter().chain(BY_PATH);
        rules.extend(alone.map(|call| (*call, Vec::new())));
        for (call, whom) in ON_WHOM {
            rules.insert(*call, whom.others()?);
        }
    }
    // What types into a terminal as if its user did.
    let mut typing = Vec::new();
    for request in [TIOCSTI, TIOCLINUX] {
        typing.push(rule(&[(1, SeccompCmpOp::Eq, request)])?);
    }
    rules.insert(SYS_ioctl, typing);
    rules.insert(SYS_socket, sockets(network, beside)?);
    filter(rules, libc::EPERM)
}

/// A filter that lets every call through but those of the rules, which fail with an error.
fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Result<BpfProgram, Error> {
    let arch: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| Error::UnknownProcessor(std::env::consts::ARCH))?;
    let refuse = SeccompAction::Errno(error.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)
        .map_err(refused)?
        .try_into()
        .map_err(refused)
}

/// The sockets that are refused.
fn sockets(network: &Network, beside: Beside) -> Result<Vec<SeccompRule>, Error> {
    let families: &[i32] = match (beside, network) {
        (Beside::Namespaces, _) | (Beside::LandlockAlone, Network::Open) => {
            &[AF_UNIX, AF_INET, AF_INET6, AF_NETLINK]
        }
        // Landlock holds TCP; a Unix socket, by which other programs of the user could be asked to act, it does not.
        (Beside::LandlockAlone, Network::Proxy { .. } | Network::None) => &[AF_INET, AF_INET6],
    };
    let mut unknown = Vec::new();
    for family in families {
        unknown.push((0, SeccompCmpOp::Ne, widened(*family)));
    }
    let mut refused = vec![rule(&unknown)?];
    if beside == Beside::LandlockAlone && *network != Network::Open {
        // The low bits are the kind; above them are flags.
        refused.push(rule(&[(
            1,
            SeccompCmpOp::MaskedEq(0xf),
            widened(libc::SOCK_DGRAM),
        )])?);
        for kind in [libc::SOCK_RAW, libc::SOCK_SEQPACKET] {
            refused.push(rule(&[(1, SeccompCmpOp::MaskedEq(0xf), widened(kind))])?);
        }
        // Another protocol over streams, which Landlock does not hold either.
        refused.push(rule(&[
            (1, SeccompCmpOp::MaskedEq(0xf), widened(SOCK_STREAM)),
            (2, SeccompCmpOp::Ne, 0),
            (2, SeccompCmpOp::Ne, widened(libc::IPPROTO_TCP)),
        ])?);
    }
    Ok(refused)
}

fn widened(number: i32) -> u64 {
    u64::from(number.cast_unsigned())
}

/// A rule that holds when all of its conditions do.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, Error> {
    let conditions: Result<Vec<_>, _> = conditions
        .iter()
        .map(|(arg, op, value)| SeccompCondition::new(*arg, SeccompCmpArgLen::Dword, op.clone(), *value))
        .collect();
    SeccompRule::new(conditions.map_err(refused)?).map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::Refused(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Runs shell text behind the filter that is there where Landlock is alone. Whether it succeeded.
    fn alone(text: &str) -> bool {
        let text = text.to_owned();
        let behind = std::thread::spawn(move || {
            apply(Nesting::Closed, &Network::None, Beside::LandlockAlone).unwrap();
            let quiet = Command::new("/bin/sh")
                .args(["-c", &text])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            quiet.unwrap().success()
        });
        behind.join().unwrap()
    }

    #[test]
    fn alone_a_program_acts_on_itself_and_on_no_other_process() {
        let me = std::process::id();
        for own in [
            "nice -n 1 true",
            "ulimit -n 64",
            "ionice -c 3 true",
            "taskset -c 0 true",
        ] {
            assert!(alone(own), "{own}");
        }
        for other in [
            format!("renice -n 1 -p {me}"),
            format!("prlimit --pid {me} --nofile=4096:4096"),
            format!("ionice -c 2 -p {me}"),
            format!("taskset -pc 0 {me}"),
            format!("chrt -o -p 0 {me}"),
        ] {
            assert!(!alone(&other), "{other}");
        }
    }
}
