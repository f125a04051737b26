use claiflow_proto::agent::v1::{AgentEvent, Credit, Seen, ServerEvent, agent_event, server_event};
use tokio_stream::StreamExt as _;

use super::*;

/// A stream whose two ends a test holds.
struct Stream {
    events: ReceiverStream<Result<AgentMessage, Status>>,
    answers: mpsc::Sender<Result<ServerMessage, Status>>,
}

impl Stream {
    /// The stamps of the next message.
    async fn hears(&mut self) -> Option<Vec<u64>> {
        let message = self.events.next().await?.unwrap();
        let stamps = message.events.into_iter().map(|event| match event.event {
            Some(agent_event::Event::Credit(credit)) => credit.stamp,
            other => panic!("{other:?}"),
        });
        Some(stamps.collect())
    }

    async fn says(&self, stamp: u64) {
        let event = Some(server_event::Event::Seen(Seen { stamp }));
        self.answers.send(Ok(ServerMessage { events: vec![ServerEvent { event }] })).await.unwrap();
    }
}

fn request(number: u64, stamps: &[u64]) -> PollRequest {
    let event = |stamp: &u64| Some(agent_event::Event::Credit(Credit { stamp: *stamp, limit: 0 }));
    let events = stamps.iter().map(|stamp| AgentEvent { event: event(stamp) }).collect();
    PollRequest { number, events, last: false }
}

fn stamps(answer: &PollResponse) -> Vec<u64> {
    let stamps = answer.events.iter().map(|event| match &event.event {
        Some(server_event::Event::Seen(seen)) => seen.stamp,
        other => panic!("{other:?}"),
    });
    stamps.collect()
}

/// A request to a conversation that goes on.
async fn ask(polls: &Polls, request: PollRequest) -> Result<PollResponse, Status> {
    polls.find("bearer").expect("it goes on").answer(request).await
}

/// A conversation whose first request was answered with 1.
async fn begun() -> (Polls, Stream) {
    let (polls, (answers, receiver)) = (Polls::default(), mpsc::channel(8));
    let mut stream = None;
    let event = Some(server_event::Event::Seen(Seen { stamp: 1 }));
    answers.send(Ok(ServerMessage { events: vec![ServerEvent { event }] })).await.unwrap();
    let start = |events| {
        stream = Some(Stream { events, answers });
        receiver
    };
    let begun = polls.begin("bearer", start).unwrap();
    let answer = begun.answer(request(1, &[10])).await.unwrap();
    let again = polls.begin("bearer", |_| panic!("it begins twice")).unwrap();
    assert!(Arc::ptr_eq(&begun, &again) && polls.find("another").is_none());
    assert_eq!(stamps(&answer), [1]);
    let mut stream = stream.unwrap();
    assert_eq!(stream.hears().await, Some(vec![10]));
    (polls, stream)
}

#[tokio::test]
async fn a_request_waits_for_what_the_stream_says() {
    let (polls, mut stream) = begun().await;
    let mut asked = std::pin::pin!(ask(&polls, request(2, &[20, 21])));
    assert!(futures_util::poll!(asked.as_mut()).is_pending());
    assert_eq!(stream.hears().await, Some(vec![20, 21]));
    stream.says(2).await;
    assert_eq!(stamps(&asked.await.unwrap()), [2]);
}

#[tokio::test]
async fn a_number_that_comes_again_gets_its_answer_again_and_is_read_once() {
    let (polls, mut stream) = begun().await;
    stream.says(2).await;
    for _ in 0..3 {
        assert_eq!(stamps(&ask(&polls, request(2, &[20])).await.unwrap()), [2]);
    }
    assert_eq!(stamps(&ask(&polls, request(1, &[10])).await.unwrap()), [1], "the one before is kept too");
    stream.says(3).await;
    assert_eq!(stamps(&ask(&polls, request(3, &[30])).await.unwrap()), [3]);
    assert_eq!((stream.hears().await, stream.hears().await), (Some(vec![20]), Some(vec![30])));
}

#[tokio::test]
async fn a_request_that_was_cut_off_takes_nothing_with_it() {
    let (polls, mut stream) = begun().await;
    {
        let mut cut = std::pin::pin!(ask(&polls, request(2, &[20])));
        assert!(futures_util::poll!(cut.as_mut()).is_pending());
    }
    stream.says(2).await;
    assert_eq!(stamps(&ask(&polls, request(2, &[20])).await.unwrap()), [2]);
    stream.says(3).await;
    assert_eq!(stamps(&ask(&polls, request(3, &[30])).await.unwrap()), [3]);
    assert_eq!((stream.hears().await, stream.hears().await), (Some(vec![20]), Some(vec![30])));
}

#[tokio::test]
async fn a_later_request_ends_the_wait_of_the_one_before() {
    let (polls, stream) = begun().await;
    let earlier = tokio::spawn({
        let polls = polls.clone();
        async move { ask(&polls, request(2, &[])).await }
    });
    let later = tokio::spawn(async move { ask(&polls, request(3, &[])).await });
    assert_eq!(stamps(&earlier.await.unwrap().unwrap()), [0; 0]);
    stream.says(3).await;
    assert_eq!(stamps(&later.await.unwrap().unwrap()), [3]);
}

#[tokio::test]
async fn requests_that_overtake_each_other_are_read_in_order() {
    let (polls, mut stream) = begun().await;
    stream.says(2).await;
    stream.says(3).await;
    let later = tokio::spawn({
        let polls = polls.clone();
        async move { ask(&polls, request(3, &[30])).await }
    });
    tokio::task::yield_now().await;
    let earlier = ask(&polls, request(2, &[20])).await.unwrap();
    let later = later.await.unwrap().unwrap();
    let told = [stamps(&earlier), stamps(&later)].concat();
    assert_eq!(told.first(), Some(&2), "answers are in the order of the numbers: {told:?}");
    assert_eq!((stream.hears().await, stream.hears().await), (Some(vec![20]), Some(vec![30])));
}

#[tokio::test]
async fn a_conversation_ends_when_both_have_said_everything() {
    let (polls, mut stream) = begun().await;
    let mut last = std::pin::pin!(ask(&polls, PollRequest { last: true, ..request(2, &[20]) }));
    assert!(futures_util::poll!(last.as_mut()).is_pending());
    assert_eq!((stream.hears().await, stream.hears().await), (Some(vec![20]), None));
    drop(stream);
    assert!(last.await.unwrap().last);
}

#[tokio::test]
async fn what_ends_the_stream_is_told_and_a_number_that_cannot_be_is_refused() {
    let (polls, stream) = begun().await;
    stream.answers.send(Err(Status::unavailable("no database"))).await.unwrap();
    let status = ask(&polls, request(2, &[])).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (tonic::Code::Aborted, "no database"));
    drop(stream);
    assert!(ask(&polls, request(3, &[])).await.unwrap().last);
    for (number, code) in [(0, tonic::Code::InvalidArgument), (1, tonic::Code::FailedPrecondition)] {
        assert_eq!(ask(&polls, request(number, &[])).await.unwrap_err().code(), code, "request {number}");
    }
}
