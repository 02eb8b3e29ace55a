//! Rules: what they let through, how they are written, and what is no rule.

use proptest::prelude::*;
use rstest::rstest;
use turno_sandbox::net::allow::{Allowed, BadRule, Fault, Host, HostRule};

use crate::harness::allowed;

#[rstest]
#[case("api.example.com", "api.example.com", 443, true)]
#[case("api.example.com", "API.Example.COM.", 443, true)]
#[case("Api.Example.com.", "api.example.com", 443, true)]
#[case("api.example.com", "api.example.com", 80, false)]
#[case("api.example.com", "x.api.example.com", 443, false)]
#[case("api.example.com", "api.example.com.evil.example", 443, false)]
#[case("api.example.com:8443", "api.example.com", 8443, true)]
#[case("api.example.com:8443", "api.example.com", 443, false)]
#[case("example.com:*", "example.com", 1, true)]
#[case("example.com:*", "example.com", 0, false)]
#[case("*.example.com", "a.example.com", 443, true)]
#[case("*.example.com", "b.a.example.com", 443, true)]
#[case("*.example.com", "example.com", 443, false)]
#[case("*.example.com", "badexample.com", 443, false)]
#[case("*.example.com:*", "a.example.com", 22, true)]
#[case("127.0.0.1:11434", "127.0.0.1", 11434, true)]
#[case("127.0.0.1:11434", "[::ffff:127.0.0.1]", 11434, true)]
#[case("127.0.0.1:11434", "127.0.0.2", 11434, false)]
#[case("127.0.0.1:11434", "localhost", 11434, false)]
#[case("[::1]:8080", "[0:0:0:0:0:0:0:1]", 8080, true)]
#[case("[::1]:8080", "127.0.0.1", 8080, false)]
#[case("[2606::1]", "[2606::1]", 443, true)]
#[case("localhost:3000", "localhost", 3000, true)]
#[case("localhost:3000", "LOCALHOST.", 3000, true)]
#[case("localhost:3000", "127.0.0.1", 3000, true)]
#[case("localhost:3000", "[::1]", 3000, true)]
#[case("localhost:3000", "127.0.0.2", 3000, false)]
#[case("localhost:3000", "a.localhost", 3000, false)]
fn a_rule_permits(#[case] rule: &str, #[case] host: &str, #[case] port: u16, #[case] permitted: bool) {
    assert_eq!(allowed(&[rule]).permits(&host.parse().unwrap(), port), permitted);
}

#[rstest]
#[case("", Fault::NoHost)]
#[case(":443", Fault::NoHost)]
#[case("https://example.com", Fault::Url)]
#[case("example.com/v1", Fault::Url)]
#[case("example.com?x", Fault::Url)]
#[case("user:secret@example.com", Fault::UserInfo)]
#[case("bücher.example", Fault::NotAscii)]
#[case("a..example", Fault::EmptyLabel)]
#[case(".example", Fault::EmptyLabel)]
#[case("example..", Fault::EmptyLabel)]
#[case(".", Fault::EmptyLabel)]
#[case("exa mple.com", Fault::OddCharacter)]
#[case(" example.com", Fault::OddCharacter)]
#[case("example.com\n", Fault::OddCharacter)]
#[case("-a.example", Fault::OddCharacter)]
#[case("a-.example", Fault::OddCharacter)]
#[case("127.1:80", Fault::OddAddress)]
#[case("2130706433", Fault::OddAddress)]
#[case("0x7f.0x1", Fault::OddAddress)]
#[case("127.0.0.1.", Fault::OddAddress)]
#[case("256.0.0.1", Fault::OddAddress)]
#[case("::1", Fault::NoBrackets)]
#[case("fe80::1:443", Fault::NoBrackets)]
#[case("[::1", Fault::NoBrackets)]
#[case("[fe80::1%eth0]", Fault::NotIpv6)]
#[case("[127.0.0.1]:80", Fault::NotIpv6)]
#[case("[::1]x", Fault::NotIpv6)]
#[case("*", Fault::OddStar)]
#[case("*.*.example", Fault::OddStar)]
#[case("a.*.example", Fault::OddStar)]
#[case("*example.com", Fault::OddStar)]
#[case("*.127.0.0.1", Fault::OddStar)]
#[case("*.localhost", Fault::OddStar)]
#[case("example.com:", Fault::OddPort)]
#[case("example.com:0", Fault::OddPort)]
#[case("example.com:65536", Fault::OddPort)]
#[case("example.com:+80", Fault::OddPort)]
#[case("example.com:http", Fault::OddPort)]
fn what_is_odd_is_refused(#[case] text: &str, #[case] fault: Fault) {
    assert_eq!(text.parse::<HostRule>().unwrap_err().fault, fault);
}

#[test]
fn what_is_too_long_is_refused() {
    let label = "a".repeat(64);
    assert_eq!(
        format!("{label}.example").parse::<HostRule>().unwrap_err().fault,
        Fault::TooLong
    );
    let name = "a.".repeat(127) + "a";
    assert_eq!(name.parse::<HostRule>().unwrap_err().fault, Fault::TooLong);
}

#[test]
fn an_error_tells_what_to_write_and_no_password() {
    let error = "bücher.example".parse::<HostRule>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`bücher.example` names no host that can be allowed: the name is not ASCII; write it in punycode, such as \
         xn--bcher-kva.example"
    );
    let error: BadRule = "me:hunter2@example.com".parse::<HostRule>().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn rules_are_strings_in_configuration() {
    let rules: Allowed = serde_json::from_str(r#"["B.example", "a.example:8443", "b.example:443"]"#).unwrap();
    assert_eq!(
        serde_json::to_string(&rules).unwrap(),
        r#"["a.example:8443","b.example"]"#
    );
    let error = serde_json::from_str::<Allowed>(r#"["a/b"]"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("write the host alone"), "{error}");
}

#[test]
fn nothing_is_allowed_by_default() {
    assert!(!Allowed::default().permits(&"example.com".parse().unwrap(), 443));
}

#[test]
fn loopback_ports_are_those_of_127_0_0_1() {
    let rules = [
        "localhost:3000",
        "127.0.0.1:11434",
        "127.0.0.1:3000",
        "[::1]:8080",
        "127.0.0.2:9",
        "localhost:*",
        "a:5",
    ];
    assert_eq!(allowed(&rules).loopback_ports(), [3000, 11434]);
}

fn hosts() -> impl Strategy<Value = String> {
    let label = "[a-zA-Z]([a-zA-Z0-9_-]{0,20}[a-zA-Z0-9])?";
    prop_oneof![
        proptest::collection::vec(label, 1..5).prop_map(|labels| labels.join(".")),
        proptest::collection::vec(label, 1..5).prop_map(|labels| format!("{}.", labels.join("."))),
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
        Just("localhost".to_owned()),
    ]
}

fn rules() -> impl Strategy<Value = String> {
    let under =
        proptest::collection::vec("[a-z]{1,9}", 2..4).prop_map(|labels| format!("*.{}", labels.join(".")));
    let ports = prop_oneof![
        Just(String::new()),
        Just(":*".to_owned()),
        (1..=u16::MAX).prop_map(|port| format!(":{port}")),
    ];
    (prop_oneof![4 => hosts(), 1 => under], ports).prop_map(|(host, port)| host + &port)
}

proptest! {
    #[test]
    fn a_rule_reads_back_as_it_was_written(text in rules()) {
        let rule: HostRule = text.parse().unwrap();
        let written = rule.to_string();
        prop_assert_eq!(&written.parse::<HostRule>().unwrap(), &rule);
        prop_assert_eq!(written.parse::<HostRule>().unwrap().to_string(), written);
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<HostRule>(&json).unwrap(), rule);
    }

    #[test]
    fn a_host_is_permitted_by_the_rule_that_is_its_name(host in hosts(), port in 1..=u16::MAX) {
        let asked: Host = host.parse().unwrap();
        let rule: HostRule = format!("{asked}:{port}").parse().unwrap();
        prop_assert!(rule.permits(&asked, port));
        prop_assert!(!rule.permits(&asked, port.wrapping_add(1)));
    }

    #[test]
    fn whatever_is_read_is_written_the_same_way(text in "[a-zA-Z0-9.:*@/\\[\\]_ -]{0,24}") {
        if let Ok(rule) = text.parse::<HostRule>() {
            prop_assert_eq!(rule.to_string().parse::<HostRule>(), Ok(rule));
        }
    }
}
