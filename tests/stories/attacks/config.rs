//! Owns the configurations under which the table is tried, as data.

/// Who runs Turno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    Root,
    Normal,
}

/// By which means Turno may confine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    Everything,
    WithoutBubblewrap,
}

/// A configuration under which the whole table is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Config {
    RootBubblewrap,
    RootWithout,
    UserBubblewrap,
    UserWithout,
}

impl Config {
    /// In the order of the table's columns.
    pub(super) const ALL: [Self; 4] = [
        Self::RootBubblewrap,
        Self::RootWithout,
        Self::UserBubblewrap,
        Self::UserWithout,
    ];

    /// The heading of its column.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::RootBubblewrap => "root, bubblewrap",
            Self::RootWithout => "root, Landlock alone",
            Self::UserBubblewrap => "user, bubblewrap",
            Self::UserWithout => "user, Landlock alone",
        }
    }

    pub(super) fn user(self) -> User {
        match self {
            Self::RootBubblewrap | Self::RootWithout => User::Root,
            Self::UserBubblewrap | Self::UserWithout => User::Normal,
        }
    }

    pub(super) fn means(self) -> Means {
        match self {
            Self::RootBubblewrap | Self::UserBubblewrap => Means::Everything,
            Self::RootWithout | Self::UserWithout => Means::WithoutBubblewrap,
        }
    }

    /// The name of its file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RootBubblewrap => "root-bubblewrap",
            Self::RootWithout => "root-without",
            Self::UserBubblewrap => "user-bubblewrap",
            Self::UserWithout => "user-without",
        }
    }
}
