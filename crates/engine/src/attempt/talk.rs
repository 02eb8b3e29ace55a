//! Owns a conversation with an agent while it runs: lines become signals, signals become facts and answers, and it is
//! reminded and told things. How alive it is, is for `pulse`; how it is ended, for `ending`.

mod ending;

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use turno_agents::dialect::{AfterInput, Conversation, Dialect, Job, Launch, Line, Parting, Signal, Support};
use turno_core::command::AgentStart;
use turno_core::decision::Question;
use turno_core::event::AgentEnd;
use turno_core::liveness::Question as Asking;
use turno_core::units::Spend;

use self::ending::{Ending, told};
use super::leaving::Gate;
use super::pulse::Pulse;
use super::tally::Tally;
use super::windows::{When, Windows};
use crate::live::Doing;
use crate::process;
use crate::process::supervised::{AfterSpoken, Bell, StopForce, Supervised};
use crate::process::supervisor::{After, files};
use crate::run::now;
use crate::runner::mouth::{Ear, Mouth, Replied, Replies, Turn, Words};
use crate::sandbox::Bounds;
use crate::site::{Run, Site};
use crate::transcript::Tail;

/// How long an agent may stay after it has said all and its input is closed. Gemini with a server of tools never
/// leaves by itself; who is still busy then is asked once more before it is killed.
const LEAVE: Duration = Duration::from_secs(5);
/// So many questions of one attempt may be waited for before its supervisor's own limit counts.
const QUESTIONS: u64 = 8;
/// What an agent is told that is quiet for long, where it can be told something.
const REMINDER: &str = "Nothing has been seen of you for a while. If you wait for a command that hangs, end it and go \
    on another way. If you are done, give your outcome now. Else go on.";
/// How long an agent works on while nobody coordinates: what it spends then, nobody counts before it is heard again.
const ALONE: Duration = Duration::from_secs(30 * 60);

/// What came of a conversation.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) end: AgentEnd,
    pub(super) spend: Spend,
}

struct Talk<'a> {
    site: &'a Site,
    start: &'a AgentStart,
    mouth: &'a Mouth,
    conversation: Box<dyn Conversation>,
    /// Whether it can be asked in its own protocol to end its turn.
    interrupt: Support,
    run: Supervised,
    pulse: Pulse,
    /// Where it ends its turn.
    gate: Gate,
    tally: Tally,
    before: Before,
    hearing: Hearing,
    /// What was told of its account.
    windows: Windows,
    ending: Ending,
    /// Where replies to questions of its own protocol are to go.
    replies: Replies,
    /// When the stop goes on to the next rung, if one is under way.
    next_rung: Option<Instant>,
    /// When the supervisor is not waited for any more.
    give_up: Option<Instant>,
}

/// What was said to an agent before this coordinator came, besides its first lines. It is not said again.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) said: VecDeque<String>,
}

/// Whether what is heard now is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// It was heard before, by a coordinator that died: only what follows from all of it is told.
    Again,
    /// It is new.
    News,
}

/// Starts an agent and tells it its task.
pub(super) async fn begin(
    site: &Site,
    start: &AgentStart,
    launch: Launch,
    bounds: Option<Bounds>,
    job: &Job,
    dir: &Path,
) -> Result<Supervised, process::Error> {
    // The core's own limit comes first; this one holds when nobody is there to enforce it.
    // To wait for a person is not to work: the core moves its own limit for each question.
    let waits = site
        .config
        .core
        .policy
        .decisions
        .deadline
        .0
        .saturating_mul(QUESTIONS);
    let limit = start
        .limits
        .wall_clock
        .0
        .saturating_add(60_000)
        .saturating_add(waits);
    let mut run = site
        .supervise(Run {
            attempt: start.attempt,
            dir,
            argv: launch.argv,
            cwd: Path::new(&job.cwd),
            env: launch.env,
            limit_ms: limit,
            bounds,
            alone: ALONE,
            after: After::Nothing,
        })
        .await?;
    let then = match launch.after_input {
        AfterInput::Close => AfterSpoken::Closes,
        AfterInput::KeepOpen => AfterSpoken::Stays,
    };
    run.begin(launch.input, then).await;
    site.live
        .say(start.attempt, Doing::Step(format!("{} has begun", start.agent)));
    Ok(run)
}

/// Listens to an agent until its end.
#[expect(
    clippy::too_many_arguments,
    reason = "one call site; each is a thing of its own"
)]
pub(super) async fn talk(
    site: &Site,
    start: &AgentStart,
    dialect: &dyn Dialect,
    job: &Job,
    run: Supervised,
    before: Option<Before>,
    gate: Gate,
    dir: &Path,
    mouth: &Mouth,
    mut ear: Ear,
) -> Heard {
    let (replies, mut replied) = mpsc::unbounded_channel();
    let mut open_questions = mouth.open_questions();
    let mut turn = mouth.turn();
    let mut talk = Talk {
        site,
        start,
        mouth,
        conversation: dialect.converse(job),
        interrupt: dialect.capabilities().interrupt,
        pulse: Pulse::new(
            start.limits.notice,
            run.supervisor(),
            Path::new(&job.cwd),
            dir.join(files::OUT),
        ),
        run,
        gate,
        tally: Tally::new(),
        hearing: if before.is_some() {
            Hearing::Again
        } else {
            Hearing::News
        },
        before: before.unwrap_or_default(),
        windows: Windows::default(),
        ending: Ending::Not,
        replies,
        next_rung: None,
        give_up: None,
    };
    let mut tail = Tail::new(dir.join(files::OUT));
    if talk.hearing == Hearing::Again {
        talk.catch_up(&mut tail, &mut replied).await;
    }
    let mut nudges = mouth.nudges();
    let mut words = mouth.words();
    // What was said is taken in piece by piece, and between two pieces whatever else is to be done: an agent may
    // say more than can be read in any one go.
    let mut behind = false;
    loop {
        let (rung, give_up) = (talk.next_rung, talk.give_up);
        let now = Instant::now();
        let question = match *open_questions.borrow_and_update() {
            0 => Asking::None,
            _ => Asking::Open,
        };
        let listens = talk.ending == Ending::Not && rung.is_none();
        tokio::select! {
            bell = talk.run.bell(), if !behind => match bell {
                Bell::More => behind = true,
                Bell::Over => {
                    while talk.read_piece(&mut tail).await {
                        yield_now().await;
                    }
                    break;
                }
            },
            () = yield_now(), if behind => {
                behind = talk.read_piece(&mut tail).await;
            }
            why = told(&mut ear, talk.ending) => match talk.ending {
                Ending::Told(_) => talk.hasten(why),
                Ending::Not => talk.stop(why).await,
            },
            // The sender of both lives as long as the attempt.
            Some(replied) = replied.recv() => talk.answer(&replied).await,
            Ok(()) = open_questions.changed() => talk.pulse.turn_changed(),
            Ok(()) = nudges.changed() => talk.nudge().await,
            Some(said) = words.recv() => talk.tell(&said).await,
            Ok(()) = turn.changed() => {
                let told = *turn.borrow_and_update();
                talk.sent_away(told).await;
            }
            () = sleep_until(talk.pulse.next_look()), if listens => talk.look(question).await,
            () = sleep_until(give_up.unwrap_or(now)), if give_up.is_some() => break,
            () = sleep_until(rung.unwrap_or(now)), if rung.is_some() => {
                talk.end_by(StopForce::Ladder);
            }
        }
    }
    talk.over(tail, dir).await
}

impl Talk<'_> {
    /// Hears again what an earlier coordinator heard: line by line, with the replies where they were given, so that
    /// the conversation is where it was.
    async fn catch_up(&mut self, tail: &mut Tail, replied: &mut mpsc::UnboundedReceiver<Replied>) {
        let mut lines = Vec::new();
        for said in &self.before.said {
            self.conversation.was_told(said);
        }
        while tail.read_piece(|line| lines.push(Owned::of(line))) {
            for line in lines.drain(..) {
                for signal in self.conversation.line(line.as_line()) {
                    self.heed(signal).await;
                    while let Ok(replied) = replied.try_recv() {
                        self.answer(&replied).await;
                    }
                }
            }
        }
        self.hearing = Hearing::News;
        // What was said and is not said again by now was said for another reason.
        self.before = Before::default();
        if self.tally.spend() != Spend::NOTHING {
            self.mouth.spent(self.tally.spend());
        }
        // What was told in spans of time is not known any more: what the coordinator before took down is better.
        for quota in self.windows.all().filter(|quota| quota.resets.is_some()) {
            self.mouth.quota_seen(quota);
        }
    }

    /// Says a line, unless an earlier coordinator has said it.
    async fn say(&mut self, line: &str) {
        if !self.before.said.is_empty() {
            let clean = self.site.redaction.bytes(line.as_bytes());
            let clean = String::from_utf8_lossy(&clean);
            if let Some(n) = self.before.said.iter().position(|said| *said == clean) {
                self.before.said.remove(n);
                return;
            }
        }
        self.run.say(line).await;
    }

    /// Takes in the next piece of what was said. True when there was anything.
    async fn read_piece(&mut self, tail: &mut Tail) -> bool {
        let mut signals = Vec::new();
        let any = tail.read_piece(|line| signals.extend(self.conversation.line(line)));
        for signal in signals {
            self.heed(signal).await;
        }
        any
    }

    async fn heed(&mut self, signal: Signal) {
        // The same sum again is no spending.
        let known = self.tally.spend();
        if !matches!(&signal, Signal::Spent(spend) if *spend == known) {
            self.pulse.hear(&signal);
        }
        self.tally.hear(&signal);
        match signal {
            Signal::Session(session) => self.mouth.session(session),
            Signal::Spent(spend) => {
                if spend != known && self.hearing == Hearing::News {
                    self.mouth.spent(spend);
                }
            }
            Signal::Send(line) => self.say(&line).await,
            Signal::Asked { key, question } => self.ask(key, question),
            Signal::Leaving { key } => self.part(&key).await,
            Signal::CloseInput => {
                self.run.close_input().await;
                self.next_rung.get_or_insert(Instant::now() + LEAVE);
            }
            Signal::Quota(said) => match self.hearing {
                Hearing::Again => drop(self.windows.hear(&said, When::Before)),
                Hearing::News => {
                    if let Some(quota) = self.windows.hear(&said, When::At(now())) {
                        self.site.live.say(self.start.attempt, Doing::Notes(said.line()));
                        self.mouth.quota_seen(quota);
                    }
                }
            },
            Signal::HeldOff(wait) => {
                let when = match self.hearing {
                    Hearing::Again => When::Before,
                    Hearing::News => When::At(now()),
                };
                self.windows.hold_off(wait, when);
            }
            Signal::Heard { remark, words } => {
                // Told also when it was heard before: nobody knows whether that was recorded.
                self.mouth.heard(remark);
                let said = Doing::Notes(format!("has heard a person: {words}"));
                self.site.live.say(self.start.attempt, said);
            }
            said => {
                if self.hearing == Hearing::News
                    && let Some(doing) = Doing::of(said)
                {
                    self.site.live.say(self.start.attempt, doing);
                }
            }
        }
    }

    /// It wants to end its turn, and may if nothing is left uncommitted, or if it is being ended anyway.
    async fn part(&mut self, key: &str) {
        if let Some(n) = self.before.said.iter().position(|said| said.contains(key)) {
            // It was answered, whichever way: what it did then is heard next.
            self.before.said.remove(n);
            let _said_before = self.conversation.part(key, &Parting::Go);
            return;
        }
        let parting = match self.ending {
            Ending::Not => self.gate.parting(self.site).await,
            Ending::Told(_) => Parting::Go,
        };
        if let Parting::Stay { .. } = &parting {
            tracing::info!(attempt = %self.start.attempt, "an agent is asked to commit before it ends");
            let said = Doing::Notes("is asked to commit what it changed before it ends".to_owned());
            self.site.live.say(self.start.attempt, said);
        }
        for line in self.conversation.part(key, &parting) {
            self.say(&line).await;
        }
    }

    /// Looks how alive it is, and tells it if that is news.
    async fn look(&mut self, question: Asking) {
        if let Some((activity, lasts)) = self.pulse.look(question).await {
            tracing::debug!(attempt = %self.start.attempt, ?activity, lasts = lasts.0, "what an agent does");
            self.mouth.seen(activity, lasts);
        }
    }

    /// Reminds it that nothing is seen of it, where it can be told.
    async fn nudge(&mut self) {
        if self.ending != Ending::Not || self.next_rung.is_some() {
            return;
        }
        for line in self.conversation.nudge(REMINDER) {
            self.say(&line).await;
        }
        tracing::info!(attempt = %self.start.attempt, "an agent is reminded that nothing is seen of it");
        let said = Doing::Notes("is reminded that nothing is seen of it".to_owned());
        self.site.live.say(self.start.attempt, said);
    }

    /// Tells it what a person says. What it cannot be told any more is given to whoever comes next.
    async fn tell(&mut self, said: &Words) {
        if self.ending != Ending::Not || self.next_rung.is_some() {
            return;
        }
        for line in self.conversation.tell(said.remark, &by_a_person(&said.words)) {
            self.run.say(&line).await;
            tracing::info!(attempt = %self.start.attempt, remark = %said.remark, "a person's words are said to an agent");
            let said = Doing::Notes(format!("a person says to it: {}", said.words));
            self.site.live.say(self.start.attempt, said);
        }
    }

    /// Nobody answers it now. Where words alone told it so, its turn is ended for it.
    async fn sent_away(&mut self, told: Turn) {
        let works = self.ending == Ending::Not && self.next_rung.is_none();
        match (told, self.interrupt) {
            (Turn::SentAwayInWords, Support::Yes) if works => self.ask_politely().await,
            (Turn::Its | Turn::SentAway | Turn::SentAwayInWords, _) => {}
        }
    }

    /// A question of the agent's own protocol.
    fn ask(&mut self, key: String, question: Question) {
        let said = Doing::Notes(format!("asks: {}", question.question));
        self.site.live.say(self.start.attempt, said);
        if let Err(not) = self.mouth.ask(key, question, &self.replies) {
            tracing::warn!(attempt = %self.start.attempt, %not, "a question is not put");
        }
    }

    async fn answer(&mut self, replied: &Replied) {
        for line in self.conversation.answer(replied.own_key(), &replied.reply) {
            self.say(&line).await;
        }
    }
}

/// A person's words as an agent is told them.
fn by_a_person(words: &str) -> String {
    format!(
        "The person you work for watches you and says:\n\n{words}\n\nHeed this from now on: where it is at odds with what \
        you were told before, this counts. Then go on with your work, and end with the outcome you are asked for."
    )
}

/// A line that is kept.
enum Owned {
    Whole(String),
    Cut(String),
}

impl Owned {
    fn of(line: Line<'_>) -> Self {
        match line {
            Line::Whole(text) => Self::Whole(text.to_owned()),
            Line::Cut(text) => Self::Cut(text.to_owned()),
        }
    }

    fn as_line(&self) -> Line<'_> {
        match self {
            Self::Whole(text) => Line::Whole(text),
            Self::Cut(text) => Line::Cut(text),
        }
    }
}
