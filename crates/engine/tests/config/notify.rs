//! Who is told what happens: what is understood, what is refused with its line, and what only the person says.

use std::path::PathBuf;

use rstest::rstest;
use turno_core::notice::Kind;
use turno_core::units::Span;
use turno_engine::config::{self, EnvValue, Inputs, Layer, Shape, To, Webhook};

use crate::{error, file, inputs, repo};

fn user(text: &str) -> Inputs {
    let mut inputs = inputs();
    let name = "/home/kim/.config/turno/turno.toml";
    inputs.files.settings.push(file(Layer::User, name, text));
    inputs
}

#[test]
fn targets_are_understood() {
    let text = r#"
[notify.phone]
to = "webhook"
url = "$NTFY_URL"
shape = "ntfy"
secret = { file = "hook.key" }
token = { command = "pass ntfy" }
on = ["decision", "ended"]
quiet = "22:00-07:00"
at_most_every = "5m"
[notify.screen]
to = "desktop"
[notify.tell]
to = "command"
command = ["tell", "me"]
"#;
    let loaded = config::build(&user(text)).unwrap();
    let [phone, screen, tell] = loaded.notify.as_slice() else {
        panic!("{:?}", loaded.notify)
    };
    assert_eq!(
        phone.to,
        To::Webhook(Webhook {
            url: EnvValue::FromUser("NTFY_URL".to_owned()),
            shape: Shape::Ntfy,
            secret: Some(EnvValue::FromFile(PathBuf::from(
                "/home/kim/.config/turno/hook.key"
            ))),
            token: Some(EnvValue::FromCommand("pass ntfy".to_owned())),
        })
    );
    assert_eq!(phone.on, [Kind::Decision, Kind::Ended].into());
    assert_eq!(phone.quiet, Some("22:00-07:00".parse().unwrap()));
    assert_eq!(phone.at_most_every, Span::seconds(300));
    assert_eq!((screen.name.as_str(), &screen.to), ("screen", &To::Desktop));
    assert!(screen.on.contains(&Kind::Parked) && !screen.on.contains(&Kind::Landed));
    assert_eq!(screen.at_most_every, Span::seconds(60));
    let argv = vec!["tell".to_owned(), "me".to_owned()];
    let timeout = Span::seconds(30);
    assert_eq!(tell.to, To::Command { argv, timeout });
}

#[rstest]
#[case("on = [\"parkd\"]", "line 3", "did you mean `parked`")]
#[case("on = []", "line 3", "told of nothing")]
#[case("on = [\"test\"]", "line 3", "turno notify test")]
#[case("quiet = \"22-07\"", "line 3", "like 22:00-07:00")]
#[case("at_most_every = \"often\"", "line 3", "at_most_every")]
#[case("command = [\"x\"]", "line 3", "only a target with to = \"command\"")]
#[case("shape = \"teams\"", "line 3", "there is plain, slack, discord, ntfy")]
#[case("when = \"now\"", "line 3", "unknown key `notify.a.when`")]
fn a_mistake_is_named_with_its_line(#[case] written: &str, #[case] line: &str, #[case] why: &str) {
    let said = error(&user(&format!(
        "[notify.a]\nto = \"webhook\"\n{written}\nurl = \"$URL\"\n"
    )));
    assert!(said.contains(line) && said.contains(why), "{said}");
}

#[rstest]
#[case("", "to = \"desktop\"")]
#[case("to = \"webhook\"\n", "needs an address")]
#[case("to = \"command\"\n", "needs a program")]
#[case("to = \"command\"\ncommand = []\n", "a program is expected")]
#[case("to = \"command\"\ncommand = [\"x\"]\ntimeout = \"1h\"\n", "at most 5m")]
#[case("to = \"mail\"\n", "there is desktop, webhook, command")]
fn what_is_missing_is_named(#[case] written: &str, #[case] why: &str) {
    let said = error(&user(&format!("[notify.a]\n{written}")));
    assert!(said.contains("turno.toml line ") && said.contains(why), "{said}");
}

#[test]
fn an_address_that_is_none_is_not_repeated() {
    for url in [
        "hooks.example/s3cr3t",
        "ftp://hooks.example/s3cr3t",
        "https:///s3cr3t",
        "https://a b/s3cr3t",
    ] {
        let said = error(&user(&format!("[notify.a]\nto = \"webhook\"\nurl = \"{url}\"\n")));
        assert!(
            said.contains("line 3") && said.contains("an address is expected"),
            "{said}"
        );
        assert!(!said.contains("s3cr3t"), "{said}");
    }
}

#[test]
fn what_may_be_a_secret_is_not_repeated_where_it_does_not_belong() {
    for key in ["url", "secret", "token"] {
        let said = error(&user(&format!(
            "[notify.a]\nto = \"desktop\"\n{key} = \"s3cr3t\"\n"
        )));
        assert!(
            said.contains("line 3") && said.contains("only a target with"),
            "{said}"
        );
        assert!(!said.contains("s3cr3t"), "{said}");
    }
}

#[rstest]
#[case("to = \"desktop\"\n")]
#[case("to = \"command\"\ncommand = [\"sh\"]\n")]
#[case("to = \"webhook\"\nurl = { file = \"/home/kim/.netrc\" }\n")]
#[case("to = \"webhook\"\nurl = \"https://a.example\"\nsecret = { command = \"id\" }\n")]
#[case("to = \"webhook\"\nurl = \"https://a.example\"\ntoken = \"$TOKEN\"\n")]
#[case("to = \"webhook\"\nurl = \"https://a.example\"\nsecret = \"$ANY\"\n")]
fn a_repository_does_not_say_it(#[case] written: &str) {
    let text = format!("[notify.a]\n{written}");
    config::build(&user(&text)).unwrap();
    let said = error(&repo(&text));
    assert!(
        said.contains("turno.toml line ") && said.contains("a repository "),
        "{said}"
    );
}

#[test]
fn a_repository_tells_an_address_and_never_lays_itself_over_a_target_of_the_person() {
    let team = "[notify.team]\nto = \"webhook\"\nurl = \"$TEAM_HOOK\"\nsecret = \"known to the team\"\n";
    assert_eq!(config::build(&repo(team)).unwrap().notify.len(), 1);
    let mut both = user("[notify.team]\nto = \"webhook\"\nurl = \"https://mine.example\"\n");
    both.files.settings.extend(repo(team).files.settings);
    let said = error(&both);
    assert!(said.contains("[notify.team] (from turno.toml line 1)"), "{said}");
    assert!(said.contains("choose another name"), "{said}");
}
