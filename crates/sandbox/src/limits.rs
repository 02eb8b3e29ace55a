//! Owns what an attempt may use of the machine: the limits as data. How the kernel is made to hold them is in the
//! files below: control groups, resource limits, and a watch over the disk. It must not know what is limited.

pub mod cgroup;
pub mod disk;
pub mod means;
pub mod rlimit;

use serde::{Deserialize, Serialize};

const GIB: u64 = 1 << 30;

/// How much of one thing may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// As much as there is.
    Unlimited,
    /// Not more than this.
    AtMost(u64),
}

impl Bound {
    /// The number, where there is one.
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::AtMost(number) => Some(number),
        }
    }
}

/// A share of the processors when they are busy, against a hundred for what is not weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct CpuWeight(u16);

/// A weight out of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cpu weight of {0} is out of range: it is from 1 to 10000, and 100 is normal")]
pub struct BadCpuWeight(u16);

impl CpuWeight {
    /// The share of what is not weighed.
    pub const NORMAL: Self = Self(100);

    /// The number, from 1 to 10000.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for CpuWeight {
    type Error = BadCpuWeight;

    fn try_from(number: u16) -> Result<Self, BadCpuWeight> {
        match number {
            1..=10_000 => Ok(Self(number)),
            _ => Err(BadCpuWeight(number)),
        }
    }
}

impl From<CpuWeight> for u16 {
    fn from(weight: CpuWeight) -> Self {
        weight.0
    }
}

/// What one attempt may use. A limit that is not named is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default = "Limits::none", rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory, of all of its processes together where a control group holds it.
    pub memory: Bound,
    /// Processes and threads at one time.
    pub processes: Bound,
    /// Open files of one process.
    pub open_files: Bound,
    /// Bytes of one file that is written.
    pub file_size: Bound,
    /// Bytes by which the writable places may grow.
    pub disk: Bound,
    /// Files and directories by which the writable places may grow.
    pub files: Bound,
    /// Its share of the processors.
    pub cpu_weight: CpuWeight,
}

impl Limits {
    /// No limit on anything.
    pub fn none() -> Self {
        Self {
            memory: Bound::Unlimited,
            processes: Bound::Unlimited,
            open_files: Bound::Unlimited,
            file_size: Bound::Unlimited,
            disk: Bound::Unlimited,
            files: Bound::Unlimited,
            cpu_weight: CpuWeight::NORMAL,
        }
    }

    /// What an agent, or a check, needs for real work and what the machine survives. `memory_of_machine` is in
    /// bytes; see [`memory_of_machine`].
    pub fn default_for_agents(memory_of_machine: Option<u64>) -> Self {
        let most = memory_of_machine.map_or(8 * GIB, |all| (all / 4 * 3).min(8 * GIB));
        Self {
            memory: Bound::AtMost(most),
            processes: Bound::AtMost(1024),
            open_files: Bound::AtMost(65_536),
            file_size: Bound::AtMost(8 * GIB),
            disk: Bound::AtMost(20 * GIB),
            files: Bound::AtMost(500_000),
            cpu_weight: CpuWeight::NORMAL,
        }
    }
}

/// How many bytes of memory this machine has, if it says so.
pub fn memory_of_machine() -> Option<u64> {
    total_of(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// A number of bytes, for people: `8 GiB`, `1.5 MiB`, `17 bytes`.
pub fn bytes(number: u64) -> String {
    let (unit, name) = match number {
        0..1024 => return format!("{number} bytes"),
        1024..0x10_0000 => (1 << 10, "KiB"),
        0x10_0000..GIB => (1 << 20, "MiB"),
        GIB.. => (GIB, "GiB"),
    };
    match (number / unit, number % unit * 10 / unit) {
        (whole, 0) => format!("{whole} {name}"),
        (whole, tenths) => format!("{whole}.{tenths} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// Held by tests that move this process between groups or start others: a child is born where its parent is.
    pub(super) fn alone() -> MutexGuard<'static, ()> {
        static ONE: Mutex<()> = Mutex::new(());
        ONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn agents_get_eight_gib_or_three_quarters_of_a_small_machine() {
        let memory = |machine| Limits::default_for_agents(machine).memory;
        assert_eq!(memory(Some(64 * GIB)), Bound::AtMost(8 * GIB));
        assert_eq!(memory(Some(4 * GIB)), Bound::AtMost(3 * GIB));
        assert_eq!(memory(None), Bound::AtMost(8 * GIB));
    }

    #[test]
    fn the_memory_of_this_machine_is_known() {
        assert_eq!(
            total_of("MemTotal:       16 kB\nMemFree: 1 kB\n"),
            Some(16 * 1024)
        );
        assert_eq!(total_of("MemFree: 1 kB\n"), None);
        assert!(memory_of_machine().unwrap() > 64 << 20);
    }

    #[test]
    fn limits_are_read_back_as_written_and_what_is_missing_is_no_limit() {
        let limits = Limits::default_for_agents(Some(16 * GIB));
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
        let old = serde_json::from_str::<Limits>(r#"{"memory":{"at-most":5}}"#).unwrap();
        assert_eq!(
            old,
            Limits {
                memory: Bound::AtMost(5),
                ..Limits::none()
            }
        );
    }

    #[test]
    fn a_weight_out_of_range_is_refused() {
        let error = serde_json::from_str::<CpuWeight>("0").unwrap_err().to_string();
        assert!(error.contains("from 1 to 10000"), "{error}");
        assert!(serde_json::from_str::<CpuWeight>("10001").is_err());
        assert_eq!(
            serde_json::from_str::<CpuWeight>("10000").unwrap().number(),
            10_000
        );
    }

    #[test]
    fn bytes_are_shown_short() {
        let shown: Vec<String> = [17, 1024, 3 << 19, 8 * GIB, 8 * GIB + GIB / 2].map(bytes).into();
        assert_eq!(shown, ["17 bytes", "1 KiB", "1.5 MiB", "8 GiB", "8.5 GiB"]);
    }
}
