//! Agents of the first version: their three calls, whose codes they depend on.

use std::time::Duration;

use claiflow_proto::former::{
    client::{
        AuthRequestV1, AuthResponseV1, ServicePollingRequestV1, ServicePollingResponseV1, UpdateServiceStatusRequestV1,
        UpdateServiceStatusResponseV1,
        client_service_server::{ClientService, ClientServiceServer},
        service_polling_response_v1::Data,
    },
    datatype::NullString,
};
use prost_types::Timestamp;
use tonic::{Request, Response, Status, codec::CompressionEncoding, metadata::MetadataMap};

use super::status;
use crate::app::{
    self, App,
    former::{Caller, Entry, Given, Report, Waited},
};

/// In which a session may be given, besides `authorization`.
const SESSION: &str = "x-sudory-client-token";
const TIMEOUT: &str = "grpc-timeout";
/// An answer is sent this long before the time at which the caller waits no longer.
const EARLY: Duration = Duration::from_millis(10);
const DAY_S: i64 = 86_400;
/// How these agents write that there is no time: the first day of the year 1, seconds since 1970.
const NO_TIME_S: i64 = -62_135_596_800;

struct Former {
    app: App,
}

/// The service, which takes messages of `message_bytes` at most, also compressed ones.
pub(super) fn service(app: App, message_bytes: usize) -> ClientServiceServer<impl ClientService> {
    ClientServiceServer::new(Former { app })
        .max_decoding_message_size(message_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
}

impl Former {
    async fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        self.app.former(bearer(metadata)?).await.map_err(status)
    }
}

#[tonic::async_trait]
impl ClientService for Former {
    async fn auth_v1(&self, request: Request<AuthRequestV1>) -> Result<Response<AuthResponseV1>, Status> {
        let request = request.into_inner();
        let entry = Entry {
            cluster_uuid: &request.cluster_uuid,
            token: &request.assertion,
            version: &request.client_version,
            library: &request.client_lib_version,
        };
        let opened = self.app.open_former(entry).await.map_err(|error| match error {
            app::Error::Refused(message) => Status::invalid_argument(message),
            other => status(other),
        })?;
        Ok(Response::new(AuthResponseV1 { token: opened.token }))
    }

    async fn service_polling_v1(
        &self,
        request: Request<ServicePollingRequestV1>,
    ) -> Result<Response<ServicePollingResponseV1>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let patience = patience(request.metadata());
        let waiting = self.app.poll(&caller, request.get_ref().limit.into());
        let waited = match patience {
            Some(patience) => tokio::time::timeout(patience, waiting).await,
            None => Ok(waiting.await),
        };
        match waited.map_err(|_| cancelled())?.map_err(status)? {
            Waited::Tasks(tasks) => {
                Ok(Response::new(ServicePollingResponseV1 { datas: tasks.into_iter().map(data).collect() }))
            }
            Waited::Stopped => Err(cancelled()),
        }
    }

    async fn update_service_status_v1(
        &self,
        request: Request<UpdateServiceStatusRequestV1>,
    ) -> Result<Response<UpdateServiceStatusResponseV1>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let said = request.into_inner();
        let report = Report {
            uuid: said.uuid,
            sequence: said.sequence,
            status: said.status,
            result: said.result,
            error: said.error,
            ended: said.ended.is_some_and(|time| is_given(&time)),
        };
        self.app.report(&caller, report).await.map_err(status)?;
        Ok(Response::new(UpdateServiceStatusResponseV1 {}))
    }
}

fn cancelled() -> Status {
    Status::deadline_exceeded("the call was cancelled before there was a task")
}

/// The session: alone, or behind a word such as `Bearer`.
fn bearer(metadata: &MetadataMap) -> Result<&str, Status> {
    let given = metadata.get(SESSION).or_else(|| metadata.get("authorization"));
    let text = given.and_then(|value| value.to_str().ok()).and_then(|text| text.split_whitespace().next_back());
    text.ok_or_else(|| {
        Status::unauthenticated(format!(
            "the metadata `authorization: Bearer <session>` or `{SESSION}: <session>` is missing"
        ))
    })
}

/// How long the caller waits, as it says: digits, and a letter for the unit.
fn patience(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u32 = digits.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(3_600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit.saturating_mul(amount).saturating_sub(EARLY))
}

fn data(Given { cluster_uuid, task }: Given) -> Data {
    let seconds = task.created.div_euclid(1_000_000);
    let day = seconds - seconds.rem_euclid(DAY_S);
    let nanos = i32::try_from(task.created.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    Data {
        partition_date: Some(Timestamp { seconds: day, nanos: 0 }),
        cluster_uuid,
        uuid: task.uuid,
        name: task.name,
        summary: Some(null_string(task.summary)),
        created: Some(Timestamp { seconds, nanos }),
        template_uuid: task.snapshot.template_uuid.clone(),
        flow: task.snapshot.flow.clone(),
        inputs: task.inputs.into_bytes(),
        step_max: i32::try_from(task.snapshot.step_max).unwrap_or(i32::MAX),
        subscribed_channel: Some(null_string(task.channel)),
        priority: task.priority,
    }
}

fn null_string(text: Option<String>) -> NullString {
    NullString { valid: text.is_some(), string: text.unwrap_or_default() }
}

fn is_given(time: &Timestamp) -> bool {
    time.seconds > NO_TIME_S
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prost_types::Timestamp;
    use tonic::metadata::MetadataMap;

    use super::{bearer, is_given, patience};

    fn metadata(name: &'static str, value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().unwrap());
        metadata
    }

    #[test]
    fn a_session_stands_alone_or_behind_any_word() {
        for (name, value) in [
            ("authorization", "Bearer a.b.c"),
            ("authorization", "jwt a.b.c"),
            ("authorization", "a.b.c"),
            ("x-sudory-client-token", "a.b.c"),
        ] {
            assert_eq!(bearer(&metadata(name, value)).unwrap(), "a.b.c", "{name}: {value}");
        }
        assert!(bearer(&MetadataMap::new()).is_err() && bearer(&metadata("authorization", "")).is_err());
    }

    #[test]
    fn the_callers_patience_is_read_as_grpc_writes_it() {
        for (text, milliseconds) in [("1S", Some(990)), ("250m", Some(240)), ("5m", Some(0)), ("1", None), ("x", None)]
        {
            assert_eq!(patience(&metadata("grpc-timeout", text)), milliseconds.map(Duration::from_millis), "{text}");
        }
        assert_eq!(patience(&MetadataMap::new()), None);
    }

    #[test]
    fn the_first_day_of_the_year_1_is_no_time() {
        assert!(!is_given(&Timestamp { seconds: -62_135_596_800, nanos: 0 }));
        assert!(is_given(&Timestamp { seconds: 0, nanos: 0 }));
    }
}
