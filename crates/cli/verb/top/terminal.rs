//! Owns the terminal while the screen is shown: it is taken, and given back as it was, whatever ends it.

use std::io::{Stdout, stdout};
use std::sync::Once;

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

/// The terminal, taken. It is given back when this goes out of scope, and when anything panics.
pub(super) struct Taken {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Taken {
    pub(super) fn take() -> std::io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            // What a panic says would be gone with the screen otherwise.
            std::panic::set_hook(Box::new(move |info| {
                give_back();
                before(info);
            }));
        });
        enable_raw_mode()?;
        // From here on the drop gives back.
        let taken = Terminal::new(CrosstermBackend::new(stdout())).map(|terminal| Self { terminal });
        if taken.is_err() {
            give_back();
        }
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        taken
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// A terminal that has gone needs nothing back.
fn give_back() {
    drop(execute!(
        stdout(),
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    ));
    drop(disable_raw_mode());
}
