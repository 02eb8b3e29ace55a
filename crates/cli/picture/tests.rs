//! What the pictures show.

use turno_core::units::{MicroUsd, Timestamp};

use super::{Bar, Clock, Gantt, Paint, Plot, Row, Went, money_ticks, svg, text, time_ticks};

fn plot_of(points: &[(i64, u64)], limit: u64) -> Plot {
    Plot {
        clock: Clock::OfDay,
        from: Timestamp(0),
        to: Timestamp(100_000),
        points: points
            .iter()
            .map(|(at, cents)| (Timestamp(at * 1000), MicroUsd(cents * 10_000)))
            .collect(),
        limits: vec![(Timestamp(0), MicroUsd(limit * 10_000))],
    }
}

fn bar(from: i64, to: i64, paint: Paint, went: Went) -> Bar {
    Bar {
        from: Timestamp(from * 1000),
        to: Timestamp(to * 1000),
        paint,
        went,
        label: "1.1".to_owned(),
        title: "</title><script>alert(1)</script>\u{202e}\u{1b}[2J".to_owned(),
        pauses: Vec::new(),
    }
}

fn chart() -> Gantt {
    let mut asks = bar(50, 100, Paint::Review, Went::Well);
    asks.pauses = vec![(Timestamp(80_000), Timestamp(100_000))];
    Gantt {
        clock: Clock::OfDay,
        from: Timestamp(0),
        to: Timestamp(100_000),
        rows: vec![
            Row {
                label: "s1".to_owned(),
                bars: vec![
                    bar(0, 30, Paint::Write, Went::Well),
                    bar(30, 40, Paint::Check, Went::Badly),
                ],
            },
            Row {
                label: "s2".to_owned(),
                bars: vec![asks],
            },
        ],
        queue: vec![
            (Timestamp(0), 0),
            (Timestamp(20_000), 12),
            (Timestamp(30_000), 3),
            (Timestamp(60_000), 0),
        ],
    }
}

#[test]
fn a_plot_in_text_grows_with_the_sum_and_shows_the_budget() {
    let lines = text::plot(&plot_of(&[(0, 0), (50, 50), (90, 90)], 100), 30, 4);
    assert_eq!(
        lines[..5],
        [
            "   $1.00 │╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▅▅▅",
            "         │                 ███",
            "   $0.50 │         ███████████",
            "   $0.00 │         ███████████",
            "         └────────────────────",
        ]
    );
    let flat = text::plot(&plot_of(&[(0, 0), (50, 1)], 10_000), 30, 4);
    assert!(
        !flat.join("").contains('╌'),
        "a budget far off is not drawn: {flat:?}"
    );
}

#[test]
fn the_line_of_the_budget_has_a_step_where_it_was_changed() {
    let mut plot = plot_of(&[(0, 0), (90, 90)], 50);
    plot.limits.push((Timestamp(50_000), MicroUsd(1_000_000)));
    let lines = text::plot(&plot, 30, 4);
    assert_eq!(
        lines[..3],
        [
            "   $1.00 │         ╌╌╌╌╌╌╌╌▅▅▅",
            "         │                 ███",
            "   $0.50 │╌╌╌╌╌╌╌╌╌        ███",
        ]
    );
    let below = lines.last().unwrap();
    assert!(below.contains("budget $0.50, $1.00 from "), "{below}");
    let drawn = svg::plot(&plot, "p");
    let (_, path) = drawn.split_once("class=\"limit\" d=\"").unwrap();
    let path = path.split('"').next().unwrap();
    assert_eq!(path.matches('V').count(), 1, "{path}");
    assert_eq!(drawn.matches("class=\"limit-word\"").count(), 2);
}

#[test]
fn a_chart_from_zero_tells_the_time_that_has_gone_by() {
    let mut chart = chart();
    chart.clock = Clock::SinceStart;
    chart.queue.clear();
    for row in &mut chart.rows {
        row.bars.iter_mut().for_each(|b| b.went = Went::Well);
    }
    let lines = text::gantt(&chart, 60);
    assert!(
        lines[3].contains("0:00") && lines[3].contains("1:00"),
        "{lines:?}"
    );
    let below = lines.join(" ");
    assert!(below.contains("W write  C check  R review"), "{below}");
    assert!(
        !below.contains("small letters") && !below.contains("tasks wait"),
        "{below}"
    );
}

#[test]
fn a_drawing_of_its_own_names_its_colours_and_what_they_stand_for() {
    let mut chart = chart();
    chart.queue.clear();
    let drawn = svg::file(&chart);
    assert!(
        drawn.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""),
        "{drawn}"
    );
    assert!(
        !drawn.contains("var(") && drawn.contains(".k-write { fill: #3f7ee8;"),
        "{drawn}"
    );
    assert!(
        drawn.contains(">write</text>") && !drawn.contains("waiting"),
        "{drawn}"
    );
    assert_eq!(
        drawn.matches("<title>").count(),
        4,
        "one for each bar, and its own: {drawn}"
    );
}

#[test]
fn a_gantt_in_text_has_a_letter_for_what_was_done_the_longest() {
    let lines = text::gantt(&chart(), 30);
    assert_eq!(lines[0], "      s1 │WWWWWWcc············");
    assert_eq!(lines[1], "      s2 │··········RRRRRR????");
    assert_eq!(lines[2], " waiting │    ++333333");
}

#[test]
fn svg_is_well_formed_and_holds_no_text_of_others_as_markup() {
    for drawn in [
        svg::gantt(&chart(), "g"),
        svg::plot(&plot_of(&[(0, 0), (50, 50)], 100), "p"),
        svg::file(&chart()),
    ] {
        assert!(!drawn.contains("<script"), "{drawn}");
        assert!(
            !drawn.contains('\u{1b}') && !drawn.contains('\u{202e}'),
            "{drawn}"
        );
        assert!(drawn.contains("<title") && drawn.contains("<desc"), "{drawn}");
        let mut depth = 0_i32;
        for tag in drawn.split('<').skip(1) {
            if tag.starts_with('/') {
                depth -= 1;
            } else if !tag.split('>').next().unwrap().ends_with('/') {
                depth += 1;
            }
            assert!(depth >= 0, "{drawn}");
        }
        assert_eq!(depth, 0, "{drawn}");
    }
}

#[test]
fn axes_have_round_steps_and_few_of_them() {
    for top in [1, 9_999, 10_000, 123_456, 8_400_000, 99_000_000_000] {
        let ticks = money_ticks(MicroUsd(top), 5);
        assert!((1..=6).contains(&ticks.len()), "{top}: {ticks:?}");
    }
    for span in [1, 999, 60_000, 3_600_000, 86_400_000 * 30] {
        let ticks = time_ticks(
            Timestamp(1_700_000_000_123),
            Timestamp(1_700_000_000_123 + span),
            8,
        );
        assert!(ticks.len() <= 9, "{span}: {}", ticks.len());
    }
}

#[test]
fn nothing_at_all_is_drawn_too() {
    let nothing = Plot {
        to: Timestamp(0),
        ..plot_of(&[], 0)
    };
    assert!(!text::plot(&nothing, 0, 4).is_empty());
    assert!(svg::plot(&nothing, "p").ends_with("</svg>"));
    let empty = Gantt {
        rows: Vec::new(),
        queue: Vec::new(),
        to: Timestamp(0),
        ..chart()
    };
    assert!(!text::gantt(&empty, 0).is_empty());
    assert!(!svg::gantt(&empty, "g").contains("NaN"));
}
