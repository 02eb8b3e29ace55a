//! Owns what a language's own files tell of a project's checks. One function for each ecosystem.

use std::collections::BTreeMap;

use crate::detect::{Detected, DetectedSetup, Kind, Repo};

pub(super) fn cargo(repo: &Repo<'_>, found: &mut Detected) {
    let Some(manifest) = repo.text("Cargo.toml") else {
        return;
    };
    let all = if manifest.contains("[workspace]") {
        " --workspace"
    } else {
        ""
    };
    let format = repo
        .first(&["rustfmt.toml", ".rustfmt.toml"])
        .map(str::to_owned)
        .or_else(|| repo.workflow_with("cargo fmt"));
    if let Some(why) = format {
        found.add("cargo", "fmt", Kind::Format, "cargo fmt --all --check", &why);
    }
    let lints = ["[lints.clippy", "[workspace.lints.clippy"];
    let clippy = repo
        .first(&["clippy.toml", ".clippy.toml"])
        .or_else(|| repo.mentions("Cargo.toml", &lints))
        .map(str::to_owned)
        .or_else(|| repo.workflow_with("cargo clippy"));
    match clippy {
        Some(why) => {
            let command = format!("cargo clippy{all} --all-targets -- -D warnings");
            found.add("cargo", "clippy", Kind::Lint, &command, &why);
        }
        None => {
            let command = format!("cargo check{all} --all-targets");
            found.add("cargo", "check", Kind::Types, &command, "Cargo.toml");
        }
    }
    match repo.first(&[".config/nextest.toml"]) {
        Some(why) => found.add(
            "cargo",
            "test",
            Kind::Test,
            &format!("cargo nextest run{all}"),
            why,
        ),
        None => found.add(
            "cargo",
            "test",
            Kind::Test,
            &format!("cargo test{all}"),
            "Cargo.toml",
        ),
    }
}

#[derive(Default, serde::Deserialize)]
struct Package {
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    #[serde(rename = "packageManager")]
    package_manager: Option<String>,
}

/// How a package manager is called.
struct Manager {
    name: &'static str,
    install: &'static str,
    seen_by: &'static str,
}

fn manager(repo: &Repo<'_>, package: &Package) -> Option<Manager> {
    let known = [
        ("pnpm-lock.yaml", "pnpm", "pnpm install --frozen-lockfile"),
        ("yarn.lock", "yarn", "yarn install --immutable"),
        ("bun.lock", "bun", "bun install --frozen-lockfile"),
        ("bun.lockb", "bun", "bun install --frozen-lockfile"),
        ("package-lock.json", "npm", "npm ci"),
        ("npm-shrinkwrap.json", "npm", "npm ci"),
    ];
    let (lock, name, install) = known.into_iter().find(|(lock, _, _)| repo.has(lock))?;
    let old_yarn = package
        .package_manager
        .as_deref()
        .is_none_or(|m| m.starts_with("yarn@1"));
    Some(Manager {
        name,
        install: if name == "yarn" && old_yarn {
            "yarn install --frozen-lockfile"
        } else {
            install
        },
        seen_by: lock,
    })
}

pub(super) fn node(repo: &Repo<'_>, found: &mut Detected) {
    let Some(text) = repo.text("package.json") else {
        return;
    };
    let package: Package = serde_json::from_str(&text).unwrap_or_default();
    let manager = manager(repo, &package);
    let program = manager.as_ref().map_or("npm", |m| m.name);
    if let Some(manager) = &manager {
        found.setup.push(DetectedSetup {
            command: manager.install.to_owned(),
            why: manager.seen_by.to_owned(),
        });
    }
    let wanted: [(&str, Kind, &[&str]); 5] = [
        (
            "format",
            Kind::Format,
            &["format:check", "fmt:check", "check:format", "prettier:check"],
        ),
        (
            "typecheck",
            Kind::Types,
            &["typecheck", "type-check", "check-types", "types", "tsc"],
        ),
        ("lint", Kind::Lint, &["lint"]),
        ("build", Kind::Build, &["build"]),
        ("test", Kind::Test, &["test:ci", "test"]),
    ];
    for (name, kind, scripts) in wanted {
        let script = scripts
            .iter()
            .find_map(|s| package.scripts.get(*s).map(|body| (*s, body)));
        let Some((script, body)) = script else { continue };
        if body.contains("no test specified") || body.contains("--watch") {
            continue;
        }
        let command = format!("{program} run {script}");
        let why = format!("package.json, script `{script}`");
        found.add(program, name, kind, &command, &why);
    }
}

pub(super) fn python(repo: &Repo<'_>, found: &mut Detected) {
    let project = repo.text("pyproject.toml").unwrap_or_default();
    let (prefix, setup) = match repo.first(&["uv.lock", "poetry.lock", "pdm.lock"]) {
        Some(lock @ "uv.lock") => ("uv run ", Some(("uv sync", lock))),
        Some(lock @ "poetry.lock") => ("poetry run ", Some(("poetry install", lock))),
        Some(lock) => ("pdm run ", Some(("pdm sync", lock))),
        None => ("", None),
    };
    let in_project = |table: &str| project.contains(table).then_some("pyproject.toml");
    let ruff = repo
        .first(&["ruff.toml", ".ruff.toml"])
        .or_else(|| in_project("[tool.ruff"));
    if let Some(why) = ruff {
        found.add(
            "python",
            "ruff",
            Kind::Lint,
            &format!("{prefix}ruff check ."),
            why,
        );
        if project.contains("[tool.ruff.format") {
            let command = format!("{prefix}ruff format --check .");
            found.add("python", "ruff-format", Kind::Format, &command, "pyproject.toml");
        }
    }
    let mypy = repo
        .first(&["mypy.ini", ".mypy.ini"])
        .or_else(|| in_project("[tool.mypy"))
        .or_else(|| repo.mentions("setup.cfg", &["[mypy"]));
    if let Some(why) = mypy {
        found.add("python", "mypy", Kind::Types, &format!("{prefix}mypy ."), why);
    }
    let is_test = |n: &String| n.ends_with(".py") && (n.starts_with("test_") || n.ends_with("_test.py"));
    let pytest = repo
        .first(&["pytest.ini", "conftest.py", "tests/conftest.py"])
        .or_else(|| in_project("[tool.pytest"))
        .or_else(|| repo.mentions("setup.cfg", &["[tool:pytest]"]))
        .or_else(|| repo.mentions("tox.ini", &["[pytest]"]))
        .or_else(|| repo.names_in("tests").iter().any(is_test).then_some("tests/"));
    if let Some(why) = pytest {
        found.add("python", "test", Kind::Test, &format!("{prefix}pytest"), why);
    }
    if let Some((command, why)) = setup {
        found.setup.push(DetectedSetup {
            command: command.to_owned(),
            why: why.to_owned(),
        });
    }
}

pub(super) fn go(repo: &Repo<'_>, found: &mut Detected) {
    if !repo.has("go.mod") {
        return;
    }
    found.add("go", "vet", Kind::Lint, "go vet ./...", "go.mod");
    found.add("go", "build", Kind::Build, "go build ./...", "go.mod");
    found.add("go", "test", Kind::Test, "go test ./...", "go.mod");
}
