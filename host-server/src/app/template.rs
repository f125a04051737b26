//! Templates: a flow and the JSON Schema of its inputs.

use chrono::NaiveDateTime;
use claiflow_flow::{Flow, Origin};
use claiflow_flow_worker::Fault;

use super::{
    App, Error,
    schema::InputSchema,
    text::{name, required, required_name, summary, unchanged},
};
use crate::model::{
    ids::{stored, time},
    list::Listing,
    nouns::Template,
    options::Options,
    predefined::{USERDEFINED, digest},
};

/// A flow's text at most. An offer carries it beside the inputs, in one message.
const FLOW_BYTES: usize = 1 << 20;

/// What a caller says about a template.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Declare {
    pub uuid: Option<String>,
    pub name: Option<String>,
    pub summary: Option<String>,
    /// JSON text.
    pub flow: Option<String>,
    /// JSON text.
    pub inputs: Option<String>,
    /// JSON text.
    pub options: Option<String>,
}

/// A time as the table holds it, so that the answer to a write and a later read print the same.
pub(super) fn seconds(us: i64) -> NaiveDateTime {
    time(us - us.rem_euclid(1_000_000)).naive_utc()
}

/// Checks a flow's text, with pointers below `/flow`.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn check_flow(text: &str, origin: Origin) -> Result<Flow, Error> {
    if text.len() > FLOW_BYTES {
        return Err(Error::Invalid {
            detail: "the flow is too large".into(),
            errors: vec![("/flow".into(), format!("it has {} bytes; at most {FLOW_BYTES} are allowed", text.len()))],
        });
    }
    Flow::parse(text, origin).map_err(|mistakes| Error::Invalid {
        detail: format!("the flow has {} mistake(s)", mistakes.len()),
        errors: mistakes.into_iter().map(|mistake| (format!("/flow{}", mistake.pointer), mistake.message)).collect(),
    })
}

/// Reads a template's options.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn check_options(text: Option<&str>) -> Result<Options, Error> {
    Options::parse(text.unwrap_or("{}")).map_err(|message| Error::Invalid {
        detail: "the options are not understood".into(),
        errors: vec![("/options".into(), message)],
    })
}

impl App {
    /// Stores a template after checking its flow, its expressions and its schema.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Invalid`], [`Error::Conflict`].
    pub async fn declare_template(&self, new: Declare, dry_run: bool) -> Result<Template, Error> {
        let uuid = new.uuid.unwrap_or_else(|| crate::model::ids::hex(&self.source.id()));
        let fits =
            (1..=32).contains(&uuid.len()) && uuid.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if !fits {
            return Err(Error::Malformed("`uuid` of a template has 1 to 32 characters of A-Z a-z 0-9 _ . -".into()));
        }
        let now = seconds(self.source.now_us());
        let row = Template {
            uuid: uuid.clone(),
            name: required_name(new.name)?,
            summary: summary(new.summary)?,
            flow: required("flow", new.flow)?,
            inputs: Some(new.inputs.unwrap_or_else(|| "{}".into())),
            origin: USERDEFINED.into(),
            created: Some(now),
            updated: None,
            options: new.options,
        };
        self.check(&row).await?;
        if let Some(found) = self.store.template(&uuid).await? {
            let same = found.name == row.name
                && found.summary == row.summary
                && found.flow == row.flow
                && found.inputs == row.inputs
                && found.options == row.options;
            return if same {
                Ok(found)
            } else {
                Err(Error::Conflict(format!("template `{uuid}` exists with other content; PUT changes it")))
            };
        }
        if !dry_run {
            self.store.insert_template(&row).await?;
        }
        Ok(row)
    }

    async fn check(&self, row: &Template) -> Result<(), Error> {
        let flow = check_flow(&row.flow, Origin::Authored)?;
        InputSchema::compile(row.inputs.as_deref().unwrap_or("{}"))?;
        check_options(row.options.as_deref())?;
        let mut errors = Vec::new();
        for (pointer, program, variables) in flow.programs() {
            match self.jq.check(program, &variables).await {
                Ok(()) => {}
                Err(Fault::Expression(message)) => errors.push((format!("/flow{pointer}"), message)),
                Err(Fault::Evaluator(message)) => return Err(Error::unchecked(&message)),
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid { detail: "the flow holds expressions that are not valid".into(), errors })
        }
    }

    /// One template.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn template(&self, uuid: &str) -> Result<Template, Error> {
        self.store.template(stored(uuid)).await?.ok_or_else(|| {
            Error::NotFound(format!("there is no template `{uuid}`; GET /api/v1/template lists those that are stored"))
        })
    }

    /// Templates in the order of their uuids.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn templates(&self, listing: &Listing<String>) -> Result<Vec<Template>, Error> {
        Ok(self.store.templates(listing).await?)
    }

    /// Changes what is given, after the same checks. A predefined template that is changed is its user's from then on, as its
    /// origin says: the server does not bring it up to date any more.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Malformed`], [`Error::Invalid`].
    pub async fn change_template(&self, uuid: &str, change: Declare) -> Result<Template, Error> {
        let mut row = self.template(uuid).await?;
        let before = digest(&row);
        unchanged("uuid", &row.uuid, change.uuid.as_deref())?;
        row.name = name(change.name)?.unwrap_or(row.name);
        row.summary = summary(change.summary)?.or(row.summary);
        row.flow = change.flow.unwrap_or(row.flow);
        row.inputs = change.inputs.or(row.inputs);
        row.options = change.options.or(row.options);
        row.updated = Some(seconds(self.source.now_us()));
        self.check(&row).await?;
        if digest(&row) != before {
            row.origin = USERDEFINED.into();
        }
        self.store.update_template(&row).await?;
        self.prepared.lock().remove(uuid);
        Ok(row)
    }

    /// Removes a template; its tasks run on. Unknown ones are no error. A predefined one does not come back.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete_template(&self, uuid: &str) -> Result<(), Error> {
        self.store.delete_template(stored(uuid)).await?;
        self.prepared.lock().remove(uuid);
        Ok(())
    }
}
