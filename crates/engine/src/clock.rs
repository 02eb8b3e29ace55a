//! Owns the coordinator's clock: a time that only goes on as fast as time does. Where the machine's clock was set, or
//! went on while the machine slept, it says so, and nothing that was waited for is over by that.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use turno_core::event::Event;
use turno_core::liveness::JumpWhy;
use turno_core::units::Timestamp;

/// Clocks are set by less than this all the time, and nobody minds.
const JUMP: u64 = 5000;

/// What the clocks of a machine say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The hour of the day, in milliseconds since 1970.
    pub wall: Timestamp,
    /// Time that went by while the machine was awake.
    pub awake: Duration,
    /// Time that went by, asleep or awake; absent where the machine cannot tell.
    pub booted: Option<Duration>,
}

/// Where the time comes from.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// What the clocks say now.
    fn read(&self) -> Reading;
}

/// The clocks of this machine.
#[derive(Debug)]
pub struct Machine;

impl Source for Machine {
    fn read(&self) -> Reading {
        let time = |id| clock_gettime(id).ok().map(Duration::from);
        let booted = time(ClockId::CLOCK_BOOTTIME);
        Reading {
            wall: Timestamp(chrono::Utc::now().timestamp_millis()),
            awake: time(ClockId::CLOCK_MONOTONIC).or(booted).unwrap_or_default(),
            booted,
        }
    }
}

/// A clock that jumps only when it is looked at, and tells it.
#[derive(Debug)]
pub struct Clock {
    source: Box<dyn Source>,
    at: Reading,
}

impl Clock {
    /// A clock that begins now.
    pub fn new(source: Box<dyn Source>) -> Self {
        let at = source.read();
        Self { source, at }
    }

    /// The time: that of the last look, and what went by since.
    pub fn now(&self) -> Timestamp {
        after(self.at, self.source.read())
    }

    /// Goes by the machine's clock again. Tells when that has jumped since the last look.
    pub fn look(&mut self) -> Option<Event> {
        let read = self.source.read();
        let by = read.wall.0.saturating_sub(after(self.at, read).0);
        let slept = match (read.booted, self.at.booted) {
            (Some(now), Some(then)) => now
                .saturating_sub(then)
                .saturating_sub(read.awake.saturating_sub(self.at.awake)),
            (None, _) | (_, None) => Duration::ZERO,
        };
        self.at = read;
        if by.unsigned_abs() < JUMP {
            return None;
        }
        let slept = i64::try_from(slept.as_millis()).unwrap_or(i64::MAX);
        let why = if by > 0 && slept >= by / 2 {
            JumpWhy::Slept
        } else {
            JumpWhy::Set
        };
        Some(Event::ClockJumped { by, why })
    }
}

/// The time at a reading, by one before.
fn after(before: Reading, now: Reading) -> Timestamp {
    let went_by = now.awake.saturating_sub(before.awake).as_millis();
    before.wall.moved(i64::try_from(went_by).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rstest::rstest;

    use super::*;

    #[derive(Debug, Clone)]
    struct Set(Arc<Mutex<Reading>>);

    impl Source for Set {
        fn read(&self) -> Reading {
            *self.0.lock().unwrap()
        }
    }

    /// In seconds: how far the clock went, how long the machine was awake meanwhile, and how long it ran at all.
    #[rstest]
    #[case::time_goes_on(60, 60, 60, None)]
    #[case::it_is_set_a_little(63, 60, 60, None)]
    #[case::asleep(28_800, 10, 28_800, Some((28_790_000, JumpWhy::Slept)))]
    #[case::set_forward(3600, 0, 0, Some((3_600_000, JumpWhy::Set)))]
    #[case::set_back(-3600, 10, 10, Some((-3_610_000, JumpWhy::Set)))]
    fn what_is_a_jump(
        #[case] wall: i64,
        #[case] awake: u64,
        #[case] booted: u64,
        #[case] jump: Option<(i64, JumpWhy)>,
    ) {
        let begin = Duration::from_secs(1000);
        let set = Set(Arc::new(Mutex::new(Reading {
            wall: Timestamp(1_000_000),
            awake: begin,
            booted: Some(begin),
        })));
        let mut clock = Clock::new(Box::new(set.clone()));
        *set.0.lock().unwrap() = Reading {
            wall: Timestamp(1_000_000 + wall * 1000),
            awake: begin + Duration::from_secs(awake),
            booted: Some(begin + Duration::from_secs(booted)),
        };
        let unseen = Timestamp(1_000_000 + i64::try_from(awake).unwrap() * 1000);
        assert_eq!(
            clock.now(),
            unseen,
            "until it is looked at it goes on as time does"
        );
        let told = jump.map(|(by, why)| Event::ClockJumped { by, why });
        assert_eq!(clock.look(), told);
        assert_eq!(clock.now(), Timestamp(1_000_000 + wall * 1000));
        assert_eq!(clock.look(), None, "a jump is told once");
    }
}
