//! What a journal would hold if it were written anew, and what of that its file does not hold yet. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    Recovered,
    record::{self, Kind, Record},
};

type LeaseId = Vec<u8>;

#[derive(Default)]
pub(super) struct Kept {
    leases: BTreeMap<LeaseId, Lease>,
    /// Leases whose file part is not what it should be.
    dirty: BTreeSet<LeaseId>,
    /// Leases that the file holds and should not.
    graves: Vec<LeaseId>,
    /// Of all reports.
    bytes: usize,
    urgent: bool,
}

struct Lease {
    task: Vec<u8>,
    epoch: u64,
    /// The file has its `Taken`.
    written: bool,
    /// An effect began: whatever is known of it is written at once.
    urgent: bool,
    reports: Vec<Report>,
    /// Paths whose ends the file holds and should not.
    settled: Vec<String>,
}

struct Report {
    kind: Kind,
    path: String,
    frame: Bytes,
    written: bool,
}

/// What is to be appended.
pub(super) struct Batch {
    pub(super) frames: Vec<Bytes>,
    /// Whether somebody counts on it being there after a crash of the machine.
    pub(super) sync: bool,
}

impl Kept {
    pub(super) fn taken(&mut self, id: &[u8], task: &[u8], epoch: u64) {
        let lease = Lease {
            task: task.to_vec(),
            epoch,
            written: false,
            urgent: false,
            reports: Vec::new(),
            settled: Vec::new(),
        };
        self.leases.insert(id.to_vec(), lease);
    }

    /// Keeps a report of a known lease; answers whether it must not wait. The end of a step stands for its start, an outcome
    /// for all starts.
    pub(super) fn report(&mut self, kind: Kind, id: &[u8], path: &str, frame: Bytes) -> bool {
        let Some(lease) = self.leases.get_mut(id) else { return false };
        self.bytes += frame.len();
        let over = |report: &Report| match (report.kind, kind) {
            (Kind::Started, Kind::Outcome) => true,
            (Kind::Started, Kind::Ended | Kind::Started) => report.path == path,
            _ => false,
        };
        self.bytes -= lease.forget(over);
        lease.urgent |= kind == Kind::Started;
        lease.reports.push(Report { kind, path: path.to_owned(), frame, written: false });
        self.urgent |= lease.urgent;
        self.dirty.insert(id.to_vec());
        lease.urgent
    }

    pub(super) fn settled(&mut self, id: &[u8], path: &str) {
        let Some(lease) = self.leases.get_mut(id) else { return };
        let ends = |report: &Report| report.kind == Kind::Ended && report.path == path;
        if lease.reports.iter().any(|report| report.written && ends(report)) {
            lease.settled.push(path.to_owned());
            self.dirty.insert(id.to_vec());
        }
        self.bytes -= lease.forget(ends);
    }

    pub(super) fn gone(&mut self, id: &[u8]) {
        let Some(mut lease) = self.leases.remove(id) else { return };
        self.bytes -= lease.forget(|_| true);
        self.dirty.remove(id);
        if lease.written {
            self.graves.push(id.to_vec());
        }
    }

    /// The next batch is synced.
    pub(super) fn hurry(&mut self) {
        self.urgent = true;
    }

    /// Of all that a file written anew would hold, nearly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the file lacks; from now on that counts as written.
    pub(super) fn batch(&mut self) -> Batch {
        let sync = std::mem::take(&mut self.urgent);
        let graves = std::mem::take(&mut self.graves);
        // First, since a lease may have been taken again.
        let mut frames: Vec<_> = graves.iter().map(|id| record::frame(Kind::Gone, id, "", Vec::new())).collect();
        for id in std::mem::take(&mut self.dirty) {
            if let Some(lease) = self.leases.get_mut(&id) {
                lease.write(&id, &mut frames);
            }
        }
        Batch { frames, sync }
    }

    /// All that a file should hold; from now on that counts as written.
    pub(super) fn snapshot(&mut self) -> Vec<Bytes> {
        self.graves.clear();
        self.dirty.clear();
        self.urgent = false;
        let mut frames = Vec::new();
        for (id, lease) in self.leases.iter_mut().filter(|(_, lease)| !lease.reports.is_empty() || lease.written) {
            lease.written = false;
            lease.settled.clear();
            lease.reports.iter_mut().for_each(|report| report.written = false);
            if !lease.reports.is_empty() {
                lease.write(id, &mut frames);
            }
        }
        frames
    }

    /// Does what a record says that stands in a file as `frame`; false when it makes no sense.
    pub(super) fn replay(&mut self, record: Record, frame: &[u8]) -> bool {
        match record.kind() {
            Kind::Unknown => return false,
            Kind::Taken => self.taken(&record.lease, &record.body, record.epoch),
            kind @ (Kind::Started | Kind::Ended | Kind::Outcome) => {
                self.report(kind, &record.lease, &record.path, Bytes::copy_from_slice(frame));
            }
            Kind::Settled => self.settled(&record.lease, &record.path),
            Kind::Gone => self.gone(&record.lease),
        }
        true
    }

    /// What is left to report after a replay, and how many steps had started and not ended. Leases with nothing to report
    /// are dropped: the server knows what started under them.
    pub(super) fn recover(&mut self) -> (Vec<Recovered>, usize) {
        let reports = self.leases.values().flat_map(|lease| &lease.reports);
        let in_doubt = reports.filter(|report| report.kind == Kind::Started).count();
        for lease in self.leases.values_mut() {
            self.bytes -= lease.forget(|report| report.kind == Kind::Started);
        }
        self.leases.retain(|_, lease| !lease.reports.is_empty());
        let recovered = self.leases.iter().map(|(id, lease)| {
            let bodies = |kind| lease.reports.iter().filter(move |report| report.kind == kind).filter_map(Report::body);
            Recovered {
                lease: id.clone(),
                task: lease.task.clone(),
                epoch: lease.epoch,
                ends: bodies(Kind::Ended).collect(),
                outcome: bodies(Kind::Outcome).last(),
            }
        });
        (recovered.collect(), in_doubt)
    }
}

impl Lease {
    /// Drops reports; answers their bytes.
    fn forget(&mut self, over: impl Fn(&Report) -> bool) -> usize {
        self.reports.extract_if(.., |report| over(report)).map(|report| report.frame.len()).sum()
    }

    fn write(&mut self, id: &[u8], frames: &mut Vec<Bytes>) {
        if !std::mem::replace(&mut self.written, true) {
            let (kind, lease, path) = (Kind::Taken.into(), id.to_vec(), String::new());
            frames.push(Record { kind, lease, path, epoch: self.epoch, body: self.task.clone() }.frame());
        }
        for report in self.reports.iter_mut().filter(|report| !report.written) {
            report.written = true;
            frames.push(report.frame.clone());
        }
        let settled = std::mem::take(&mut self.settled);
        frames.extend(settled.iter().map(|path| record::frame(Kind::Settled, id, path, Vec::new())));
    }
}

impl Report {
    fn body(&self) -> Option<Vec<u8>> {
        let (_, payload) = self.frame.split_first_chunk::<8>()?;
        Record::read(payload).map(|record| record.body)
    }
}
