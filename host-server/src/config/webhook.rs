//! `webhook.*`: where webhooks may lead, and whom they trust.

use std::{path::PathBuf, time::Duration};

use super::{Error, keys::Settings};
use crate::webhook::{Network, Settings as Webhook};

/// # Errors
/// [`Error::Value`], which names the key and what would be right.
pub(super) fn read(settings: &Settings) -> Result<Webhook, Error> {
    let usual = Webhook::default();
    let allowed = settings.get("webhook.allowAddresses").unwrap_or_default();
    let allowed = allowed.split(',').map(str::trim).filter(|text| !text.is_empty()).map(Network::parse);
    let allowed: Result<Vec<_>, _> = allowed.collect();
    let retention = match settings.get("webhook.retention") {
        None => usual.retention,
        Some(text) => match text.strip_suffix('d').map(str::parse::<u32>) {
            Some(Ok(days @ 1..=3_650)) => Duration::from_secs(u64::from(days) * 86_400),
            _ => {
                return Err(Error::value("webhook.retention", format!("`{text}` is not a number of days such as 7d")));
            }
        },
    };
    Ok(Webhook {
        ca_file: settings.get("webhook.caFile").map(PathBuf::from),
        allowed: allowed.map_err(|message| Error::value("webhook.allowAddresses", message))?,
        retention,
    })
}

#[cfg(test)]
mod tests {
    use super::{Settings, read};

    fn read_of(key: &'static str, value: &str) -> Result<super::Webhook, String> {
        let mut settings = Settings::default();
        settings.offer(key, value.to_owned());
        read(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn networks_and_days_are_read_and_anything_else_names_its_key() {
        let networks = read_of("webhook.allowAddresses", "10.0.0.0/8, ::1").unwrap().allowed;
        assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
        assert_eq!(read_of("webhook.retention", "3d").unwrap().retention.as_secs(), 3 * 86_400);
        for (key, value) in [
            ("webhook.allowAddresses", "example.com"),
            ("webhook.allowAddresses", "10.1.0.0/8"),
            ("webhook.retention", "a week"),
            ("webhook.retention", "0d"),
        ] {
            assert!(read_of(key, value).is_err_and(|said| said.contains(key)), "{key}: {value}");
        }
    }
}
