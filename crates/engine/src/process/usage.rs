//! Owns what a process tree uses of the machine, as the kernel counts it: time of processors, bytes of disks, open
//! connections. It judges nothing. What cannot be read counts as nothing used.

use std::collections::BTreeSet;
use std::fs;

use super::tree::descendants;

/// What everything below a process has used so far, and how many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// How many processes.
    pub(crate) processes: usize,
    /// Time of processors, in clock ticks, with that of children that have ended.
    pub(crate) ticks: u64,
    /// Bytes read from and written to disks.
    pub(crate) bytes: u64,
}

/// So many clock ticks are a second, on every Linux that runs programs of today.
pub(crate) const TICKS: u64 = 100;
/// The state of an established connection in the kernel's table.
const ESTABLISHED: &str = "01";

/// What everything below `root` has used, without itself.
pub(crate) fn usage(root: i32) -> Usage {
    let mut all = Usage::default();
    for pid in descendants(root) {
        let Some((state, ticks)) = ticks(pid) else {
            continue;
        };
        all.ticks = all.ticks.saturating_add(ticks);
        if state != "Z" {
            all.processes += 1;
            all.bytes = all.bytes.saturating_add(bytes(pid));
        }
    }
    all
}

/// Its state, and the time of processors that it and its ended children have used.
fn ticks(pid: i32) -> Option<(String, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, also brackets and blanks.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let counts = fields.get(11..15)?.iter();
    let sum = counts
        .filter_map(|n| n.parse::<u64>().ok())
        .fold(0, u64::saturating_add);
    Some(((*fields.first()?).to_owned(), sum))
}

fn bytes(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let count = |line: &str| {
        let (name, n) = line.split_once(": ")?;
        matches!(name, "read_bytes" | "write_bytes")
            .then(|| n.trim().parse::<u64>().ok())
            .flatten()
    };
    text.lines().filter_map(count).fold(0, u64::saturating_add)
}

/// Whether anything below `root` holds an established connection of TCP, in whatever network it lives.
pub(crate) fn holds_connection(root: i32) -> bool {
    let tree = descendants(root);
    let sockets: BTreeSet<String> = tree.iter().flat_map(|pid| sockets(*pid)).collect();
    if sockets.is_empty() {
        return false;
    }
    let mut networks = BTreeSet::new();
    tree.iter()
        .filter(|pid| fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|net| networks.insert(net)))
        .any(|pid| {
            ["tcp", "tcp6"].iter().any(|table| {
                let table = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
                established(&table).any(|inode| sockets.contains(inode))
            })
        })
}

/// The inodes of the sockets that a process holds.
fn sockets(pid: i32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let inode = |link: std::path::PathBuf| {
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(inode.to_owned())
    };
    entries
        .flatten()
        .filter_map(|e| fs::read_link(e.path()).ok())
        .filter_map(inode)
        .collect()
}

/// The inodes of the established connections in a table of the kernel's.
fn established(table: &str) -> impl Iterator<Item = &str> {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.nth(3)? == ESTABLISHED).then(|| fields.nth(5)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_computes_is_counted_and_its_connection_seen() {
        // Below it alone: other tests have children of their own.
        let mut child = std::process::Command::new("sh")
            .args([
                "-c",
                "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read x'; true",
            ])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut word = [0; 4];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
        let used = usage(child.id().cast_signed());
        assert!(used.processes > 0 && used.ticks > 0, "{used:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_table_of_connections_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1\n\
            1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 222 1\n";
        assert_eq!(established(table).collect::<Vec<_>>(), ["222"]);
    }
}
