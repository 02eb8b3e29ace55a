//! Owns the limits that the kernel holds for each process alone. They are set by whoever becomes the program, so
//! they hold for everything it starts, and nobody below can raise them again.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::means::Means;
use super::{Bound, Limits};

/// What is to be set before a program is started. Said outside, done inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rlimits {
    /// Bytes of writable private memory of one process. Address space alone is no measure: node and Go reserve a
    /// great deal of it that they never use.
    data: Bound,
    /// Processes and threads beyond those that the user has when it is set. The kernel does not hold root to it.
    processes: Bound,
    /// Open files of one process.
    open_files: Bound,
    /// Bytes of one file.
    file_size: Bound,
}

/// A limit that could not be set.
#[derive(Debug, thiserror::Error)]
#[error(
    "the limit on {what} cannot be set to {to}: {errno}. Set it lower in the configuration, or to unlimited"
)]
pub struct Error {
    /// On what.
    what: &'static str,
    /// To how many.
    to: u64,
    /// The kernel's word.
    errno: Errno,
}

impl Rlimits {
    /// What is left to the processes themselves by what the group of the run holds already.
    pub fn beside(means: &Means, limits: &Limits) -> Self {
        let (data, processes) = match means {
            Means::CgroupV2(_) | Means::CgroupV1(_) => (Bound::Unlimited, Bound::Unlimited),
            Means::Rlimits(_) => (limits.memory, limits.processes),
        };
        Self {
            data,
            processes,
            open_files: limits.open_files,
            file_size: limits.file_size,
        }
    }

    /// Sets them for this process and everything that it will start. No core is ever dumped: it could hold secrets.
    ///
    /// # Errors
    /// When the kernel refuses one. The program must not be started then.
    pub fn apply(&self) -> Result<(), Error> {
        set("core dumps", Resource::RLIMIT_CORE, 0)?;
        if let Bound::AtMost(most) = self.data {
            set("memory", Resource::RLIMIT_DATA, most)?;
        }
        if let Bound::AtMost(most) = self.processes {
            let most = most.saturating_add(tasks_of_user());
            set("processes", Resource::RLIMIT_NPROC, most)?;
        }
        if let Bound::AtMost(most) = self.file_size {
            set("the size of a file", Resource::RLIMIT_FSIZE, most)?;
        }
        if let Bound::AtMost(most) = self.open_files {
            set("open files", Resource::RLIMIT_NOFILE, most)?;
        }
        Ok(())
    }
}

/// Lowers a limit for good. The soft one is never raised: what uses `select` breaks above 1024 open files, and a
/// program that needs more raises its own.
fn set(what: &'static str, resource: Resource, to: u64) -> Result<(), Error> {
    let failed = |errno| Error { what, to, errno };
    let (soft_now, hard_now) = getrlimit(resource).map_err(failed)?;
    let hard = to.min(hard_now);
    setrlimit(resource, soft_now.min(hard), hard).map_err(failed)
}

/// How many processes and threads of this user there are to be seen. In a namespace of their own that is those
/// inside it, and the kernel counts the same.
fn tasks_of_user() -> u64 {
    let me = nix::unistd::getuid().as_raw();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|n| n.parse::<u32>().is_ok())
        })
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok())
        .filter_map(|status| tasks_in(&status, me))
        .sum()
}

fn tasks_in(status: &str, user: u32) -> Option<u64> {
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name));
    let real: u32 = field("Uid:")?.split_whitespace().next()?.parse().ok()?;
    let threads = field("Threads:")?.trim().parse().ok()?;
    (real == user).then_some(threads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::means::WhyNot;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Command, Output};

    const LIMITS: &str = "TEST_LIMITS";
    const SCRIPT: &str = "TEST_SCRIPT";

    fn no_group() -> Means {
        Means::Rlimits(WhyNot {
            v2: String::new(),
            v1: String::new(),
        })
    }

    /// Not a test of its own: what the others start. It limits itself and becomes a shell.
    #[test]
    #[ignore = "started by other tests"]
    fn becomes_a_limited_shell() {
        let (Ok(limits), Ok(script)) = (std::env::var(LIMITS), std::env::var(SCRIPT)) else {
            return;
        };
        let limits: Rlimits = serde_json::from_str(&limits).unwrap();
        limits.apply().unwrap();
        let error = Command::new("/bin/sh").args(["-c", &script]).exec();
        panic!("{error}");
    }

    fn limited(limits: &Limits, user: u32, script: &str) -> Output {
        let _alone = crate::limits::tests::alone();
        let limits = Rlimits::beside(&no_group(), limits);
        // A test binary may be where another user cannot reach it.
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let program = dir.path().join("limited");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        Command::new(program)
            .args([
                "--exact",
                "limits::rlimit::tests::becomes_a_limited_shell",
                "--ignored",
                "--nocapture",
            ])
            .env(LIMITS, serde_json::to_string(&limits).unwrap())
            .env(SCRIPT, script)
            .current_dir(dir.path())
            .uid(user)
            .output()
            .unwrap()
    }

    fn me() -> u32 {
        nix::unistd::getuid().as_raw()
    }

    fn text(output: &Output) -> String {
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn nobody_below_dumps_a_core_or_raises_a_limit_that_was_lowered() {
        let limits = Limits {
            open_files: Bound::AtMost(64),
            ..Limits::none()
        };
        let output = limited(&limits, me(), "ulimit -c; ulimit -Hc; ulimit -n; ulimit -Hn");
        assert!(text(&output).ends_with("0\n0\n64\n64\n"), "{output:?}");
        let output = limited(&Limits::none(), me(), "ulimit -Hc; ulimit -Hf");
        assert!(text(&output).ends_with("0\nunlimited\n"), "{output:?}");
    }

    #[test]
    fn a_file_does_not_grow_beyond_its_limit() {
        let limits = Limits {
            file_size: Bound::AtMost(1 << 20),
            ..Limits::none()
        };
        let output = limited(
            &limits,
            me(),
            "exec 2>/dev/null; exec head -c 3000000 /dev/zero >big",
        );
        assert_eq!(output.status.signal(), Some(25), "SIGXFSZ: {output:?}");
        let output = limited(&limits, me(), "head -c 1000000 /dev/zero >big && echo fits");
        assert!(text(&output).ends_with("fits\n"), "{output:?}");
    }

    #[test]
    fn one_process_gets_no_more_memory_than_its_limit() {
        let hog = "head -c 300M /dev/zero | tail -c 200M | wc -c";
        let limits = |most| Limits {
            memory: most,
            ..Limits::none()
        };
        let output = limited(&limits(Bound::AtMost(64 << 20)), me(), hog);
        assert!(text(&output).ends_with("\n0\n"), "{output:?}");
        let output = limited(&limits(Bound::Unlimited), me(), hog);
        assert!(text(&output).ends_with("\n209715200\n"), "{output:?}");
    }

    #[test]
    fn a_user_starts_no_more_processes_than_the_limit_beyond_those_there_are() {
        let limits = Limits {
            processes: Bound::AtMost(4),
            ..Limits::none()
        };
        let user = if nix::unistd::getuid().is_root() {
            54_321
        } else {
            me()
        };
        let bomb = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; echo all started; wait";
        let output = limited(&limits, user, bomb);
        assert!(!text(&output).contains("all started"), "{output:?}");
        let output = limited(&Limits::none(), user, bomb);
        assert!(text(&output).ends_with("all started\n"), "{output:?}");
    }

    #[test]
    fn a_group_leaves_to_each_process_what_is_its_own() {
        let limits = Limits::default_for_agents(None);
        let group = Means::CgroupV1(crate::limits::means::V1 {
            memory: "/m".into(),
            pids: "/p".into(),
            cpu: None,
            not_v2: String::new(),
        });
        let beside = Rlimits::beside(&group, &limits);
        assert_eq!(
            (beside.data, beside.processes, beside.open_files),
            (Bound::Unlimited, Bound::Unlimited, limits.open_files)
        );
        let alone = Rlimits::beside(&no_group(), &limits);
        assert_eq!((alone.data, alone.processes), (limits.memory, limits.processes));
    }

    #[test]
    fn threads_of_the_user_are_counted_and_those_of_others_not() {
        let status = "Name:\tx\nUid:\t7\t0\t0\t0\nThreads:\t3\n";
        assert_eq!((tasks_in(status, 7), tasks_in(status, 0)), (Some(3), None));
        assert!(tasks_of_user() >= 1);
    }
}
