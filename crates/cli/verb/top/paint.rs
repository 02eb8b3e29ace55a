//! Owns the colours: few, the terminal's own, so that they can be read on light and on dark, and none where nobody
//! wants any. Nothing is told by a colour alone.

use ratatui::style::{Color, Modifier, Style};

use super::frame::Tone;

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Colours,
    NoColours,
}

impl Paint {
    /// As the user's environment says.
    pub(super) fn of(no_color: Option<&str>) -> Self {
        match no_color {
            None | Some("") => Self::Colours,
            Some(_) => Self::NoColours,
        }
    }

    pub(super) fn tone(self, tone: Tone) -> Style {
        let coloured = |colour| match self {
            Self::Colours => Style::new().fg(colour),
            Self::NoColours => Style::new(),
        };
        match tone {
            Tone::Plain => Style::new(),
            Tone::Faint => Style::new().add_modifier(Modifier::DIM),
            Tone::Good => coloured(Color::Green),
            Tone::Attention => coloured(Color::Yellow),
            Tone::Bad => coloured(Color::Red),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    pub(super) fn strong(self, tone: Tone) -> Style {
        self.tone(tone).add_modifier(Modifier::BOLD)
    }

    /// The row that a key is about.
    pub(super) fn marked(self) -> Style {
        Style::new()
            .remove_modifier(Modifier::DIM)
            .add_modifier(Modifier::BOLD)
    }
}
