//! Evidence and what it means, and limits and what is due, as tables.

use rstest::rstest;

use super::*;

const NOTICE: Span = Span::seconds(10);

/// An agent of which everything was seen a moment ago.
fn lively() -> Evidence {
    let now = Span(100);
    Evidence {
        processes: Processes::There,
        question: Question::None,
        tool: None,
        quiet: now,
        idle: now,
        unchanged: now,
        toolless: now,
        connection: Connection::None,
    }
}

/// One of which nothing was seen for twenty seconds.
fn dead() -> Evidence {
    let long = Span::seconds(20);
    Evidence {
        quiet: long,
        idle: long,
        unchanged: long,
        toolless: long,
        ..lively()
    }
}

fn cargo() -> Activity {
    Activity::LongCommand {
        tool: "cargo build".to_owned(),
    }
}

#[rstest]
#[case::lively(lively(), Activity::Working)]
#[case::nothing(dead(), Activity::Silent)]
#[case::gone(Evidence { processes: Processes::Gone, ..lively() }, Activity::Gone)]
#[case::asks(Evidence { question: Question::Open, ..dead() }, Activity::AwaitingPerson)]
#[case::asks_and_uses_a_tool(
    Evidence { question: Question::Open, tool: Some("ask".to_owned()), ..dead() },
    Activity::AwaitingPerson
)]
#[case::a_sleeping_command(Evidence { tool: Some("cargo build".to_owned()), ..dead() }, cargo())]
#[case::a_busy_command(
    Evidence { tool: Some("cargo build".to_owned()), idle: Span(0), ..dead() },
    cargo()
)]
#[case::a_new_command(
    Evidence { tool: Some("cargo build".to_owned()), quiet: Span(0), toolless: Span(0), ..dead() },
    Activity::Working
)]
#[case::computes(Evidence { idle: Span(0), ..dead() }, Activity::Computing)]
#[case::changes_files(Evidence { unchanged: Span(0), ..dead() }, Activity::Computing)]
#[case::a_connection(Evidence { connection: Connection::Open, ..dead() }, Activity::AwaitingProvider)]
#[case::a_connection_and_busy(
    Evidence { connection: Connection::Open, idle: Span(0), ..dead() },
    Activity::Computing
)]
#[case::talks(Evidence { quiet: Span(0), ..dead() }, Activity::OnlyTalking)]
#[case::talks_and_computes(Evidence { quiet: Span(0), idle: Span(0), ..dead() }, Activity::OnlyTalking)]
#[case::talks_and_changes_files(Evidence { quiet: Span(0), unchanged: Span(0), ..dead() }, Activity::Working)]
#[case::talks_between_tools(Evidence { quiet: Span(0), toolless: Span(0), ..dead() }, Activity::Working)]
#[case::on_the_notice(Evidence { quiet: NOTICE, ..dead() }, Activity::Silent)]
#[case::before_the_notice(Evidence { quiet: Span(NOTICE.0 - 1), ..dead() }, Activity::OnlyTalking)]
fn evidence_means(#[case] evidence: Evidence, #[case] activity: Activity) {
    let (seen, lasts) = evidence.activity(NOTICE);
    assert_eq!(seen, activity);
    let lasting = match activity {
        Activity::Working | Activity::Gone => Span(0),
        Activity::OnlyTalking => evidence.toolless,
        Activity::AwaitingProvider
        | Activity::LongCommand { .. }
        | Activity::Computing
        | Activity::AwaitingPerson
        | Activity::Silent => evidence.quiet,
    };
    assert_eq!(lasts, lasting);
}

const PATIENCE: Patience = Patience {
    silence: Span::seconds(60),
    silence_hard: Span::seconds(100),
    longest_command: Span::seconds(200),
    no_progress: Span::seconds(300),
};

#[rstest]
#[case::working(Activity::Working, &[], Hears::Nudges, None)]
#[case::a_person(Activity::AwaitingPerson, &[], Hears::Nudges, None)]
#[case::silent(Activity::Silent, &[], Hears::Nudges, Some((60, Due::Nudge)))]
#[case::deaf(Activity::Silent, &[], Hears::Nothing, Some((100, Due::Stop)))]
#[case::reminded(Activity::Silent, &[1060], Hears::Nudges, Some((100, Due::Stop)))]
#[case::reminded_in_another_silence(Activity::Silent, &[900], Hears::Nudges, Some((60, Due::Nudge)))]
#[case::reminded_often(Activity::Silent, &[800, 900], Hears::Nudges, Some((100, Due::Stop)))]
#[case::provider(Activity::AwaitingProvider, &[], Hears::Nudges, Some((100, Due::Stop)))]
#[case::command(cargo(), &[], Hears::Nudges, Some((200, Due::Stop)))]
#[case::computing(Activity::Computing, &[], Hears::Nudges, Some((200, Due::Stop)))]
#[case::talking(Activity::OnlyTalking, &[], Hears::Nudges, Some((300, Due::Stop)))]
#[case::gone(Activity::Gone, &[], Hears::Nudges, Some((0, Due::Stop)))]
fn what_is_due(
    #[case] activity: Activity,
    #[case] nudges: &[i64],
    #[case] hears: Hears,
    #[case] due: Option<(u64, Due)>,
) {
    let since = Timestamp(1_000_000);
    let watch = Watch {
        activity,
        since,
        nudges: nudges.iter().map(|s| Timestamp(s * 1000)).collect(),
    };
    let due = due.map(|(after, due)| (since + Span::seconds(after), due));
    assert_eq!(watch.due(&PATIENCE, hears), due);
}

#[test]
fn a_change_is_told_long_before_its_limit_and_not_each_second() {
    assert_eq!(PATIENCE.notice(), Span::seconds(15));
    let patient = Patience {
        silence: Span::seconds(900),
        silence_hard: Span::seconds(1800),
        longest_command: Span::seconds(3600),
        no_progress: Span::seconds(1800),
    };
    assert_eq!(patient.notice(), Span::seconds(60));
}

#[rstest]
#[case(250, "250 ms")]
#[case(42_000, "42 s")]
#[case(90_000, "1 m 30 s")]
#[case(725_000, "12 m")]
#[case(3_600_000, "1 h")]
#[case(8_100_000, "2 h 15 m")]
fn spans_are_short(#[case] span: u64, #[case] text: &str) {
    assert_eq!(short(Span(span)), text);
}
