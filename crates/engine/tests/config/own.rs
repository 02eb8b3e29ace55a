//! What only the person says and no repository: whose rights agents get, and what their connections go through.

use rstest::rstest;
use turno_engine::config::{self, Inputs, Layer};
use turno_sandbox::net::proxy::Way;

use crate::{env_of, error, file, inputs, repo};

fn user(text: &str) -> Inputs {
    let mut inputs = inputs();
    let name = "/home/kim/.config/turno/turno.toml";
    inputs.files.settings.push(file(Layer::User, name, text));
    inputs
}

/// The proxy that is gone through; none for the direct way.
fn proxy(inputs: &Inputs) -> Option<String> {
    match config::build(inputs).unwrap().sandbox.way {
        Way::Direct => None,
        Way::Through(proxy) => Some(proxy.to_string()),
    }
}

#[rstest]
#[case("sandbox", "user = \"kim\"", "set TURNO_USER, or type --user")]
#[case("network", "proxy = \"http://proxy.example:3128\"", "set HTTPS_PROXY")]
#[case("network", "proxy = \"none\"", "set HTTPS_PROXY")]
fn a_repository_does_not_say_it(#[case] table: &str, #[case] line: &str, #[case] instead: &str) {
    let text = format!("[{table}]\n{line}\n");
    config::build(&user(&text)).unwrap();
    let said = error(&repo(&text));
    for part in ["turno.toml line 2", "a repository does not choose", instead] {
        assert!(said.contains(part), "{said}");
    }
    // Neither does it by laying itself over what the person has written.
    let mut both = user(&text);
    both.files.settings.extend(repo(&text).files.settings);
    assert!(error(&both).contains("a repository does not choose"));
}

#[rstest]
#[case(&[], None)]
#[case(&[("HTTPS_PROXY", "")], None)]
#[case(&[("HTTPS_PROXY", "http://a.example:1"), ("HTTP_PROXY", "http://b.example:2")], Some("a.example:1"))]
#[case(&[("http_proxy", "http://b.example:2")], Some("b.example:2"))]
#[case(&[("ALL_PROXY", "c.example")], Some("c.example:80"))]
fn the_environment_names_a_proxy(#[case] env: &[(&str, &str)], #[case] wanted: Option<&str>) {
    let mut inputs = inputs();
    inputs.env = env_of(env);
    assert_eq!(proxy(&inputs).as_deref(), wanted);
    // The person's own file outweighs it.
    let mut written = user("[network]\nproxy = \"http://own.example:9\"\n");
    written.env = env_of(env);
    assert_eq!(proxy(&written).as_deref(), Some("own.example:9"));
    let mut none = user("[network]\nproxy = \"none\"\n");
    none.env = env_of(env);
    assert_eq!(proxy(&none), None);
}

#[test]
fn a_proxy_that_cannot_be_gone_through_is_refused_without_its_password() {
    let mut inputs = inputs();
    inputs.env = env_of(&[("ALL_PROXY", "socks5://kim:sesame@proxy.example:1080")]);
    let said = error(&inputs);
    assert!(
        said.contains("ALL_PROXY") && said.contains("network.proxy"),
        "{said}"
    );
    let written = error(&user(
        "[network]\nproxy = \"socks5://kim:sesame@proxy.example\"\n",
    ));
    assert!(
        written.contains("line 2") && written.contains("http://"),
        "{written}"
    );
    assert!(!said.contains("sesame") && !written.contains("sesame"));
    // Who opens the network goes by itself.
    let mut open = user("[network]\nagents = \"open\"\n");
    open.env = inputs.env;
    assert_eq!(proxy(&open), None);
}

#[test]
fn a_proxys_password_is_a_secret() {
    let loaded = config::build(&user(
        "[network]\nproxy = \"http://kim:open%20sesame@p.example\"\n",
    ))
    .unwrap();
    let secrets = loaded.sandbox.secrets();
    assert!(secrets.contains(&"open sesame".to_owned()), "{secrets:?}");
    let wallet = turno_engine::wallet::Wallet::default().keeping(secrets);
    let basic = "Proxy-Authorization: Basic a2ltOm9wZW4gc2VzYW1l";
    for line in ["it said open sesame", basic] {
        let written = wallet.redaction().text(line).into_owned();
        assert!(written.contains("[redacted]"), "{written}");
    }
    assert!(!format!("{loaded:?}").contains("sesame"));
}
