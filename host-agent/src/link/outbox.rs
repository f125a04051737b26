//! What waits to be sent, cut into messages. An output over 64 KiB travels as chunks, and a heartbeat that comes up
//! meanwhile goes before the next of them: so a large output never looks like silence. What plugins say goes last, but for
//! the lines of a task whose outcome is next: with that the server forgets the lease which they name.

use std::{collections::VecDeque, sync::Arc};

use claiflow_proto::agent::v1::{
    Ack, AgentEvent, Credit, Handback, Inventory, LogLine, Outcome, OutputChunk, StepEvent, agent_event::Event,
};
use prost::Message as _;

use super::{ledger::LeaseId, lines::Lines};

/// An output up to this size travels inside its event; a larger one in pieces of this size.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
/// A message is closed when it holds this much. Small, since a heartbeat waits for the message before it.
const MESSAGE_BYTES: usize = 128 << 10;

/// Something whose place among the others counts. The large ones are shared with the ledger, which keeps them for the
/// next stream.
#[derive(Clone)]
pub(super) enum Ordered {
    Step(Arc<StepEvent>),
    Outcome(Arc<Outcome>),
    Handback(Handback),
    Inventory(Inventory),
}

/// The queue of one stream.
#[derive(Default)]
pub(super) struct Outbox {
    acks: Vec<Ack>,
    credit: Option<Credit>,
    ordered: VecDeque<Sending>,
    lines: Lines,
}

/// How far the event at the front has come.
struct Sending {
    event: Ordered,
    /// Pieces of its output that are on their way.
    chunks: u32,
}

impl Outbox {
    /// Goes before everything that waits, since the server counts time until it comes.
    pub(super) fn ack(&mut self, ack: Ack) {
        self.acks.push(ack);
    }

    /// Goes before everything but acks. One that still waits is replaced: the later one says all that it said.
    pub(super) fn credit(&mut self, credit: Credit) {
        self.credit = Some(credit);
    }

    /// Anything else, in order.
    pub(super) fn push(&mut self, event: Ordered) {
        self.ordered.push_back(Sending { event, chunks: 0 });
    }

    /// Goes last, once, or not at all where too many wait.
    pub(super) fn log(&mut self, line: LogLine) {
        self.lines.push(line);
    }

    /// Drops what waits to be said under a lease that is gone.
    pub(super) fn forget_lines(&mut self, lease_id: &LeaseId) {
        self.lines.forget(lease_id);
    }

    /// A stream ended. Lines stay, since nobody keeps them but this queue.
    pub(super) fn clear(&mut self) {
        self.acks.clear();
        self.credit = None;
        self.ordered.clear();
    }

    /// The next message; empty when nothing waits.
    pub(super) fn next_message(&mut self) -> Vec<AgentEvent> {
        let urgent = self.acks.drain(..).map(Event::Ack).chain(self.credit.take().map(Event::Credit));
        let mut events: Vec<_> = urgent.map(|event| AgentEvent { event: Some(event) }).collect();
        let mut bytes: usize = events.iter().map(AgentEvent::encoded_len).sum();
        while bytes < MESSAGE_BYTES
            && let Some(event) = self.next_event()
        {
            let event = AgentEvent { event: Some(event) };
            bytes += event.encoded_len();
            events.push(event);
        }
        events
    }

    /// What is neither an ack nor a credit.
    fn next_event(&mut self) -> Option<Event> {
        let Some(front) = self.ordered.front_mut() else { return self.lines.pop().map(Event::Log) };
        if let Ordered::Outcome(outcome) = &front.event
            && let Some(line) = self.lines.pop_of(&outcome.lease_id)
        {
            return Some(Event::Log(line));
        }
        match front.chunk() {
            Some(chunk) => Some(Event::Chunk(chunk)),
            None => self.ordered.pop_front().map(|sending| sending.event.last_frame()),
        }
    }
}

impl Sending {
    /// The next piece of the output, if it travels in pieces and one is left.
    fn chunk(&mut self) -> Option<OutputChunk> {
        let (lease_id, path, attempt, output) = match &self.event {
            Ordered::Step(step) => (&step.lease_id, step.path.as_str(), step.r#try, &step.output),
            Ordered::Outcome(outcome) => (&outcome.lease_id, "", 1, &outcome.result),
            Ordered::Handback(_) | Ordered::Inventory(_) => return None,
        };
        if output.len() <= CHUNK_BYTES {
            return None;
        }
        let index = self.chunks;
        let data = output.chunks(CHUNK_BYTES).nth(usize::try_from(index).ok()?)?.to_vec();
        self.chunks += 1;
        Some(OutputChunk { lease_id: lease_id.clone(), path: path.to_owned(), r#try: attempt, index, data })
    }
}

impl Ordered {
    /// The event itself, without what went ahead in pieces.
    fn last_frame(self) -> Event {
        match self {
            Self::Step(step) => Event::Step(StepEvent { output: inline(&step.output), ..StepEvent::clone(&step) }),
            Self::Outcome(outcome) => {
                Event::Outcome(Outcome { result: inline(&outcome.result), ..Outcome::clone(&outcome) })
            }
            Self::Handback(handback) => Event::Handback(handback),
            Self::Inventory(inventory) => Event::Inventory(inventory),
        }
    }
}

fn inline(output: &[u8]) -> Vec<u8> {
    if output.len() <= CHUNK_BYTES { output.to_vec() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claiflow_proto::agent::v1::AgentMessage;

    fn outcome(result: usize) -> Ordered {
        let result = vec![b'x'; result];
        Ordered::Outcome(Arc::new(Outcome { lease_id: vec![7], result, ..Outcome::default() }))
    }

    /// Everything that is sent until nothing waits, message by message.
    fn messages(outbox: &mut Outbox) -> Vec<Vec<Event>> {
        std::iter::from_fn(|| Some(outbox.next_message()).filter(|message| !message.is_empty()))
            .map(|message| message.into_iter().filter_map(|event| event.event).collect())
            .collect()
    }

    #[test]
    fn an_output_is_cut_only_where_it_is_too_large_for_one_event() {
        for (bytes, chunks) in
            [(0, 0), (1, 0), (CHUNK_BYTES, 0), (CHUNK_BYTES + 1, 2), (2 * CHUNK_BYTES, 2), (16 << 20, 256)]
        {
            let mut outbox = Outbox::default();
            outbox.push(outcome(bytes));
            let events: Vec<_> = messages(&mut outbox).into_iter().flatten().collect();
            let (last, pieces) = events.split_last().unwrap();
            assert_eq!(pieces.len(), chunks, "{bytes} bytes");
            let mut whole = Vec::new();
            for (at, piece) in pieces.iter().enumerate() {
                let Event::Chunk(chunk) = piece else { panic!("{piece:?} is no chunk") };
                assert_eq!((chunk.index as usize, chunk.path.as_str(), &chunk.lease_id), (at, "", &vec![7]));
                assert!(chunk.data.len() <= CHUNK_BYTES);
                whole.extend_from_slice(&chunk.data);
            }
            let Event::Outcome(last) = last else { panic!("{last:?} is no outcome") };
            whole.extend_from_slice(&last.result);
            assert_eq!(whole, vec![b'x'; bytes]);
            assert!(chunks == 0 || last.result.is_empty());
        }
    }

    #[test]
    fn a_heartbeat_goes_before_the_rest_of_a_large_output() {
        let mut outbox = Outbox::default();
        outbox.push(outcome(1 << 20));
        assert!(matches!(outbox.next_message().first().and_then(|e| e.event.clone()), Some(Event::Chunk(_))));
        outbox.credit(Credit { stamp: 0, limit: 9 });
        outbox.credit(Credit { stamp: 1, limit: 1 });
        let after = messages(&mut outbox);
        assert!(matches!(after[0][0], Event::Credit(_)), "{:?}", after[0][0]);
        assert!(matches!(after[0][1], Event::Chunk(ref chunk) if chunk.index == 2));
        assert!(matches!(after.last().unwrap().last(), Some(Event::Outcome(_))));
    }

    #[test]
    fn what_plugins_say_delays_nothing_but_the_outcome_of_their_own_task() {
        let line = |lease: u8| LogLine { lease_id: vec![lease], ..LogLine::default() };
        let step = |lease: u8| Ordered::Step(Arc::new(StepEvent { lease_id: vec![lease], ..StepEvent::default() }));
        let mut outbox = Outbox::default();
        [8, 7, 9, 8, 7].into_iter().for_each(|lease| outbox.log(line(lease)));
        outbox.push(step(7));
        outbox.push(outcome(2 * CHUNK_BYTES));
        outbox.push(step(8));
        outbox.forget_lines(&vec![9]);
        let events: Vec<_> = messages(&mut outbox).into_iter().flatten().collect();
        let words: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Step(step) => format!("step {}", step.lease_id[0]),
                Event::Log(line) => format!("line {}", line.lease_id[0]),
                Event::Chunk(_) => "chunk".to_owned(),
                Event::Outcome(_) => "outcome".to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = ["step 7", "line 7", "line 7", "chunk", "chunk", "outcome", "step 8", "line 8", "line 8"];
        assert_eq!(words, expected);
    }

    #[test]
    fn what_a_plugin_said_is_sent_on_the_next_stream_only_where_it_was_not_sent_before() {
        let mut outbox = Outbox::default();
        outbox.log(LogLine::default());
        outbox.clear();
        assert_eq!(messages(&mut outbox).concat().len(), 1);
        outbox.clear();
        assert_eq!(messages(&mut outbox).concat().len(), 0);
    }

    #[test]
    fn no_message_grows_large_however_much_waits() {
        let mut outbox = Outbox::default();
        for size in [10, CHUNK_BYTES, 5 << 20, 100, CHUNK_BYTES - 1, 1 << 20] {
            outbox.push(outcome(size));
        }
        let mut outcomes = 0;
        for events in messages(&mut outbox) {
            outcomes += events.iter().filter(|event| matches!(event, Event::Outcome(_))).count();
            let events = events.into_iter().map(|event| AgentEvent { event: Some(event) }).collect();
            assert!(AgentMessage { events }.encoded_len() <= 256 << 10);
        }
        assert_eq!(outcomes, 6);
    }
}
