//! Owns the answer to one question: by which means does this machine hold a whole run to its limits? It is found out
//! by doing it once. It must not know any run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

use super::cgroup::{Group, GroupName};
use super::{Bound, CpuWeight, Limits};

/// By which means the limits on memory and processes hold. What is in force is the first of these that works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// Control groups of version 2, below a group that was delegated to us.
    CgroupV2(V2),
    /// Control groups of version 1, one tree for each resource.
    CgroupV1(V1),
    /// Limits of each process alone.
    Rlimits(WhyNot),
}

/// Where groups of version 2 are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct V2 {
    /// New groups are made in here.
    pub parent: PathBuf,
    /// Turno itself is in here.
    pub own: PathBuf,
    /// Whether processors are shared out.
    pub cpu: CpuOfV2,
}

/// What version 2 does for processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuOfV2 {
    /// They are shared out by weight.
    Weighed,
    /// The controller is not delegated.
    NotWeighed,
}

/// Where groups of version 1 are made, which is where Turno itself is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct V1 {
    /// For memory.
    pub memory: PathBuf,
    /// For the number of processes.
    pub pids: PathBuf,
    /// For processors, where there is one.
    pub cpu: Option<PathBuf>,
    /// Why it is not version 2.
    pub not_v2: String,
}

/// Why there is no control group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WhyNot {
    /// Why not of version 2.
    pub v2: String,
    /// Why not of version 1.
    pub v1: String,
}

impl Means {
    /// Finds out what holds here, by making a group, limiting it, going in, coming out and removing it. What is
    /// started meanwhile is born in that group, and moved out of it with this process.
    pub fn probe() -> Self {
        let at = match Places::of_this_process() {
            Ok(at) => at,
            Err(why) => {
                return Self::Rlimits(WhyNot {
                    v2: why.clone(),
                    v1: why,
                });
            }
        };
        Self::probe_in(&at)
    }

    fn probe_in(at: &Places) -> Self {
        let not_v2 = match at.v2().and_then(|v2| tried(Self::CgroupV2(v2))) {
            Ok(means) => return means,
            Err(why) => why,
        };
        match at.v1(&not_v2).and_then(|v1| tried(Self::CgroupV1(v1))) {
            Ok(means) => means,
            Err(not_v1) => Self::Rlimits(WhyNot {
                v2: not_v2,
                v1: not_v1,
            }),
        }
    }

    /// What is in force, in one line for people.
    pub fn words(&self) -> String {
        match self {
            Self::CgroupV2(V2 { cpu, .. }) => match cpu {
                CpuOfV2::Weighed => "cgroup v2 (memory, pids, cpu)".to_owned(),
                CpuOfV2::NotWeighed => "cgroup v2 (memory, pids)".to_owned(),
            },
            Self::CgroupV1(V1 { cpu: Some(_), .. }) => "cgroup v1 (memory, pids, cpu)".to_owned(),
            Self::CgroupV1(V1 { cpu: None, .. }) => "cgroup v1 (memory, pids)".to_owned(),
            Self::Rlimits(_) if nix::unistd::geteuid().is_root() => "rlimits only: no cgroup that Turno may \
                write; memory of one process is limited, not of the whole attempt, and processes are counted by \
                Turno, because the kernel does not hold root to a number"
                .to_owned(),
            Self::Rlimits(_) => "rlimits only: no cgroup that Turno may write; memory of one process is limited, \
                not of the whole attempt"
                .to_owned(),
        }
    }

    /// Why nothing better is in force, a line for each better means.
    pub fn passed_over(&self) -> Vec<String> {
        match self {
            Self::CgroupV2(_) => Vec::new(),
            Self::CgroupV1(V1 { not_v2, .. }) => vec![format!("cgroup v2: {not_v2}")],
            Self::Rlimits(WhyNot { v2, v1 }) => {
                vec![format!("cgroup v2: {v2}"), format!("cgroup v1: {v1}")]
            }
        }
    }
}

/// The means, if they work.
fn tried(means: Means) -> Result<Means, String> {
    // One process is in one place at a time.
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A number alone is that of somebody else in another namespace.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos());
    let name = format!("turno-probe-{}-{now}", std::process::id());
    let name = GroupName::try_from(name).map_err(|e| e.to_string())?;
    // Far from what anybody needs: this process goes on working inside.
    let limits = Limits {
        memory: Bound::AtMost(1 << 42),
        processes: Bound::AtMost(100_000),
        cpu_weight: CpuWeight::NORMAL,
        ..Limits::none()
    };
    let attempt = || {
        let Some(group) = Group::make(&means, &name, &limits)? else {
            return Ok(());
        };
        let inside = group.join().and_then(|()| group.hits().map(|_| ()));
        let outside = group.leave();
        let removed = group.dissolve();
        inside.and(outside).and(removed)
    };
    let outcome: Result<(), super::cgroup::Error> = attempt();
    outcome.map(|()| means.clone()).map_err(|e| e.to_string())
}

/// Where this process is, in each tree of control groups.
#[derive(Debug)]
pub(super) struct Places {
    /// By controller, for version 1; by the empty name, for version 2.
    pub(super) own: BTreeMap<String, PathBuf>,
}

/// The name by which version 2 is kept: it has one tree for all controllers.
pub(super) const UNIFIED: &str = "";

impl Places {
    pub(super) fn of_this_process() -> Result<Self, String> {
        let read = |path| std::fs::read_to_string(path).map_err(|e| format!("{path} cannot be read: {e}"));
        Ok(Self::parse(
            &read("/proc/self/mountinfo")?,
            &read("/proc/self/cgroup")?,
        ))
    }

    fn parse(mounts: &str, groups: &str) -> Self {
        let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
        let mut own = BTreeMap::new();
        for line in groups.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            for controller in controllers.split(',') {
                let place = mounts
                    .iter()
                    .filter(|m| m.has(controller))
                    .find_map(|m| m.place(path));
                if let Some(place) = place {
                    own.insert(controller.to_owned(), place);
                }
            }
        }
        Self { own }
    }

    fn v2(&self) -> Result<V2, String> {
        let own = self.own.get(UNIFIED).ok_or("it is not mounted here")?;
        // A group that has processes cannot hand controllers down, so new groups are made beside our own one.
        let parent = match own.join("cgroup.type").exists() {
            true => own.parent().ok_or("it has no parent group")?,
            false => own,
        };
        let handed_down = words_in(&parent.join("cgroup.subtree_control"))?;
        for needed in ["memory", "pids"] {
            if !handed_down.iter().any(|c| c == needed) {
                return Err(format!("{} does not hand down {needed}", parent.display()));
            }
        }
        for file in [parent.join("cgroup.procs"), own.join("cgroup.procs")] {
            may_write(&file)?;
        }
        may_write(parent)?;
        let cpu = match handed_down.iter().any(|c| c == "cpu") {
            true => CpuOfV2::Weighed,
            false => CpuOfV2::NotWeighed,
        };
        Ok(V2 {
            parent: parent.to_owned(),
            own: own.to_owned(),
            cpu,
        })
    }

    fn v1(&self, not_v2: &str) -> Result<V1, String> {
        let place = |controller: &str| {
            let own = self
                .own
                .get(controller)
                .ok_or(format!("{controller} is not mounted here"))?;
            may_write(own)?;
            may_write(&own.join("cgroup.procs"))?;
            Ok::<_, String>(own.clone())
        };
        Ok(V1 {
            memory: place("memory")?,
            pids: place("pids")?,
            cpu: place("cpu").ok(),
            not_v2: not_v2.to_owned(),
        })
    }
}

fn words_in(file: &Path) -> Result<Vec<String>, String> {
    let text =
        std::fs::read_to_string(file).map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn may_write(path: &Path) -> Result<(), String> {
    access(path, AccessFlags::W_OK).map_err(|e| format!("{} may not be written: {e}", path.display()))
}

/// A mounted tree of control groups.
struct Mount {
    /// Which part of the tree is mounted.
    root: PathBuf,
    at: PathBuf,
    /// For version 1 its controllers are among them.
    options: Vec<String>,
    version: Version,
}

#[derive(PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, at) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let version = match right.next()? {
            "cgroup" => Version::One,
            "cgroup2" => Version::Two,
            _ => return None,
        };
        let options = right.nth(1)?.split(',').map(str::to_owned).collect();
        Some(Self {
            root: PathBuf::from(unescape(root)),
            at: PathBuf::from(unescape(at)),
            options,
            version,
        })
    }

    fn has(&self, controller: &str) -> bool {
        match self.version {
            Version::Two => controller == UNIFIED,
            Version::One => self.options.iter().any(|o| o == controller),
        }
    }

    /// Where a group of this tree is to be found, unless it is outside what is mounted.
    fn place(&self, group: &str) -> Option<PathBuf> {
        let below = Path::new(group).strip_prefix(&self.root).ok()?;
        let climbs = below.components().any(|c| c.as_os_str() == "..");
        // A path with nothing joined to it must not end in a slash.
        match (climbs, below.as_os_str().is_empty()) {
            (true, _) => None,
            (false, true) => Some(self.at.clone()),
            (false, false) => Some(self.at.join(below)),
        }
    }
}

/// Blanks and backslashes are written as octal numbers in the kernel's list of mounts.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct\n\
35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
36 31 0:33 / /mnt/a\\040b/pids rw - cgroup cgroup rw,pids\n\
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn every_tree_is_found_where_it_is_mounted() {
        let groups = "4:memory:/docker/abc/x\n3:pids:/\n2:cpu,cpuacct:/a:b\n1:freezer:/\n0::/user.slice/s\n";
        let own = Places::parse(MOUNTS, groups).own;
        let at = |name: &str| own.get(name).map(|p| p.to_str().unwrap());
        assert_eq!(at("memory"), Some("/sys/fs/cgroup/memory/x"));
        assert_eq!(at("pids"), Some("/mnt/a b/pids"));
        assert_eq!(at("cpu"), Some("/sys/fs/cgroup/cpu,cpuacct/a:b"));
        assert_eq!(at("freezer"), None, "it is not mounted");
        assert_eq!(at(UNIFIED), Some("/sys/fs/cgroup/unified/user.slice/s"));
    }

    #[test]
    fn a_group_outside_what_is_mounted_is_nowhere() {
        let own = Places::parse(MOUNTS, "4:memory:/docker/other\n0::/../x\n").own;
        assert_eq!(own, BTreeMap::new());
    }

    /// A tree as version 2 shows it to who it was delegated to: files only, nothing moves.
    fn delegated(handed_down: &str) -> (tempfile::TempDir, Places) {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own.scope");
        std::fs::create_dir(&own).unwrap();
        for (file, text) in [
            (dir.path().join("cgroup.procs"), ""),
            (dir.path().join("cgroup.subtree_control"), handed_down),
            (own.join("cgroup.procs"), ""),
            (own.join("cgroup.type"), "domain\n"),
        ] {
            std::fs::write(file, text).unwrap();
        }
        let places = Places {
            own: [(UNIFIED.to_owned(), own)].into(),
        };
        (dir, places)
    }

    #[test]
    fn version_2_makes_groups_beside_our_own_where_controllers_are_handed_down() {
        let (dir, places) = delegated("cpu memory pids\n");
        let v2 = places.v2().unwrap();
        assert_eq!((v2.parent.as_path(), v2.cpu), (dir.path(), CpuOfV2::Weighed));
        let (_dir, places) = delegated("memory pids\n");
        assert_eq!(places.v2().unwrap().cpu, CpuOfV2::NotWeighed);
        let (_dir, places) = delegated("cpu hugetlb\n");
        assert!(places.v2().unwrap_err().ends_with("does not hand down memory"));
    }

    #[test]
    fn without_any_group_it_says_what_is_not_held_and_why() {
        let means = Means::probe_in(&Places::parse("", ""));
        assert!(
            means.words().contains("not of the whole attempt"),
            "{}",
            means.words()
        );
        assert_eq!(
            means.passed_over(),
            [
                "cgroup v2: it is not mounted here",
                "cgroup v1: memory is not mounted here"
            ]
        );
    }

    #[test]
    fn what_the_probe_says_works_and_it_leaves_nothing() {
        let _alone = crate::limits::tests::alone();
        let means = Means::probe();
        println!(
            "in force: {}; passed over: {:?}",
            means.words(),
            means.passed_over()
        );
        let mine = format!("turno-probe-{}-", std::process::id());
        let own = Places::of_this_process().unwrap().own;
        for place in own.values().flat_map(|own| own.ancestors().take(2)) {
            let left: Vec<_> = std::fs::read_dir(place)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.file_name())
                .filter(|name| name.to_string_lossy().starts_with(&mine))
                .collect();
            assert!(left.is_empty(), "{}: {left:?}", place.display());
        }
        let text = serde_json::to_string(&means).unwrap();
        assert_eq!(serde_json::from_str::<Means>(&text).unwrap(), means);
    }
}
