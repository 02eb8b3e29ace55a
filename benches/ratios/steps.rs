//! What one step of the core costs in a shift of many listed issues, beside the same with few of them. Every attempt
//! fails at once, so that each step has a free slot and looks for somebody to start.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use turno_core::command::Command;
use turno_core::config::Config;
use turno_core::event::Event;
use turno_core::failure::{Cause, Failure};
use turno_core::following::Target;
use turno_core::ids::AttemptId;
use turno_core::issue::IssueDraft;
use turno_core::shift::{IssueAtStart, Scope};
use turno_core::units::{MicroUsd, Timestamp};
use turno_core::{State, next_deadline, step};
use turno_engine::config::{EnvMap, Overrides, Places, load};

use crate::measure::{Bound, Times, Verdict, time};

const FEW: u32 = 100;
const MANY: u32 = 1000;
const STEPS: u32 = 400;
const ROUNDS: usize = 9;
/// Ten times as many tasks to look at, and a little.
const BOUND: Bound = Bound::AtMost(20.0);
const MOST: Duration = Duration::from_millis(10);

/// Runs the section.
pub(crate) fn run(dir: &Path) -> Verdict {
    let config = config(dir);
    let (few, many) = (begun(&config, FEW), begun(&config, MANY));
    let mut small = Times::of(format!("a step, {FEW} listed issues"));
    let mut large = Times::of(format!("a step, {MANY} listed issues"));
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            small.push(steps(few.clone()));
            large.push(steps(many.clone()));
        } else {
            large.push(steps(many.clone()));
            small.push(steps(few.clone()));
        }
    }
    small.print(STEPS);
    large.print(STEPS);
    let ratio = large.against(&small, BOUND);
    let each = large.median() / STEPS;
    let (word, verdict) = if each <= MOST {
        ("holds", Verdict::Holds)
    } else {
        ("BROKEN", Verdict::Broken)
    };
    println!("a step with {MANY} issues: {each:.2?}, bound {MOST:?} \u{2014} {word}");
    ratio.and(verdict)
}

fn config(dir: &Path) -> Config {
    let places = Places {
        repo: dir.to_owned(),
        user: None,
    };
    let flags = Overrides {
        policy: Some("single".parse().unwrap()),
        ..Overrides::default()
    };
    load(&places, &EnvMap::new(), &flags).unwrap().core
}

/// A state in the middle of things: what was begun, and the attempts that run.
#[derive(Clone)]
struct World {
    state: State,
    now: Timestamp,
    running: VecDeque<AttemptId>,
}

fn begun(config: &Config, issues: u32) -> World {
    let mut world = World {
        state: State::default(),
        now: Timestamp(1_700_000_000_000),
        running: VecDeque::new(),
    };
    world.take(&Event::ConfigLoaded {
        config: Box::new(config.clone()),
    });
    for n in 0..issues {
        world.take(&Event::IssueAdded {
            draft: IssueDraft {
                title: format!("issue {n}"),
                ..IssueDraft::default()
            },
        });
    }
    let base = format!("{:040x}", 7);
    let listed = world.state.issues.keys().map(|issue| IssueAtStart {
        issue: *issue,
        base: base.parse().unwrap(),
        target: Target::Unknown,
    });
    let listed = listed.collect();
    world.take(&Event::ShiftStarted {
        mode: config.policy.name.clone(),
        issues: listed,
        budget: MicroUsd(1_000_000_000),
        scope: Scope::Listed,
    });
    assert!(!world.running.is_empty(), "something starts");
    world
}

impl World {
    fn take(&mut self, event: &Event) {
        for command in step(&mut self.state, self.now, event) {
            if let Command::StartAgent(start) = command {
                self.running.push_back(start.attempt);
            }
        }
    }
}

fn steps(mut world: World) -> Duration {
    let (took, ()) = time(|| {
        for _ in 0..STEPS {
            let event = match world.running.pop_front() {
                Some(attempt) => Event::AttemptFailed {
                    attempt,
                    failure: Failure::new(Cause::Agent, "it ended at once"),
                },
                None => {
                    world.now = next_deadline(&world.state).unwrap().max(world.now);
                    Event::TimePassed
                }
            };
            world.take(&event);
        }
    });
    took
}
