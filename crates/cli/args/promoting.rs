//! Owns the words of the verbs that put an issue's work where a person has theirs, or take it back from there.

use clap::Args as ClapArgs;
use turno_core::ids::IssueId;
use turno_core::promotion::Manner;

#[derive(Debug, ClapArgs)]
pub(crate) struct Promote {
    /// Which issue.
    pub(crate) issue: IssueId,
    /// Onto which branch; the one that is checked out if it is not given.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) onto: Option<String>,
    #[command(flatten)]
    pub(crate) manner: MannerFlags,
    /// Say what would come onto the branch, and move nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Promote also when your branch has moved, so that the checks never saw the outcome.
    #[arg(long)]
    pub(crate) unproven: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Pr {
    /// Which issue.
    pub(crate) issue: IssueId,
    /// To which remote; the upstream's of your branch if it is not given.
    #[arg(long, value_name = "NAME")]
    pub(crate) remote: Option<String>,
    /// Into which branch there; that upstream if it is not given.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) base: Option<String>,
    /// Say what would be pushed and opened, and do neither.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also when the branch there has moved, so that the checks never saw the two together.
    #[arg(long)]
    pub(crate) unproven: bool,
}

#[derive(Debug, Default, ClapArgs)]
#[group(multiple = false)]
pub(crate) struct MannerFlags {
    /// As one commit; so it is if turno.toml says nothing else.
    #[arg(long)]
    squash: bool,
    /// By a merge commit.
    #[arg(long)]
    merge: bool,
    /// Commit by commit, each with its author and message.
    #[arg(long)]
    rebase: bool,
}

impl MannerFlags {
    /// The one that was typed, if one was.
    pub(crate) fn chosen(&self) -> Option<Manner> {
        [
            (self.squash, Manner::Squash),
            (self.merge, Manner::Merge),
            (self.rebase, Manner::Rebase),
        ]
        .into_iter()
        .find_map(|(typed, manner)| typed.then_some(manner))
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Revert {
    /// Which issue.
    pub(crate) issue: IssueId,
    /// From which branch; the one it was promoted onto if it is not given.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) onto: Option<String>,
    /// Say what would be done, and move nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
