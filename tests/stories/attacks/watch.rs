//! Owns the view of an attack's own processes, from outside and while they run: each carries its attack's mark.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::attack::Peak;
use crate::harness::processes::runs;

/// Between two looks.
const PACE: Duration = Duration::from_millis(60);

/// The most that was seen of one attack.
#[derive(Debug, Clone, Default)]
struct Most {
    processes: usize,
    memory: u64,
    files: usize,
    priority: bool,
}

#[derive(Debug, Default)]
struct Record {
    most: BTreeMap<String, Most>,
    /// What the attacks' own listener said.
    said_back: BTreeSet<String>,
}

/// A watch that is kept until it is dropped.
pub(super) struct Watch {
    nonce: String,
    record: Arc<Mutex<Record>>,
    over: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches the processes whose marks end with this word, and tries that port.
    pub(super) fn begin(nonce: &str, back: u16) -> Self {
        let record = Arc::new(Mutex::new(Record::default()));
        let over = Arc::new(AtomicBool::new(false));
        let (kept, until, mark) = (record.clone(), over.clone(), nonce.to_owned());
        let watcher = std::thread::spawn(move || {
            while !until.load(Ordering::SeqCst) {
                look(&mark, back, &kept);
                std::thread::sleep(PACE);
            }
        });
        Self {
            nonce: nonce.to_owned(),
            record,
            over,
            watcher: Some(watcher),
        }
    }

    /// Whether it was seen of the attack with this mark.
    pub(super) fn saw(&self, mark: &str, peak: Peak) -> bool {
        let record = self.record.lock().unwrap();
        record.most.get(mark).is_some_and(|most| match peak {
            Peak::Processes(more) => most.processes > more,
            Peak::Memory(more) => most.memory > more,
            Peak::Files(more) => most.files > more,
            Peak::Priority => most.priority,
        })
    }

    /// Whether the listener of the attack with this mark was reached.
    pub(super) fn reached_back(&self, mark: &str) -> bool {
        self.record.lock().unwrap().said_back.contains(mark)
    }

    /// The processes of attacks that are there now, with their marks.
    pub(super) fn alive(&self) -> Vec<(i32, String)> {
        marked(&self.nonce)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(watcher) = self.watcher.take() {
            watcher.join().unwrap();
        }
    }
}

/// The mark that a command line carries. `timeout` and the shells of the attack itself carry it too.
fn mark_in(line: &str, nonce: &str) -> Option<String> {
    line.split('\0')
        .find(|word| word.starts_with("atk-") && word.ends_with(nonce))
        .map(str::to_owned)
}

fn marked(nonce: &str) -> Vec<(i32, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|e| {
            let pid: i32 = e.file_name().to_str()?.parse().ok()?;
            let line = fs::read(e.path().join("cmdline")).ok()?;
            let mark = mark_in(&String::from_utf8_lossy(&line), nonce)?;
            runs(pid).then_some((pid, mark))
        })
        .collect()
}

fn look(nonce: &str, back: u16, record: &Mutex<Record>) {
    let mut counts: BTreeMap<String, Most> = BTreeMap::new();
    for (pid, mark) in marked(nonce) {
        let most = counts.entry(mark).or_default();
        most.processes += 1;
        most.memory = most.memory.max(memory(pid));
        most.files = most
            .files
            .max(fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count));
        most.priority |= nice(pid).is_some_and(|nice| nice < 0) || real_time(pid);
    }
    let mut record = record.lock().unwrap();
    for (mark, now) in counts {
        let most = record.most.entry(mark).or_default();
        most.processes = most.processes.max(now.processes);
        most.memory = most.memory.max(now.memory);
        most.files = most.files.max(now.files);
        most.priority |= now.priority;
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, back));
    if let Ok(mut stream) = TcpStream::connect_timeout(&address, PACE) {
        let mut said = String::new();
        if stream.set_read_timeout(Some(PACE)).is_ok() && stream.read_to_string(&mut said).is_ok() {
            record.said_back.insert(said);
        }
    }
}

fn memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// A field of a process's `stat`, counted as its manual page does.
fn field(pid: i32, number: usize) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplit(')').next()?;
    after.split_whitespace().nth(number - 3)?.parse().ok()
}

/// How nice a process is.
pub(super) fn nice(pid: i32) -> Option<i64> {
    field(pid, 19)
}

fn real_time(pid: i32) -> bool {
    field(pid, 40).is_some_and(|priority| priority > 0)
}
