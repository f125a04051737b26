//! The templates that the server brings, beside what is stored of them: whose is a row?

use sha2::{Digest as _, Sha256};

use super::nouns::Template;

/// Where a template came from: the values of its column `origin`.
pub const ORIGINS: [&str; 3] = ["predefined", "system", USERDEFINED];
/// The origin of what people make, and of what they changed.
pub const USERDEFINED: &str = "userdefined";

/// What a server last wrote of one of its templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The edition of the templates that it had.
    pub edition: i32,
    /// The template's [`digest`].
    pub digest: Vec<u8>,
}

/// What becomes of one of the server's templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is known of it: it is stored.
    Install,
    /// It stands as an earlier edition wrote it: it is replaced.
    Renew,
    /// It stands there word for word: that is written down, and the row left alone.
    Note,
    /// This edition, or a later one, has looked at it.
    Leave,
    /// Somebody changed it since it was written: it is theirs.
    Changed,
    /// Somebody deleted it: it stays so.
    Deleted,
    /// Somebody had stored a template of their own under its uuid.
    Taken,
}

/// Decides about `ours`, of this edition, from what was written of it and what is stored under its uuid.
#[must_use]
pub fn decide(edition: i32, ours: &Template, written: Option<&Written>, stored: Option<&Template>) -> Decision {
    match (written, stored) {
        (Some(written), _) if written.edition >= edition => Decision::Leave,
        (None, None) => Decision::Install,
        (Some(_), None) => Decision::Deleted,
        (_, Some(row)) if digest(row) == digest(ours) => Decision::Note,
        (None, Some(_)) => Decision::Taken,
        (Some(written), Some(row)) if digest(row)[..] == written.digest => Decision::Renew,
        (Some(_), Some(_)) => Decision::Changed,
    }
}

/// SHA-256 over all that people can change of a template, its times left out.
#[must_use]
pub fn digest(row: &Template) -> [u8; 32] {
    let Template { uuid: _, name, summary, flow, inputs, origin, created: _, updated: _, options } = row;
    let content = (name, summary, flow, inputs, origin, options);
    Sha256::digest(serde_json::to_vec(&content).unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use super::{Decision, Template, Written, decide, digest};

    fn template(flow: &str) -> Template {
        Template {
            uuid: "u".into(),
            name: "n".into(),
            summary: Some(String::new()),
            flow: flow.into(),
            inputs: None,
            origin: "predefined".into(),
            created: Some(chrono::NaiveDateTime::default()),
            updated: None,
            options: None,
        }
    }

    #[test]
    fn only_what_the_server_wrote_and_nobody_touched_is_replaced() {
        let (old, new, theirs) = (template("old"), template("new"), template("theirs"));
        let wrote = |edition: i32, row: &Template| Some(Written { edition, digest: digest(row).to_vec() });
        for (written, stored, decision) in [
            (None, None, Decision::Install),
            (None, Some(&new), Decision::Note),
            (None, Some(&old), Decision::Taken),
            (wrote(1, &old), Some(&old), Decision::Renew),
            (wrote(1, &old), Some(&theirs), Decision::Changed),
            (wrote(1, &old), Some(&new), Decision::Note),
            (wrote(1, &old), None, Decision::Deleted),
            (wrote(1, &new), Some(&new), Decision::Note),
            (wrote(2, &new), Some(&new), Decision::Leave),
            (wrote(2, &new), Some(&theirs), Decision::Leave),
            (wrote(2, &new), None, Decision::Leave),
            (wrote(3, &theirs), Some(&theirs), Decision::Leave),
        ] {
            assert_eq!(decide(2, &new, written.as_ref(), stored), decision, "{written:?}, {stored:?}");
        }
    }

    #[test]
    fn every_column_that_people_change_is_in_the_digest() {
        let ours = template("f");
        let changes: [fn(&mut Template); 7] = [
            |row| row.name.push('x'),
            |row| row.summary = None,
            |row| row.flow.push(' '),
            |row| row.inputs = Some(String::new()),
            |row| row.origin.clear(),
            |row| row.options = Some("{}".into()),
            // The same letters, in other columns.
            |row| (row.summary, row.flow) = (Some("f".into()), String::new()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut row = ours.clone();
            change(&mut row);
            assert_ne!(digest(&row), digest(&ours), "change {number}");
        }
        let later = Template { updated: Some(chrono::NaiveDateTime::default()), ..ours.clone() };
        assert_eq!(digest(&later), digest(&ours), "a time says nothing about the content");
    }
}
