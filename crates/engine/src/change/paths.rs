//! Owns which paths are sensitive by their names alone. Compared without regard to case: a file system may not know
//! the difference.

use turno_core::guard::GuardKind;

/// How a path is known.
enum Known {
    /// A directory of this name, at the top.
    Top(&'static str),
    /// A directory of this name, anywhere.
    Dir(&'static str),
    /// A file of this name, anywhere.
    Name(&'static str),
    /// A file whose name begins so, anywhere.
    Begins(&'static str),
    /// A file whose name ends so, anywhere.
    Ends(&'static str),
}

use Known::{Begins, Dir, Ends, Name, Top};

const CI: &[Known] = &[
    Top(".github"),
    Top(".gitlab"),
    Top(".circleci"),
    Top(".buildkite"),
    Top(".forgejo"),
    Top(".gitea"),
    Top(".teamcity"),
    Top(".woodpecker"),
    Name(".gitlab-ci.yml"),
    Name(".gitlab-ci.yaml"),
    Name(".travis.yml"),
    Name(".cirrus.yml"),
    Name(".drone.yml"),
    Name(".woodpecker.yml"),
    Name("appveyor.yml"),
    Name(".appveyor.yml"),
    Begins("azure-pipelines"),
    Name("bitbucket-pipelines.yml"),
    Begins("jenkinsfile"),
    Begins("cloudbuild."),
];

/// Git hooks, and what a shell or an editor runs when a person opens the directory.
const HOOKS: &[Known] = &[
    Dir(".husky"),
    Dir(".githooks"),
    Dir(".git-hooks"),
    Dir(".lefthook"),
    Dir(".devcontainer"),
    Name(".pre-commit-config.yaml"),
    Name(".pre-commit-config.yml"),
    Name(".overcommit.yml"),
    Begins("lefthook."),
    Begins(".lefthook."),
    Begins("lefthook-local."),
    Begins(".lintstagedrc"),
    Begins("lint-staged.config."),
    Name(".envrc"),
    Name(".devcontainer.json"),
];

const LOCKFILES: &[Known] = &[
    Name("cargo.lock"),
    Name("package-lock.json"),
    Name("npm-shrinkwrap.json"),
    Name("yarn.lock"),
    Name("pnpm-lock.yaml"),
    Name("bun.lock"),
    Name("bun.lockb"),
    Name("deno.lock"),
    Name("poetry.lock"),
    Name("uv.lock"),
    Name("pdm.lock"),
    Name("pipfile.lock"),
    Name("gemfile.lock"),
    Name("composer.lock"),
    Name("go.sum"),
    Name("go.work.sum"),
    Name("mix.lock"),
    Name("pubspec.lock"),
    Name("podfile.lock"),
    Name("package.resolved"),
    Name("flake.lock"),
    Name("gradle.lockfile"),
    Name("packages.lock.json"),
    Name("conan.lock"),
    Name(".terraform.lock.hcl"),
];

const CHECK_SETTINGS: &[Known] = &[
    Name("clippy.toml"),
    Name(".clippy.toml"),
    Name("rustfmt.toml"),
    Name(".rustfmt.toml"),
    Name("deny.toml"),
    Name("nextest.toml"),
    Begins(".eslintrc"),
    Name(".eslintignore"),
    Begins("eslint.config."),
    Begins("biome.json"),
    Begins(".prettierrc"),
    Name(".prettierignore"),
    Begins("prettier.config."),
    Begins(".stylelintrc"),
    Begins("tsconfig"),
    Begins("jest.config."),
    Begins("vitest.config."),
    Begins("vitest.workspace."),
    Begins("playwright.config."),
    Begins("cypress.config."),
    Begins("karma.conf"),
    Begins(".mocharc"),
    Name(".rspec"),
    Name("tox.ini"),
    Name("noxfile.py"),
    Name("pytest.ini"),
    Name("ruff.toml"),
    Name(".ruff.toml"),
    Name("mypy.ini"),
    Name(".mypy.ini"),
    Name("pyrightconfig.json"),
    Name(".flake8"),
    Name(".pylintrc"),
    Name(".coveragerc"),
    Begins(".golangci."),
    Begins(".rubocop"),
    Name(".editorconfig"),
    Name(".swiftlint.yml"),
    Begins("phpstan.neon"),
    Begins("phpunit.xml"),
    Begins("checkstyle"),
    Begins("detekt"),
    Name("codecov.yml"),
    Name(".codecov.yml"),
    Name("sonar-project.properties"),
];

const LICENCE: &[Known] = &[
    Top("licenses"),
    Name("license"),
    Name("licence"),
    Name("copying"),
    Name("notice"),
    Begins("license-"),
    Begins("licence-"),
    Name("license.md"),
    Name("licence.md"),
    Name("copying.md"),
    Name("notice.md"),
    Name("license.txt"),
    Name("licence.txt"),
    Name("copying.txt"),
    Name("notice.txt"),
    Name("copying.lesser"),
];

const AGENT_FILES: &[Known] = &[
    Name("claude.md"),
    Name("claude.local.md"),
    Name("agents.md"),
    Name("agents.override.md"),
    Name("gemini.md"),
    Dir(".claude"),
    Dir(".codex"),
    Dir(".cursor"),
    Dir(".gemini"),
    Dir(".opencode"),
    Dir(".windsurf"),
    Dir(".turno"),
    Name(".cursorrules"),
    Name(".windsurfrules"),
    Name(".clinerules"),
    Begins(".aider"),
    Name("opencode.json"),
    Name("opencode.jsonc"),
    Name(".mcp.json"),
    Name("copilot-instructions.md"),
    Ends(".instructions.md"),
    Name("turno.toml"),
    Name(".worktreeinclude"),
];

const GROUPS: [(GuardKind, &[Known], &str); 6] = [
    (GuardKind::Ci, CI, "what CI runs"),
    (
        GuardKind::Hooks,
        HOOKS,
        "what runs by itself on a person's machine",
    ),
    (GuardKind::Lockfiles, LOCKFILES, "the versions of dependencies"),
    (
        GuardKind::CheckSettings,
        CHECK_SETTINGS,
        "the settings of linters or tests",
    ),
    (GuardKind::Licence, LICENCE, "the licence"),
    (GuardKind::AgentFiles, AGENT_FILES, "what agents are told"),
];

impl Known {
    fn is(&self, dirs: &[&str], name: &str) -> bool {
        match self {
            // A file or link of a directory's name takes its place.
            Self::Top(dir) => dirs.first().copied().unwrap_or(name) == *dir,
            Self::Dir(dir) => dirs.contains(dir) || name == *dir,
            Self::Name(exact) => name == *exact,
            Self::Begins(start) => name.starts_with(start),
            Self::Ends(end) => name.ends_with(end),
        }
    }
}

/// The groups that a path belongs to, each with what the group is.
pub(crate) fn groups(path: &str) -> Vec<(GuardKind, &'static str)> {
    let path = path.to_lowercase();
    let mut dirs: Vec<&str> = path.split('/').collect();
    let name = dirs.pop().unwrap_or_default();
    let mut found: Vec<(GuardKind, &'static str)> = GROUPS
        .iter()
        .filter(|(_, known, _)| known.iter().any(|k| k.is(&dirs, name)))
        .map(|(kind, _, what)| (*kind, *what))
        .collect();
    // An editor asks before it runs these, once.
    if dirs.last() == Some(&".vscode") && matches!(name, "tasks.json" | "launch.json" | "settings.json") {
        found.push((GuardKind::Hooks, "what runs by itself on a person's machine"));
    }
    found
}

/// Where a symbolic link at `path` leads, if that is out of the repository or cannot be told.
pub(crate) fn leads_out(path: &str, target: &[u8]) -> Option<&'static str> {
    let Ok(target) = std::str::from_utf8(target) else {
        return Some("its target is not UTF-8");
    };
    if target.is_empty() || target.contains('\0') {
        return Some("its target is no path");
    }
    if target.starts_with('/') {
        return Some("its target is absolute");
    }
    let mut depth = path.split('/').count() - 1;
    let mut below = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            // Behind a name there may be another link, so where `..` leads from there is not known.
            ".." if below => return Some("its target goes down and up again"),
            ".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return Some("its target is above the repository"),
            },
            part if part.eq_ignore_ascii_case(".git") => return Some("its target is in .git"),
            _ => below = true,
        }
    }
    None
}

#[cfg(test)]
mod checks {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(".github/workflows/ci.yml", &[GuardKind::Ci])]
    #[case(".GitHub/Workflows/ci.yml", &[GuardKind::Ci])]
    #[case(".github", &[GuardKind::Ci])]
    #[case("Jenkinsfile", &[GuardKind::Ci])]
    #[case("app/.husky/pre-commit", &[GuardKind::Hooks])]
    #[case("lefthook.yml", &[GuardKind::Hooks])]
    #[case(".vscode/tasks.json", &[GuardKind::Hooks])]
    #[case("web/package-lock.json", &[GuardKind::Lockfiles])]
    #[case("crates/a/clippy.toml", &[GuardKind::CheckSettings])]
    #[case("web/tsconfig.base.json", &[GuardKind::CheckSettings])]
    #[case("LICENSE-MIT", &[GuardKind::Licence])]
    #[case("sub/CLAUDE.md", &[GuardKind::AgentFiles])]
    #[case(".claude/settings.json", &[GuardKind::AgentFiles])]
    #[case("turno.toml", &[GuardKind::AgentFiles])]
    #[case(".turno/policies/x.toml", &[GuardKind::AgentFiles])]
    #[case(".github/copilot-instructions.md", &[GuardKind::Ci, GuardKind::AgentFiles])]
    #[case("src/github.rs", &[])]
    #[case("docs/.github/x.md", &[])]
    #[case("src/license.rs", &[])]
    #[case("LICENSE.md", &[GuardKind::Licence])]
    #[case("src/licenses/mod.rs", &[])]
    #[case("src/lock.rs", &[])]
    #[case("docs/agents.rst", &[])]
    #[case(".vscode/extensions.json", &[])]
    fn a_path_is_known_by_its_name(#[case] path: &str, #[case] expected: &[GuardKind]) {
        let kinds: Vec<GuardKind> = groups(path).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, expected);
    }

    #[rstest]
    #[case("a", "b", false)]
    #[case("a/b/c", "../../d", false)]
    #[case("a/b/c", "./d/e", false)]
    #[case("a/b/c", "../../../d", true)]
    #[case("a", "..", true)]
    #[case("a", "/etc/passwd", true)]
    #[case("a", "b/../../c", true)]
    #[case("a", "b/..", true)]
    #[case("a", ".git/hooks", true)]
    #[case("a/b", "../.GIT/config", true)]
    #[case("a", "", true)]
    fn a_link_leads_out_or_not(#[case] path: &str, #[case] target: &str, #[case] out: bool) {
        assert_eq!(leads_out(path, target.as_bytes()).is_some(), out);
    }
}
