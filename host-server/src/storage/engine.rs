//! What MariaDB must be for claiflow: asked once, before the schema is touched, and answered with what to mend.

use sqlx::{MySqlPool, Row as _};

use super::Error;

/// The oldest MariaDB whose `DELETE … RETURNING` and `SKIP LOCKED` this server relies on.
const OLDEST: (u32, u32) = (10, 6);
/// The largest row that is written, with room for what stands around it, bytes.
const PACKET: u64 = 16 << 20;

/// What each connection says first. Whatever the server's defaults are: UTC, and values that do not fit are refused.
pub(super) const SESSION: &[&str] = &[
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'",
];

/// What the engine says of itself.
#[derive(Clone, Debug)]
struct Facts {
    version: String,
    storage_engine: String,
    binlog: bool,
    binlog_format: String,
    max_packet_bytes: u64,
    /// `schema_migrations.version` of the first version's server.
    original: Option<i64>,
}

/// Asks, and refuses what cannot hold the promises.
///
/// # Errors
/// [`Error::Unfit`] with what is wrong and how to mend it; [`Error::Engine`].
pub(super) async fn check(pool: &MySqlPool) -> Result<(), Error> {
    let row = sqlx::query("SELECT CAST(VERSION() AS CHAR), CAST(@@default_storage_engine AS CHAR), CAST(@@log_bin AS SIGNED), CAST(@@binlog_format AS CHAR), CAST(@@max_allowed_packet AS SIGNED)")
        .fetch_one(pool)
        .await?;
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'schema_migrations'")
        .fetch_one(pool)
        .await?;
    let original = if tables == 0 {
        None
    } else {
        sqlx::query_scalar("SELECT CAST(MAX(version) AS SIGNED) FROM schema_migrations").fetch_one(pool).await?
    };
    let facts = Facts {
        version: row.try_get(0)?,
        storage_engine: row.try_get(1)?,
        binlog: row.try_get::<i64, _>(2)? != 0,
        binlog_format: row.try_get(3)?,
        max_packet_bytes: u64::try_from(row.try_get::<i64, _>(4)?).unwrap_or_default(),
        original,
    };
    judge(&facts).map_err(Error::Unfit)
}

fn judge(facts: &Facts) -> Result<(), String> {
    let version = &facts.version;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if !version.to_lowercase().contains("mariadb") {
        return Err(format!("it is not MariaDB (it says `{version}`): use MariaDB 10.6 or later"));
    }
    if found < OLDEST {
        return Err(format!("MariaDB {version} is too old: upgrade to 10.6 or later"));
    }
    if let Some(version) = facts.original {
        return Err(format!(
            "this database belongs to the first version of the server (schema_migrations.version = {version}) and is left \
             as it is: name an empty database in `database.dbname`, and have the content of this one taken over with \
             `claiflow-server import --from THIS_DATABASE`"
        ));
    }
    if !facts.storage_engine.eq_ignore_ascii_case("InnoDB") {
        return Err(format!(
            "default_storage_engine is {}, which loses tasks in a crash: set default_storage_engine = InnoDB",
            facts.storage_engine
        ));
    }
    if facts.binlog && facts.binlog_format.eq_ignore_ascii_case("STATEMENT") {
        return Err("binlog_format is STATEMENT, under which replicas differ from their primary: set binlog_format = \
                    ROW (or MIXED)"
            .into());
    }
    if facts.max_packet_bytes < PACKET {
        return Err(format!(
            "max_allowed_packet is {} bytes, which refuses large inputs and results: set it to {PACKET} or more",
            facts.max_packet_bytes
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Facts, PACKET, judge};

    fn fit() -> Facts {
        Facts {
            version: "10.11.6-MariaDB-0+deb12u1".into(),
            storage_engine: "InnoDB".into(),
            binlog: true,
            binlog_format: "ROW".into(),
            max_packet_bytes: PACKET,
            original: None,
        }
    }

    #[test]
    fn an_engine_that_fits_is_accepted() {
        for version in ["10.6.0-MariaDB", "10.11.6-MariaDB-0+deb12u1-log", "11.4.2-MariaDB", "12.0.1-MariaDB-ubu2404"] {
            assert_eq!(judge(&Facts { version: version.into(), ..fit() }), Ok(()), "{version}");
        }
        assert_eq!(judge(&Facts { binlog: false, binlog_format: "STATEMENT".into(), ..fit() }), Ok(()));
        assert_eq!(judge(&Facts { binlog_format: "MIXED".into(), ..fit() }), Ok(()));
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_how_to_mend_it() {
        for (facts, wrong, mend) in [
            (Facts { version: "8.0.36".into(), ..fit() }, "not MariaDB", "MariaDB 10.6"),
            (Facts { version: "10.5.23-MariaDB".into(), ..fit() }, "10.5.23", "10.6"),
            (Facts { storage_engine: "Aria".into(), ..fit() }, "Aria", "default_storage_engine = InnoDB"),
            (Facts { binlog_format: "STATEMENT".into(), ..fit() }, "STATEMENT", "binlog_format = ROW"),
            (Facts { max_packet_bytes: 1 << 20, ..fit() }, "1048576", "16777216"),
            (Facts { original: Some(11), ..fit() }, "schema_migrations.version = 11", "database.dbname"),
            (Facts { original: Some(11), ..fit() }, "is left as it is", "claiflow-server import --from"),
        ] {
            let said = judge(&facts).unwrap_err();
            assert!(said.contains(wrong) && said.contains(mend), "{said}");
        }
    }
}
