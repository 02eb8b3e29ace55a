//! Owns the numbers for a Prometheus. They are read off the picture, or asked of the coordinator, when they are asked
//! for; nothing is counted here.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use turno_core::board::{Column, column};
use turno_core::view::{RunBy, StageName, status};
use turno_engine::pace::{BOUNDS, Pace, Times};
use turno_engine::socket::{Answer, Ask, Client};

use crate::error::Problem;
use crate::mirror::Coordinator;
use crate::routes::{App, STREAMS, Shared};
use crate::view::word;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Dollars = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct In {
    column: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct At {
    stage: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct By {
    persona: String,
    agent: String,
}

/// Sums of money are shown in dollars; what is lost of a double's precision is less than a millionth of them.
fn dollars(micros: u64) -> f64 {
    let whole = u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX);
    let part = u32::try_from(micros % 1_000_000).unwrap_or(0);
    f64::from(whole) + f64::from(part) / 1e6
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The coordinator is waited for so long; it answers at once, or what it would say is left out.
const ANSWERS: Duration = Duration::from_secs(2);

/// How quick the coordinator's loop has been; none where nobody coordinates, or an older one does.
async fn pace(app: &App) -> Option<Pace> {
    let asked = async {
        let mut client = Client::connect(&app.workspace.dirs().socket()).await.ok()?;
        client.ask(&Ask::Pace).await.ok()?;
        client.answer().await.ok()?
    };
    match tokio::time::timeout(ANSWERS, asked).await {
        Ok(Some(Answer::Pace(pace))) => Some(pace),
        Ok(_) | Err(_) => None,
    }
}

/// Times of the loop, as histograms.
#[derive(Debug)]
struct Loop(Pace);

impl Collector for Loop {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let Pace { turns, waits } = &self.0;
        let kinds = [
            ("loop_turn", "From facts taken to the commands that follow", turns),
            (
                "loop_wait",
                "From something that happened to its being taken",
                waits,
            ),
        ];
        for (name, help, times) in kinds {
            let unit = Some(&Unit::Seconds);
            let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Histogram)?;
            let (sum, all, classes) = seconds(times);
            metric.encode_histogram::<NoLabelSet>(sum, all, &classes, None)?;
        }
        Ok(())
    }
}

/// The sum, how many, and how many in each class by its upper end. What a double loses is less than is measured.
fn seconds(times: &Times) -> (f64, u64, Vec<(f64, u64)>) {
    let long = |micros: u64| Duration::from_micros(micros).as_secs_f64();
    let ends = BOUNDS.iter().map(|b| long(*b)).chain([f64::MAX]);
    let classes: Vec<(f64, u64)> = ends.zip(times.counts.iter().copied()).collect();
    (long(times.micros), times.counts.iter().sum(), classes)
}

/// All numbers, as OpenMetrics text.
pub(crate) async fn metrics(State(app): State<Shared>) -> Result<impl IntoResponse, Problem> {
    let seen = app.seen();
    let state = seen.state.as_ref();
    let status = status(state);
    let mut registry = Registry::with_prefix("turno");
    if let Some(pace) = pace(&app).await {
        registry.register_collector(Box::new(Loop(pace)));
    }
    let mut one = |name: &str, help: &str, value: i64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    let works = i64::from(seen.coordinator == Coordinator::Works);
    one("coordinator_up", "Whether a coordinator lives", works);
    one(
        "slots",
        "Slots there are",
        state.config.as_ref().map_or(0, |c| i64::from(c.slots)),
    );
    one(
        "slots_free",
        "Slots that nobody holds",
        count(status.free_slots.len()),
    );
    one(
        "decisions_open",
        "Questions that wait for a person",
        count(status.decisions.len()),
    );
    let head = i64::try_from(seen.head.0).unwrap_or(i64::MAX);
    one("journal_head", "Number of the last record", head);
    let streams = STREAMS.saturating_sub(app.streams.available_permits());
    one("board_streams", "Clients that follow the events", count(streams));

    let issues: Family<In, Gauge> = Family::default();
    for at in Column::ALL {
        let here = state.issues.values().filter(|i| column(state, i) == Some(at));
        issues
            .get_or_create(&In { column: word(&at) })
            .set(count(here.count()));
    }
    registry.register("issues", "Issues by column", issues);
    let tasks: Family<At, Gauge> = Family::default();
    for task in state.tasks.values() {
        let stage = StageName::of(&task.stage).as_str().to_owned();
        tasks.get_or_create(&At { stage }).inc();
    }
    registry.register("tasks", "Tasks by stage", tasks);
    let running: Family<By, Gauge> = Family::default();
    for run in &status.running {
        let by = match &run.by {
            RunBy::Agent { persona, agent } => By {
                persona: persona.to_string(),
                agent: agent.to_string(),
            },
            RunBy::Turno => By {
                persona: String::new(),
                agent: "turno".to_owned(),
            },
        };
        running.get_or_create(&by).inc();
    }
    registry.register("attempts_running", "Attempts that run, by who does them", running);
    if let Some(shift) = &status.shift {
        let sums = [
            ("shift_spent_usd", "What the latest shift has spent", shift.spent),
            (
                "shift_committed_usd",
                "That, and what is promised to what runs",
                shift.committed,
            ),
            (
                "shift_budget_usd",
                "What the latest shift may spend",
                shift.budget,
            ),
        ];
        for (name, help, sum) in sums {
            let gauge = Dollars::default();
            gauge.set(dollars(sum.0));
            registry.register(name, help, gauge);
        }
    }
    let mut told = String::new();
    text::encode(&mut told, &registry).map_err(|e| Problem::Bug(e.to_string()))?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], told))
}
