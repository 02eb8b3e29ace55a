//! What a check is run in, as it is written: what is taken, and what is refused with its place.

use turno_core::container::{EngineChoice, Within};
use turno_engine::config;

use crate::{error, repo};

#[test]
fn a_check_may_name_an_image_and_an_engine() {
    let loaded = config::build(&repo(
        "[checks.plain]\ncommand = 'x'\n[checks.db]\ncommand = 'x'\ncontainer = { image = 'postgres:16' }\n\
         [checks.far]\ncommand = 'x'\nnetwork = 'open'\n[checks.far.container]\nimage = 'a/b@sha256:0f'\n\
         engine = 'docker'\n",
    ))
    .unwrap();
    let written = loaded.core.checks.iter().map(|check| match &check.within {
        Within::Sandbox => None,
        Within::Container(c) => Some((c.image.as_str(), c.engine)),
    });
    let expected = [
        None,
        Some(("postgres:16", EngineChoice::Any)),
        Some(("a/b@sha256:0f", EngineChoice::Docker)),
    ];
    assert_eq!(written.collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_no_container_is_refused_where_it_is_written() {
    let check = "[checks.db]\ncommand = 'x'\n";
    for (written, expected) in [
        ("container = { image = '--privileged' }", "is no image"),
        ("container = { image = 'a b' }", "is no image"),
        ("container = { image = '' }", "is no image"),
        ("container = {}", "missing field `image`"),
        (
            "container = { image = 'a', engine = 'podmn' }",
            "did you mean `podman`?",
        ),
        (
            "container = { image = 'a', imag = 'b' }",
            "unknown key `checks.db.container.imag`",
        ),
        ("container = 'a'", "is a table"),
        (
            "container = { image = 'a' }\nnetwork = 'hosts'",
            "\"none\" or \"open\"",
        ),
    ] {
        let said = error(&repo(&format!("{check}{written}\n")));
        assert!(
            said.contains(expected) && said.contains("turno.toml line "),
            "{said}"
        );
    }
}
