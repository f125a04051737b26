//! Journals on a disk that can be full, cut off, changed and asked.

use std::{
    collections::VecDeque,
    io,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::FutureExt as _;

use super::*;

/// No test comes near it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A disk in memory.
#[derive(Default)]
struct Memory {
    bytes: Mutex<Vec<u8>>,
    /// What a crash of the machine keeps.
    synced: AtomicUsize,
    syncs: AtomicUsize,
    writes: AtomicUsize,
    full: AtomicBool,
    /// Appends that wait; none: they do not.
    gate: Mutex<Option<VecDeque<Arc<Notify>>>>,
}

impl Memory {
    fn with(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { synced: bytes.len().into(), bytes: bytes.into(), ..Self::default() })
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    /// What is there after the machine crashed.
    fn crashed(&self) -> Vec<u8> {
        self.bytes()[..self.synced.load(Ordering::SeqCst)].to_vec()
    }

    fn works(&self) -> io::Result<()> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl Disk for Memory {
    async fn read(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(Some(self.bytes()).filter(|bytes| !bytes.is_empty()))
    }

    async fn append(&self, bytes: Vec<u8>) -> io::Result<()> {
        let gate = self.gate.lock().unwrap().as_mut().map(|gate| {
            gate.push_back(Arc::default());
            Arc::clone(gate.back().unwrap())
        });
        if let Some(gate) = gate {
            gate.notified().await;
        }
        let half = bytes.len() / 2;
        let outcome = self.works();
        let written = if outcome.is_ok() { bytes.len() } else { half };
        self.bytes.lock().unwrap().extend_from_slice(&bytes[..written]);
        outcome
    }

    async fn sync(&self) -> io::Result<()> {
        self.works()?;
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.synced.store(self.bytes.lock().unwrap().len(), Ordering::SeqCst);
        Ok(())
    }

    async fn replace(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.works()?;
        self.synced.store(bytes.len(), Ordering::SeqCst);
        *self.bytes.lock().unwrap() = bytes;
        Ok(())
    }
}

fn gauge() -> IntGauge {
    IntGauge::new("writable", "writable").unwrap()
}

async fn open(disk: &Arc<Memory>) -> Opened {
    Journal::open(disk.clone(), gauge()).await.unwrap()
}

/// A journal that is written.
async fn running(disk: &Arc<Memory>) -> Journal {
    let Opened { journal, writer, .. } = open(disk).await;
    tokio::spawn(writer.run());
    journal
}

/// What the next process would find in these bytes.
fn found(bytes: Vec<u8>) -> Vec<Recovered> {
    open(&Memory::with(bytes)).now_or_never().unwrap().recovered
}

fn left(lease: &str, ends: &[&str], outcome: Option<&str>) -> Recovered {
    Recovered {
        lease: lease.into(),
        task: format!("task of {lease}").into(),
        epoch: 7,
        ends: ends.iter().map(|end| end.as_bytes().to_vec()).collect(),
        outcome: outcome.map(Into::into),
    }
}

fn take(journal: &Journal, lease: &str) {
    journal.taken(lease.as_bytes(), format!("task of {lease}").as_bytes(), 7);
}

/// A life of four leases, and what is left of it.
async fn life(journal: &Journal) -> Vec<Recovered> {
    ["ended", "going", "over", "quiet"].into_iter().for_each(|lease| take(journal, lease));
    journal.started(b"going", "0", b"start 0".to_vec()).await;
    journal.ended(b"going", "0", b"end 0".to_vec());
    journal.ended(b"going", "1", b"end 1".to_vec());
    journal.ended(b"going", "2", b"end 2".to_vec());
    journal.flush().await;
    journal.settled(b"going", "1");
    journal.ended(b"over", "0", b"end".to_vec());
    journal.ended(b"ended", "0", b"end".to_vec());
    journal.flush().await;
    journal.gone(b"over");
    journal.settled(b"ended", "0");
    journal.outcome(b"ended", b"outcome".to_vec());
    journal.started(b"quiet", "0", b"start".to_vec()).await;
    journal.flush().await;
    vec![left("ended", &[], Some("outcome")), left("going", &["end 0", "end 2"], None)]
}

#[tokio::test]
async fn what_is_not_settled_is_found_again_and_nothing_else() {
    let disk = Memory::with(vec![]);
    let expected = life(&running(&disk).await).await;
    assert_eq!(found(disk.bytes()), expected);
    assert_eq!(found(disk.crashed()), expected, "all of it was waited for");
    let next = open(&disk).await;
    assert_eq!(next.recovered, expected);
    assert_eq!(found(disk.bytes()), expected, "a process that dies at once leaves what it found");
    next.journal.gone(b"going");
    next.journal.gone(b"ended");
    tokio::spawn(next.writer.run());
    next.journal.flush().await;
    assert_eq!(found(disk.bytes()), []);
}

#[tokio::test]
async fn a_start_waits_for_the_sync_and_one_sync_serves_all_who_wait() {
    let disk = Memory::with(vec![]);
    let journal = running(&disk).await;
    let leases: Vec<String> = (0..100).map(|number| format!("lease {number:02}")).collect();
    leases.iter().for_each(|lease| take(&journal, lease));
    *disk.gate.lock().unwrap() = Some(VecDeque::new());
    let mut first = std::pin::pin!(journal.started(b"lease 00", "0", vec![]));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    let gate = loop {
        tokio::task::yield_now().await;
        if let Some(gate) = disk.gate.lock().unwrap().as_mut().and_then(VecDeque::pop_front) {
            break gate;
        }
    };
    let rest: Vec<_> = leases.iter().skip(1).map(|lease| journal.started(lease.as_bytes(), "0", vec![])).collect();
    assert!(futures_util::poll!(first.as_mut()).is_pending(), "it is not written yet");
    *disk.gate.lock().unwrap() = None;
    gate.notify_one();
    first.await;
    for start in rest {
        start.await;
    }
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_the_server_settles_at_once_is_never_written() {
    let disk = Memory::with(vec![]);
    let journal = running(&disk).await;
    let begun = disk.bytes();
    for number in 0..1_000 {
        let lease = format!("lease {number}");
        take(&journal, &lease);
        journal.outcome(lease.as_bytes(), b"outcome".to_vec());
        journal.gone(lease.as_bytes());
    }
    journal.flush().await;
    assert_eq!(disk.bytes(), begun);
}

#[tokio::test]
async fn a_cut_anywhere_loses_what_was_written_last_and_nothing_before_it() {
    let disk = Memory::with(vec![]);
    let journal = running(&disk).await;
    let mut whole = vec![(0, vec![]), (disk.bytes().len(), vec![])];
    let mut ends = Vec::new();
    take(&journal, "lease");
    for path in ["0", "1", "2", "3"] {
        journal.ended(b"lease", path, path.into());
        journal.flush().await;
        ends.push(path);
        whole.push((disk.bytes().len(), vec![left("lease", &ends, None)]));
    }
    let bytes = disk.bytes();
    for cut in 0..=bytes.len() {
        let (_, expected) = whole.iter().rfind(|(length, _)| *length <= cut).unwrap();
        assert_eq!(found(bytes[..cut].to_vec()), *expected, "cut at {cut}");
        let mut zeros = bytes[..cut].to_vec();
        zeros.resize(cut + 100, 0);
        assert_eq!(found(zeros), *expected, "zeros from {cut}");
    }
}

#[tokio::test]
async fn a_changed_bit_loses_its_record_and_what_follows_and_invents_nothing() {
    let disk = Memory::with(vec![]);
    let expected = life(&running(&disk).await).await;
    let bytes = disk.bytes();
    let bodies: Vec<&[u8]> = vec![b"end", b"end 0", b"end 1", b"end 2", b"outcome"];
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        for lease in found(changed) {
            let known = expected.iter().any(|left| left.lease == lease.lease) || lease.lease == b"over";
            assert!(known && lease.task.starts_with(b"task of "), "bit {bit}: {lease:?}");
            let all_known = lease.ends.iter().chain(&lease.outcome).all(|body| bodies.contains(&body.as_slice()));
            assert!(all_known, "bit {bit}: {lease:?}");
        }
    }
}

#[test]
fn no_content_is_too_strange() {
    let mut seed = 1_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    let header = format::header();
    for round in 0..2_000_usize {
        let noise: Vec<u8> = (0..round % 97).map(|_| next()).collect();
        found(noise.clone());
        found([&header, noise.as_slice()].concat());
        found([&header, &*format::frame(&noise)].concat());
    }
    let endless = [header.to_vec(), vec![0xff; 8]].concat();
    assert_eq!(found(endless), []);
}

#[test]
fn a_journal_of_a_later_agent_is_refused_and_left_as_it_is() {
    let mut bytes = b"claiflow\x02\0\0\0".to_vec();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes.extend_from_slice(b"whatever");
    let disk = Memory::with(bytes.clone());
    let Err(error) = Journal::open(disk.clone(), gauge()).now_or_never().unwrap() else { panic!("it is opened") };
    let text = error.to_string();
    assert!(text.contains("version 2") && text.contains("--state"), "{text}");
    assert_eq!(disk.bytes(), bytes);
}

#[tokio::test]
async fn on_a_full_disk_starts_wait_and_go_on_when_it_takes_writes_again() {
    let disk = Memory::with(vec![]);
    let Opened { journal, writer, .. } = open(&disk).await;
    tokio::spawn(writer.run());
    take(&journal, "lease");
    journal.started(b"lease", "0", vec![]).await;
    disk.full.store(true, Ordering::SeqCst);
    journal.ended(b"lease", "0", b"end 0".to_vec());
    let mut start = std::pin::pin!(journal.started(b"lease", "1", vec![]));
    tokio::select! {
        biased;
        () = start.as_mut() => panic!("a step starts that is not on the disk"),
        () = journal.0.writable.wait_for(|writable| !writable) => {}
    }
    assert!(!journal.is_writable() && journal.0.gauge.get() == 0);
    assert_eq!(found(disk.bytes()), [], "half of it was written");
    disk.full.store(false, Ordering::SeqCst);
    tokio::time::timeout(PATIENCE, start).await.expect("the step starts");
    assert!(journal.is_writable() && journal.0.gauge.get() == 1);
    assert_eq!(found(disk.crashed()), [left("lease", &["end 0"], None)]);
}

#[tokio::test]
async fn a_disk_that_is_full_from_the_start_keeps_what_was_there() {
    let disk = Memory::with(vec![]);
    let expected = life(&running(&disk).await).await;
    let torn = [disk.bytes(), b"torn".to_vec()].concat();
    let disk = Memory::with(torn.clone());
    disk.full.store(true, Ordering::SeqCst);
    let Opened { journal, writer, recovered } = open(&disk).await;
    assert_eq!((recovered, journal.is_writable(), disk.bytes()), (expected.clone(), false, torn));
    tokio::spawn(writer.run());
    disk.full.store(false, Ordering::SeqCst);
    tokio::time::timeout(PATIENCE, journal.flush()).await.expect("it is written");
    assert_eq!(found(disk.bytes()), expected);
}

#[tokio::test]
async fn what_was_settled_does_not_fill_the_disk() {
    let disk = Memory::with(vec![]);
    let journal = running(&disk).await;
    let body = vec![b'x'; 1 << 20];
    take(&journal, "stays");
    journal.ended(b"stays", "0", b"end".to_vec());
    for number in 0..40 {
        let lease = format!("lease {number}");
        take(&journal, &lease);
        journal.outcome(lease.as_bytes(), body.clone());
        journal.flush().await;
        journal.gone(lease.as_bytes());
        assert!(disk.bytes().len() < 10 << 20);
    }
    journal.flush().await;
    assert_eq!(found(disk.bytes()), [left("stays", &["end"], None)]);
}

#[tokio::test]
async fn a_directory_keeps_its_id_and_its_journal_and_lets_nobody_else_in() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("state");
    let directory = Directory::open(&path).unwrap();
    let error = Directory::open(&path).err().expect("two agents share it");
    assert!(error.to_string().contains("another agent"), "{error}");
    let opened = Journal::open(Arc::new(directory.disk()), gauge()).await.unwrap();
    tokio::spawn(opened.writer.run());
    let expected = life(&opened.journal).await;
    let id = directory.id();
    drop(directory);
    let directory = Directory::open(&path).unwrap();
    assert_eq!(directory.id(), id);
    let again = Journal::open(Arc::new(directory.disk()), gauge()).await.unwrap();
    assert_eq!(again.recovered, expected);
}
