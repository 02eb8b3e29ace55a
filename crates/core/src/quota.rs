//! Owns the words for what a provider allows an account: windows, how full they are, when they empty again. What
//! follows from them is decided in `step`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// One window of an account's quota, as its provider tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// The provider's name for it, e.g. `five-hour`, `seven-day`, `requests`; text from outside.
    pub window: String,
    /// How full it is.
    pub fill: QuotaFill,
    /// When it is empty again, where that is told.
    #[serde(default)]
    pub resets: Option<Timestamp>,
}

/// How full a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaFill {
    /// There is room; how much is not told.
    Open,
    /// So many percent of it are used.
    Percent(u8),
    /// The provider warns that it is nearly full.
    Near,
    /// It is full: nothing more is served before it resets.
    Full,
}

impl fmt::Display for QuotaFill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Percent(n) => write!(f, "{n} % used"),
            Self::Near => f.write_str("nearly used up"),
            Self::Full => f.write_str("used up"),
        }
    }
}
