//! Owns the set-up that many stories share: a project with one agent, which performs a script and plays every persona,
//! and the flags by which a script and its story wait for each other.

use super::processes::until;
use super::project::Project;

/// A project with so many slots, a check that always passes, and one agent, `actor`, who performs this script.
pub(crate) fn scripted(slots: u32, script: &str) -> Project {
    let config = format!(
        "policy = \"single\"\nslots = {slots}\n[checks.test]\ncommand = \"true\"\n\
         [agents.actor]\ndialect = \"script\"\nscript = \"script.yaml\"\n"
    );
    Project::new(&[("turno.toml", &config), ("script.yaml", script)]).env("TURNO_AGENT", "actor")
}

impl Project {
    /// Raises a flag that a script waits for: the file of that name in `$HOME/shared`.
    pub(crate) fn raise(&self, flag: &str) {
        std::fs::write(self.shared().join(flag), "").unwrap();
    }

    /// Waits until a script has raised one.
    #[track_caller]
    pub(crate) fn until_raised(&self, flag: &str) {
        let flag = self.shared().join(flag);
        until(&format!("{} is raised", flag.display()), || flag.exists());
    }
}
