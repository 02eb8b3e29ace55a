//! Owns the names of the keys of `turno.toml`, with one line of words each.

use super::{Schema, key};

/// The keys of `turno.toml`.
pub const SETTINGS: Schema = Schema(&[
    key(
        "slots",
        "how many attempts may run at once, each in its own worktree",
    ),
    key("urgent_slots", "how many of them are kept for urgent issues"),
    key("policy", "the policy that is used when none is asked for"),
    key(
        "promote",
        "how `turno promote` puts work on a branch: squash, merge or rebase",
    ),
    key(
        "budget.shift_usd",
        "US dollars that one shift may spend; a hard stop",
    ),
    key(
        "budget.shift.tokens",
        "tokens of every kind that one shift may use, like 500000 or 2M",
    ),
    key(
        "budget.shift.wall",
        "working time of agents, added up, that one shift may use",
    ),
    key("budget.shift.turns", "answers of a model that one shift may use"),
    key(
        "budget.task.usd",
        "US dollars that one task may use over all its attempts",
    ),
    key(
        "budget.task.tokens",
        "tokens of every kind that one task may use over all its attempts, like 500000 or 2M",
    ),
    key(
        "budget.task.wall",
        "working time of agents, added up, that one task may use over all its attempts",
    ),
    key(
        "budget.task.turns",
        "answers of a model that one task may use over all its attempts",
    ),
    key("budget.issue.usd", "US dollars that one issue may use"),
    key(
        "budget.issue.tokens",
        "tokens of every kind that one issue may use, like 500000 or 2M",
    ),
    key(
        "budget.issue.wall",
        "working time of agents, added up, that one issue may use",
    ),
    key("budget.issue.turns", "answers of a model that one issue may use"),
    key(
        "budget.day.usd",
        "US dollars that all shifts of one day may use; a day ends at midnight UTC",
    ),
    key(
        "budget.day.tokens",
        "tokens of every kind that all shifts of one day may use, like 500000 or 2M",
    ),
    key(
        "budget.day.wall",
        "working time of agents, added up, that all shifts of one day may use",
    ),
    key(
        "budget.day.turns",
        "answers of a model that all shifts of one day may use",
    ),
    key(
        "cache.checks",
        "whether a check that passed is not run again on the same files in the same environment: on or off",
    ),
    key(
        "cache.verify_percent",
        "so many of a hundred known results are run all the same, to see whether they still hold",
    ),
    key(
        "checks.*.command",
        "the shell command, run at the top of the repository; exit code 0 is a pass",
    ),
    key(
        "checks.*.timeout",
        "limit for the command with everything it started",
    ),
    key(
        "checks.*.network",
        "what the check reaches: none (its own loopback), hosts (those in network.allow) or open",
    ),
    key(
        "checks.*.container.image",
        "the image that the check is run in; it must be on this machine already",
    ),
    key(
        "checks.*.container.engine",
        "who runs it: podman, docker, or any for whichever is there",
    ),
    key(
        "agents.*.dialect",
        "how the agent is spoken to: claude, codex, opencode, gemini, acp, command or script",
    ),
    key("agents.*.program", "the program to run, by name or path"),
    key("agents.*.args", "arguments that are put before the dialect's own"),
    key(
        "agents.*.env.*",
        "a variable for the agent: a text, `$NAME` for one of yours, { file = \"path\" } or { command = \"words\" }",
    ),
    key(
        "agents.*.pass_env",
        "names of variables of your environment that the agent sees as they are",
    ),
    key("agents.*.at_once", "how many of its attempts may run at once"),
    key(
        "agents.*.plan",
        "how its account is paid for: metered, or flat, where dollars count against no limit",
    ),
    key(
        "agents.*.budget.usd",
        "US dollars that the account may spend in a day",
    ),
    key(
        "agents.*.budget.tokens",
        "tokens of every kind that the account may use in a day",
    ),
    key(
        "agents.*.budget.wall",
        "working time that the account may use in a day",
    ),
    key(
        "agents.*.budget.turns",
        "answers of a model that the account may use in a day",
    ),
    key(
        "agents.*.script",
        "the file of a script agent, from the directory of the turno.toml that names it",
    ),
    key(
        "setup.command",
        "a shell command that is run once in each new slot",
    ),
    key("setup.timeout", "limit for the setup command"),
    key(
        "setup.network",
        "what the setup command reaches: none, hosts (those in network.allow) or open",
    ),
    key(
        "setup.copy",
        "files that git ignores and that each slot needs, copied from your checkout",
    ),
    key(
        "sandbox.caches",
        "directories that attempts and checks may write besides their slot: below the slot, or from / or ~/",
    ),
    key(
        "sandbox.read",
        "files and directories that attempts and checks may read besides the system and your toolchains",
    ),
    key(
        "sandbox.user",
        "the user that Turno becomes when root starts it; only in your own turno.toml",
    ),
    key(
        "limits.memory_mib",
        "memory that one attempt or check may use, in MiB",
    ),
    key(
        "limits.processes",
        "processes and threads that it may have at one time",
    ),
    key(
        "limits.open_files",
        "files that one of its processes may have open",
    ),
    key("limits.file_mib", "how large a file it may write, in MiB"),
    key(
        "limits.disk_mib",
        "how much the places that it may write may grow, in MiB",
    ),
    key("limits.files", "how many files may be added there"),
    key(
        "limits.cpu_weight",
        "its share of the processors beside other programs: 1 to 10000, 100 is usual",
    ),
    key(
        "retention.attempts",
        "how long transcripts are kept after their issue is over, before `turno gc` removes them",
    ),
    key(
        "retention.homes",
        "how long agents' private homes are kept after their issue is over",
    ),
    key("retention.salvage", "how long salvage is kept after it was found"),
    key(
        "disk.free",
        "space on each disk that Turno writes to, below which nothing is started: like 2GiB, or 0 for no floor",
    ),
    key(
        "disk.files",
        "further files that each of these disks must have room for; 0 for no floor",
    ),
    key(
        "disk.wait",
        "how long a shift that can do nothing else waits for room, before it ends",
    ),
    key(
        "preview.dev",
        "the shell command of `turno preview`: it serves the project on $PORT",
    ),
    key(
        "preview.ready",
        "the address that answers when it is there, like http://127.0.0.1:$PORT/; otherwise its port is waited for",
    ),
    key("preview.start_within", "how long it has to answer"),
    key("preview.stop_after", "when it is ended at the latest"),
    key(
        "pull_request.remote",
        "the remote that `turno pr` pushes to; else the upstream's of the branch that the issue began on",
    ),
    key(
        "pull_request.base",
        "the branch there that is asked to take it; else that upstream",
    ),
    key(
        "pull_request.forge",
        "who opens it: gh, glab, none, or auto for the one that is logged in there",
    ),
    key(
        "pull_request.command",
        "a command that opens it instead, as a list; only in your own turno.toml",
    ),
    key(
        "pull_request.timeout",
        "how long a remote or such a program may take",
    ),
    key(
        "traces.endpoint",
        "a collector that traces are sent to by OTLP over HTTP; only in your own turno.toml",
    ),
    key(
        "network.agents",
        "what agents reach: hosts (their provider's and those in network.allow) or open",
    ),
    key(
        "network.allow",
        "hosts that may be reached, like registry.example, *.example:8443 or localhost:11434",
    ),
    key(
        "network.proxy",
        "your own HTTP proxy, through which those hosts are reached, or none; only in your own turno.toml",
    ),
    key(
        "notify.*.to",
        "by which way the target is told: desktop, webhook or command",
    ),
    key(
        "notify.*.url",
        "the address of a webhook: a text, `$NAME` for a variable of yours, { file = \"path\" } or { command = \"words\" }",
    ),
    key(
        "notify.*.shape",
        "what is sent to it: plain, slack, discord or ntfy",
    ),
    key(
        "notify.*.secret",
        "what messages to it are signed with, written like the address",
    ),
    key(
        "notify.*.token",
        "a bearer's token that opens it, written like the address; only in your own turno.toml",
    ),
    key(
        "notify.*.command",
        "the program that is told, with its arguments; only in your own turno.toml",
    ),
    key(
        "notify.*.timeout",
        "limit for the program with everything it started",
    ),
    key(
        "notify.*.on",
        "of what it is told: ended, tampering, decision, parked, ready, budget, account, follow, room, restarted, landed",
    ),
    key(
        "notify.*.quiet",
        "hours in which it is told nothing, like 22:00-07:00; what comes meanwhile is told together after them",
    ),
    key(
        "notify.*.at_most_every",
        "from one message to the next; what comes meanwhile is told together",
    ),
    key(
        "repos.*.path",
        "the top of another repository of the workspace, from the directory of the turno.toml that names it",
    ),
    key(
        "repos.*.checks.*.command",
        "a check of that repository: the shell command, run at its top",
    ),
    key(
        "repos.*.checks.*.timeout",
        "limit for the command with everything it started",
    ),
    key(
        "repos.*.checks.*.network",
        "what that check reaches: none, hosts or open",
    ),
    key(
        "repos.*.checks.*.container.image",
        "the image that that check is run in",
    ),
    key(
        "repos.*.checks.*.container.engine",
        "who runs it: podman, docker or any",
    ),
    key(
        "repos.*.setup.command",
        "a shell command that is run once in each new slot of that repository",
    ),
    key("repos.*.setup.timeout", "limit for that setup command"),
    key(
        "repos.*.setup.network",
        "what that setup command reaches: none, hosts or open",
    ),
    key(
        "repos.*.setup.copy",
        "files that each slot of that repository needs, copied from your checkout of it",
    ),
    key(
        "personas.*.agents",
        "agents that may play the persona, best first",
    ),
    key("personas.*.model", "the model, by the agent's own name for it"),
    key("personas.*.effort", "how hard it thinks: low, medium or high"),
    key("personas.*.budget_usd", "US dollars that one attempt may spend"),
    key("personas.*.wall_clock", "time limit of one attempt"),
    key("personas.*.at_once", "how many of its attempts may run at once"),
    key("prices.*.input", "US dollars for a million prompt tokens"),
    key("prices.*.output", "US dollars for a million answer tokens"),
    key(
        "prices.*.cache_read",
        "US dollars for a million prompt tokens read from cache",
    ),
    key(
        "prices.*.cache_write",
        "US dollars for a million prompt tokens written to cache",
    ),
    key(
        "prices.*.as_of",
        "the day on which the price was written down, like 2026-03-31; for people",
    ),
    key("prices.*.source", "where the price is from; for people"),
]);
