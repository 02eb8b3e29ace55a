//! A podman of a story's own: its images and containers are in a directory that goes with the story, and its image is
//! made here, of a busybox without libraries. No registry is asked for anything.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::project::Project;

/// Set where a machine that runs no containers is no excuse.
const REQUIRED: &str = "TURNO_TEST_REQUIRE_CONTAINERS";

/// The image of every story.
pub(crate) const IMAGE: &str = "localhost/turno-story:1";

/// What is in the image and nowhere else.
pub(crate) const MARKER: &str = "/image-marker";

const APPLETS: [&str; 12] = [
    "sh", "cat", "echo", "env", "grep", "id", "ls", "mkdir", "sleep", "touch", "true", "head",
];

/// A podman whose images and containers nobody else sees.
#[derive(Debug)]
pub(crate) struct Podman {
    root: TempDir,
}

impl Podman {
    /// `None`, with a word on the output, where containers do not run.
    pub(crate) fn here(story: &str) -> Option<Self> {
        static RUNTIME: OnceLock<Result<String, String>> = OnceLock::new();
        let runtime = RUNTIME.get_or_init(|| {
            let mut failures = Vec::new();
            // What is found first need not run on every machine.
            for runtime in ["crun", "runc"] {
                match Self::with(runtime).and_then(|podman| podman.tries()) {
                    Ok(()) => return Ok(runtime.to_owned()),
                    Err(why) => failures.push(format!("{runtime}: {why}")),
                }
            }
            Err(failures.join("; "))
        });
        match runtime {
            Ok(runtime) => Some(Self::with(runtime).unwrap()),
            Err(why) => {
                let required = std::env::var_os(REQUIRED).is_some_and(|v| !v.is_empty());
                assert!(!required, "no container runs here: {why}");
                println!("skipped: {story}: no container runs here: {why}");
                None
            }
        }
    }

    fn with(runtime: &str) -> Result<Self, String> {
        let root = TempDir::with_prefix("turno-podman-").map_err(|e| e.to_string())?;
        let podman = Self { root };
        let at = |name: &str| podman.path(name).display().to_string();
        let write = |name: &str, text: String| std::fs::write(at(name), text).map_err(|e| e.to_string());
        write(
            "storage.conf",
            format!(
                "[storage]\ndriver = \"vfs\"\nrunroot = \"{}\"\ngraphroot = \"{}\"\n",
                at("run"),
                at("graph")
            ),
        )?;
        write(
            "containers.conf",
            format!(
                "[engine]\nruntime = \"{runtime}\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
                 tmp_dir = \"{}\"\n",
                at("tmp")
            ),
        )?;
        podman.make_image()?;
        Ok(podman)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn make_image(&self) -> Result<(), String> {
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .iter()
            .map(Path::new)
            .find(|p| p.is_file())
            .ok_or("busybox is not installed; `apt install busybox-static`")?;
        let top = self.path("image");
        let io = |e: std::io::Error| e.to_string();
        for dir in ["bin", "tmp", "var/tmp", "run", "proc", "sys", "dev", "etc"] {
            std::fs::create_dir_all(top.join(dir)).map_err(io)?;
        }
        std::fs::copy(busybox, top.join("bin/busybox")).map_err(io)?;
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", top.join("bin").join(applet)).map_err(io)?;
        }
        std::fs::write(top.join(MARKER.trim_start_matches('/')), "made for a story\n").map_err(io)?;
        let tar = self.path("image.tar");
        let made = Command::new("tar")
            .arg("-C")
            .arg(&top)
            .arg("-cf")
            .arg(&tar)
            .arg(".")
            .status();
        if !made.map_err(io)?.success() {
            return Err("tar failed".to_owned());
        }
        self.says(&["import", "--quiet", tar.to_str().unwrap(), IMAGE])
            .map(drop)
    }

    /// Whether a container runs, with limits on what it may have open: without, the engine wants more than some
    /// machines allow.
    fn tries(&self) -> Result<(), String> {
        let said = self.says(&[
            "run",
            "--rm",
            "--network=none",
            "--pull=never",
            "--memory=67108864b",
            "--pids-limit=64",
            "--ulimit=nofile=1024:1024",
            "--ulimit=nproc=1024:1024",
            IMAGE,
            "/bin/cat",
            MARKER,
        ])?;
        if said.trim() == "made for a story" {
            Ok(())
        } else {
            Err(format!("it said {said:?}"))
        }
    }

    /// Runs podman; its output, or what it complained of.
    pub(crate) fn says(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("podman")
            .args(args)
            .env("CONTAINERS_CONF", self.path("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"))
            .output()
            .map_err(|e| format!("podman: {e}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!(
                "podman {}: {}",
                args.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            ))
        }
    }

    /// The names of all containers, running or not.
    #[track_caller]
    pub(crate) fn containers(&self) -> Vec<String> {
        let listed = self.says(&["ps", "--all", "--format", "{{.Names}}"]).unwrap();
        listed.lines().map(str::to_owned).collect()
    }

    /// The same project, whose `turno` speaks to this podman.
    pub(crate) fn serves(&self, project: Project) -> Project {
        let path = |name: &str| self.path(name).display().to_string();
        project
            .env("CONTAINERS_CONF", path("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", path("storage.conf"))
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if let Err(why) = self.says(&["rm", "--all", "--force", "--time=0"]) {
            println!("containers of a story stay: {why}");
        }
    }
}
