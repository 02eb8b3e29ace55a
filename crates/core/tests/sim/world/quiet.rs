//! Owns how agents fall quiet and come back to life, and clocks that jump.

use turno_core::event::Event;
use turno_core::ids::AttemptId;
use turno_core::ledger::Day;
use turno_core::liveness::{Activity, JumpWhy};
use turno_core::units::Span;

use super::{Fate, World};

impl World {
    /// It is seen in some way, perhaps for longer than anybody bears, and perhaps works again. When it goes on.
    pub(super) fn falls_quiet(&mut self, attempt: AttemptId, at: u64) -> u64 {
        let tool = "cargo build".to_owned();
        let mut at = at + self.rng.between(1, 300);
        for _ in 0..self.rng.between(1, 3) {
            let activity = self.rng.pick(&[
                Activity::Silent,
                Activity::Silent,
                Activity::AwaitingProvider,
                Activity::LongCommand { tool: tool.clone() },
                Activity::Computing,
                Activity::OnlyTalking,
                Activity::AwaitingPerson,
                Activity::Gone,
            ]);
            self.is_seen(attempt, at, activity);
            at += self.rng.pick(&[100, 1000, 2500, 5000]);
            if self.rng.chance(60) {
                self.is_seen(attempt, at, Activity::Working);
                at += self.rng.between(1, 500);
            }
        }
        at
    }

    fn is_seen(&mut self, attempt: AttemptId, at: u64, activity: Activity) {
        self.tally.count("seen");
        let lasts = Span(self.rng.below(800));
        let event = Event::Seen {
            attempt,
            activity,
            lasts,
        };
        self.later(at, attempt, Fate::Say(event));
    }

    /// Whoever is reminded sometimes wakes up.
    pub(super) fn nudged(&mut self, attempt: AttemptId) {
        self.tally.count("reminded");
        if self.rng.chance(40) {
            self.is_seen(attempt, 50, Activity::Working);
        }
    }

    /// The clock goes forward or back, within the day, and all that is to come comes as long after as before.
    pub(super) fn jump(&mut self) -> Result<(), String> {
        let far = i64::try_from(self.rng.between(6, 4000)).unwrap() * 1000;
        let (by, why) = match self.rng.below(3) {
            0 => (far, JumpWhy::Slept),
            1 => (far, JumpWhy::Set),
            _ => (-far, JumpWhy::Set),
        };
        let then = self.now.moved(by);
        // What was begun yesterday is booked there, and a clock that is set over midnight takes it along.
        if self.plan.seed.is_multiple_of(4) || then.0 < 0 || Day::of(then) != Day::of(self.now) {
            return Ok(());
        }
        self.tally.count(match why {
            JumpWhy::Slept => "slept",
            JumpWhy::Set => "clocks set",
        });
        self.now = then;
        self.fates = std::mem::take(&mut self.fates)
            .into_iter()
            .map(|((at, number), fate)| ((at.moved(by), number), fate))
            .collect();
        self.take(Event::ClockJumped { by, why })
    }
}
