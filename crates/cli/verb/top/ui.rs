//! Owns where a person is on the screen, and what each key means there. Pure: a key changes where they are, or asks
//! for something, and is told nothing about how that is done.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use turno_core::event::StopHow;
use turno_core::ids::{DecisionId, TaskId};

use super::frame::{Frame, Subject, Tone};

/// A part of the screen that can be moved in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    AtWork,
    Questions,
    Work,
    Events,
}

/// What lies over the panes.
#[derive(Debug)]
pub(super) enum Above {
    Nothing,
    Help,
    Paper(Paper),
    Answer { decision: DecisionId, typed: String },
    Confirm(StopHow),
}

/// Something to be read.
#[derive(Debug)]
pub(super) struct Paper {
    pub(super) title: String,
    pub(super) lines: Vec<(String, Tone)>,
    /// The first line that is seen. The drawing brings it back where it leads past the end.
    pub(super) at: usize,
    /// How many lines are seen at once, as it was drawn last.
    pub(super) page: usize,
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quit,
    Explain(Subject),
    Diff(Subject),
    Answer { decision: DecisionId, words: String },
    Stop(StopHow),
}

/// Where a person is.
#[derive(Debug)]
pub(super) struct Ui {
    pub(super) pane: Pane,
    pub(super) run: Option<TaskId>,
    pub(super) work: Option<Subject>,
    pub(super) question: Option<DecisionId>,
    /// How many events back from the latest one.
    pub(super) back: usize,
    pub(super) above: Above,
    /// What a person is told, until the next key.
    pub(super) notice: Option<(String, Tone)>,
}

impl Ui {
    pub(super) fn new() -> Self {
        Self {
            pane: Pane::Work,
            run: None,
            work: None,
            question: None,
            back: 0,
            above: Above::Nothing,
            notice: None,
        }
    }

    /// Keeps to what there is: a row that has gone gives its place to the one that is there now.
    pub(super) fn settle(&mut self, frame: &Frame) {
        let is_there = |s: &Subject| frame.work.iter().any(|row| row.subject == *s);
        self.work = self
            .work
            .filter(is_there)
            .or(frame.work.first().map(|r| r.subject));
        let is_asked = |d: &DecisionId| frame.questions.iter().any(|row| row.id == *d);
        self.question = self
            .question
            .filter(is_asked)
            .or(frame.questions.first().map(|r| r.id));
        let runs = |t: &TaskId| frame.at_work.iter().any(|row| row.task == *t);
        self.run = self.run.filter(runs).or(frame.at_work.first().map(|r| r.task));
        self.back = self.back.min(frame.events.len().saturating_sub(1));
        if let Above::Answer { decision, .. } = &self.above
            && !is_asked(decision)
        {
            self.notice = Some((
                format!("{decision} is answered, or nobody asks it any more"),
                Tone::Plain,
            ));
            self.above = Above::Nothing;
        }
    }

    /// What a key means here.
    pub(super) fn key(&mut self, key: KeyEvent, frame: &Frame) -> Wish {
        self.notice = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Wish::Quit;
        }
        match &mut self.above {
            Above::Nothing => self.on_panes(key.code, frame),
            Above::Help => {
                self.above = Above::Nothing;
                Wish::Nothing
            }
            Above::Paper(paper) => {
                let (at, page) = (paper.at, paper.page.max(1));
                paper.at = match key.code {
                    KeyCode::Char('j') | KeyCode::Down => at.saturating_add(1),
                    KeyCode::Char('k') | KeyCode::Up => at.saturating_sub(1),
                    KeyCode::PageDown | KeyCode::Char(' ') => at.saturating_add(page),
                    KeyCode::PageUp | KeyCode::Char('b') => at.saturating_sub(page),
                    KeyCode::Home | KeyCode::Char('g') => 0,
                    KeyCode::End | KeyCode::Char('G') => usize::MAX,
                    KeyCode::Esc | KeyCode::Char('q') | KeyCode::Enter => {
                        self.above = Above::Nothing;
                        return Wish::Nothing;
                    }
                    _ => at,
                };
                Wish::Nothing
            }
            Above::Answer { decision, typed } => match key.code {
                KeyCode::Esc => {
                    self.above = Above::Nothing;
                    Wish::Nothing
                }
                KeyCode::Backspace => {
                    typed.pop();
                    Wish::Nothing
                }
                KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    typed.clear();
                    Wish::Nothing
                }
                KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::CONTROL) => {
                    typed.push(c);
                    Wish::Nothing
                }
                KeyCode::Enter if !typed.trim().is_empty() => {
                    let wish = Wish::Answer {
                        decision: *decision,
                        words: typed.trim().to_owned(),
                    };
                    self.above = Above::Nothing;
                    wish
                }
                _ => Wish::Nothing,
            },
            Above::Confirm(how) => {
                let how = *how;
                self.above = Above::Nothing;
                match key.code {
                    KeyCode::Char('y' | 'Y') => Wish::Stop(how),
                    _ => Wish::Nothing,
                }
            }
        }
    }

    /// Text that was pasted is typed, on one line; elsewhere it is nothing.
    pub(super) fn paste(&mut self, text: &str) {
        if let Above::Answer { typed, .. } = &mut self.above {
            typed.push_str(&super::text::clean(text, 2000));
        }
    }

    fn on_panes(&mut self, code: KeyCode, frame: &Frame) -> Wish {
        match code {
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            KeyCode::Char('?' | 'h') => self.above = Above::Help,
            KeyCode::Char('j') | KeyCode::Down => self.step(frame, Step::Down(1)),
            KeyCode::Char('k') | KeyCode::Up => self.step(frame, Step::Up(1)),
            KeyCode::PageDown => self.step(frame, Step::Down(10)),
            KeyCode::PageUp => self.step(frame, Step::Up(10)),
            KeyCode::Home | KeyCode::Char('g') => self.step(frame, Step::Up(usize::MAX)),
            KeyCode::End | KeyCode::Char('G') => self.step(frame, Step::Down(usize::MAX)),
            KeyCode::Tab => self.turn(frame, 1),
            KeyCode::BackTab => self.turn(frame, 3),
            KeyCode::Char('s') => self.above = Above::Confirm(StopHow::Drain),
            KeyCode::Char('S') => self.above = Above::Confirm(StopHow::Now),
            KeyCode::Char('a') => self.answer(),
            KeyCode::Enter if self.pane == Pane::Questions => self.answer(),
            KeyCode::Enter => return self.chosen().map_or(Wish::Nothing, Wish::Explain),
            KeyCode::Char('o' | 'd') => return self.chosen().map_or(Wish::Nothing, Wish::Diff),
            _ => {}
        }
        Wish::Nothing
    }

    fn answer(&mut self) {
        match self.question {
            Some(decision) => {
                let typed = String::new();
                self.above = Above::Answer { decision, typed };
            }
            None => self.notice = Some(("no question waits for an answer".to_owned(), Tone::Plain)),
        }
    }

    /// What the marked row is about.
    fn chosen(&self) -> Option<Subject> {
        match self.pane {
            Pane::AtWork => self.run.map(Subject::Task),
            Pane::Work | Pane::Events | Pane::Questions => self.work,
        }
    }

    /// To another pane that has something in it.
    fn turn(&mut self, frame: &Frame, by: usize) {
        const ROUND: [Pane; 4] = [Pane::AtWork, Pane::Questions, Pane::Work, Pane::Events];
        let here = ROUND.iter().position(|p| *p == self.pane).unwrap_or(0);
        let has = |pane: Pane| match pane {
            Pane::AtWork => !frame.at_work.is_empty(),
            Pane::Questions => !frame.questions.is_empty(),
            Pane::Work => true,
            Pane::Events => !frame.events.is_empty(),
        };
        let next = (1..=ROUND.len()).filter_map(|n| ROUND.get((here + n * by) % ROUND.len()));
        if let Some(pane) = next.copied().find(|p| has(*p)) {
            self.pane = pane;
        }
    }

    fn step(&mut self, frame: &Frame, step: Step) {
        match self.pane {
            Pane::AtWork => {
                let rows: Vec<TaskId> = frame.at_work.iter().map(|r| r.task).collect();
                self.run = step.from(&rows, self.run);
            }
            Pane::Questions => {
                let rows: Vec<DecisionId> = frame.questions.iter().map(|r| r.id).collect();
                self.question = step.from(&rows, self.question);
            }
            Pane::Work => {
                let rows: Vec<Subject> = frame.work.iter().map(|r| r.subject).collect();
                self.work = step.from(&rows, self.work);
            }
            Pane::Events => {
                self.back = match step {
                    Step::Up(by) => self.back.saturating_add(by),
                    Step::Down(by) => self.back.saturating_sub(by),
                };
            }
        }
        self.settle(frame);
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Up(usize),
    Down(usize),
}

impl Step {
    /// The row that is so far from one.
    fn from<T: Copy + PartialEq>(self, rows: &[T], row: Option<T>) -> Option<T> {
        let here = row
            .and_then(|row| rows.iter().position(|r| *r == row))
            .unwrap_or(0);
        let there = match self {
            Self::Up(by) => here.saturating_sub(by),
            Self::Down(by) => here.saturating_add(by),
        };
        rows.get(there.min(rows.len().saturating_sub(1))).copied()
    }
}

impl Paper {
    pub(super) fn new(title: String, lines: Vec<(String, Tone)>) -> Self {
        Self {
            title,
            lines,
            at: 0,
            page: 1,
        }
    }
}
