//! Owns what one attempt was told of its account: which of it is news, and when a failure for it lifts. What follows
//! from either is decided in the core.

use std::collections::BTreeMap;

use turno_agents::limits::QuotaSaid;
use turno_core::failure::{Cause, Failure, RetryAfter};
use turno_core::quota::{Quota, QuotaFill};
use turno_core::units::{Span, Timestamp};

/// So many windows of one account are followed; real ones have two or three.
const NAMES: usize = 16;
/// So much news is told by one attempt: whoever tells more says the same to and fro.
const NEWS: u32 = 200;
/// A reset that moves by less has not moved: some are counted anew with each message.
const MOVED: Span = Span::seconds(60);

/// When something was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// At this time.
    At(Timestamp),
    /// While an earlier coordinator listened.
    Before,
}

impl When {
    fn time(self) -> Option<Timestamp> {
        match self {
            Self::At(time) => Some(time),
            Self::Before => None,
        }
    }
}

/// The windows of the account that an attempt runs on.
#[derive(Debug, Default)]
pub(super) struct Windows {
    seen: BTreeMap<String, Quota>,
    told: u32,
    /// Until when the provider takes nothing more.
    held_off: Option<Timestamp>,
}

impl Windows {
    /// Takes in how full a window is; gives it back when that is news.
    pub(super) fn hear(&mut self, said: &QuotaSaid, when: When) -> Option<Quota> {
        let quota = said.heard(when.time());
        let known = self.seen.get(&quota.window);
        if known.is_some_and(|known| is_same(known, &quota)) || (known.is_none() && self.seen.len() >= NAMES)
        {
            return None;
        }
        self.seen.insert(quota.window.clone(), quota.clone());
        self.told = self.told.saturating_add(1);
        (self.told <= NEWS).then_some(quota)
    }

    /// All windows as they were last heard.
    pub(super) fn all(&self) -> impl Iterator<Item = Quota> + '_ {
        self.seen.values().cloned()
    }

    /// Takes in that the provider takes nothing more for so long.
    pub(super) fn hold_off(&mut self, wait: Span, when: When) {
        if let When::At(time) = when {
            self.held_off = Some(time + wait);
        }
    }

    /// The failure with the time at which it lifts, where it has none of its own and one was told before.
    pub(super) fn lifting(&self, failure: Failure, now: Timestamp) -> Failure {
        let full = || {
            let full = self.seen.values().filter(|quota| quota.fill == QuotaFill::Full);
            full.filter_map(|quota| quota.resets).max()
        };
        let lifts = match (failure.cause, failure.retry_after) {
            (Cause::Quota, RetryAfter::Policy) => full().or(self.held_off),
            (Cause::RateLimited | Cause::Provider, RetryAfter::Policy) => self.held_off,
            (_, RetryAfter::At(_) | RetryAfter::Policy) => None,
        };
        match lifts.filter(|lifts| *lifts > now) {
            Some(lifts) => Failure {
                retry_after: RetryAfter::At(lifts),
                ..failure
            },
            None => failure,
        }
    }
}

/// Whether the second says nothing that the first did not: the same step of ten percent, the same reset.
fn is_same(known: &Quota, said: &Quota) -> bool {
    let fill = match (known.fill, said.fill) {
        (QuotaFill::Percent(a), QuotaFill::Percent(b)) => a / 10 == b / 10,
        (a, b) => a == b,
    };
    let reset = match (known.resets, said.resets) {
        (Some(a), Some(b)) => a.since(b).max(b.since(a)) < MOVED,
        (a, b) => a == b,
    };
    fill && reset
}

#[cfg(test)]
mod tests {
    use turno_agents::limits::Resets;

    use super::*;

    const NOW: When = When::At(Timestamp(1_000_000));

    fn said(percent: u8, resets_in: u64) -> QuotaSaid {
        QuotaSaid::new(
            "five_hour",
            QuotaFill::Percent(percent),
            Resets::In(Span::seconds(resets_in)),
        )
    }

    #[test]
    fn only_a_step_or_another_reset_is_news() {
        let mut windows = Windows::default();
        let mut news = |said: &QuotaSaid| windows.hear(said, NOW).is_some();
        assert!(news(&said(80, 3600)), "the first is always news");
        assert!(!news(&said(84, 3600)), "the same step");
        assert!(!news(&said(89, 3630)), "a reset that is counted anew");
        assert!(news(&said(90, 3600)), "the next step");
        assert!(news(&said(90, 3700)), "another reset");
        let full = QuotaSaid::new("five_hour", QuotaFill::Full, Resets::In(Span::seconds(3700)));
        assert!(news(&full));
        assert!(!news(&full));
    }

    #[test]
    fn a_liar_cannot_fill_the_journal() {
        let mut windows = Windows::default();
        let mut count = 0;
        for n in 0..1000_u64 {
            let name = format!("window-{}", n % 50);
            let fill = QuotaFill::Percent((n % 100) as u8);
            let told = windows.hear(&QuotaSaid::new(&name, fill, Resets::Unknown), NOW);
            count += u32::from(told.is_some());
        }
        assert_eq!(count, NEWS);
        assert_eq!(windows.all().count(), NAMES);
    }

    #[test]
    fn a_failure_lifts_when_what_it_failed_by_does() {
        let mut windows = Windows::default();
        let now = Timestamp(1_000_000);
        let failed = |windows: &Windows, cause| windows.lifting(Failure::new(cause, ""), now).retry_after;
        assert_eq!(failed(&windows, Cause::Quota), RetryAfter::Policy);
        windows.hold_off(Span::seconds(20), NOW);
        let held_off = RetryAfter::At(Timestamp(1_020_000));
        assert_eq!(failed(&windows, Cause::RateLimited), held_off);
        assert_eq!(failed(&windows, Cause::Agent), RetryAfter::Policy);
        windows.hear(&said(99, 60), NOW);
        assert_eq!(failed(&windows, Cause::Quota), held_off, "99 % is not full");
        for (window, seconds) in [("five-hour", 100), ("seven-day", 900)] {
            let resets = Resets::In(Span::seconds(seconds));
            windows.hear(&QuotaSaid::new(window, QuotaFill::Full, resets), NOW);
        }
        let last = RetryAfter::At(Timestamp(1_900_000));
        assert_eq!(failed(&windows, Cause::Quota), last, "both must have room");
        let own = Failure {
            retry_after: RetryAfter::At(Timestamp(7)),
            ..Failure::new(Cause::Quota, "")
        };
        assert_eq!(windows.lifting(own.clone(), now), own);
        let later = Timestamp(2_000_000);
        let failure = Failure::new(Cause::Quota, "");
        assert_eq!(windows.lifting(failure.clone(), later), failure, "it has lifted");
    }

    #[test]
    fn a_wait_heard_by_another_has_no_time() {
        let mut windows = Windows::default();
        windows.hold_off(Span::seconds(20), When::Before);
        let full = QuotaSaid::new("x", QuotaFill::Full, Resets::In(Span::seconds(20)));
        assert_eq!(windows.hear(&full, When::Before).unwrap().resets, None);
        let failure = Failure::new(Cause::Quota, "");
        assert_eq!(windows.lifting(failure.clone(), Timestamp(0)), failure);
    }
}
