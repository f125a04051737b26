//! From when and until when a certificate is valid. No more of X.509 is read here: the rest is judged by rustls.

use chrono::NaiveDateTime;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Seconds since 1970, both inclusive (RFC 5280, 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from_s: i64,
    pub(super) until_s: i64,
}

impl Validity {
    /// Of a certificate in DER; none where it is no certificate.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let mut certificate = Elements(Elements(certificate).take(SEQUENCE)?);
        let mut fields = Elements(certificate.take(SEQUENCE)?);
        let (tag, _) = fields.next()?;
        if tag == VERSION {
            // The serial number.
            fields.next()?;
        }
        let _algorithm = fields.take(SEQUENCE)?;
        let _issuer = fields.take(SEQUENCE)?;
        let mut times = Elements(fields.take(SEQUENCE)?);
        Some(Self { from_s: time(times.next()?)?, until_s: time(times.next()?)? })
    }
}

/// What is left of a row of DER elements.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The content of an element that must be the next one.
    fn take(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
    }
}

fn time((tag, content): (u8, &[u8])) -> Option<i64> {
    let text = str::from_utf8(content).ok()?;
    let century = match tag {
        GENERALIZED_TIME => "",
        UTC_TIME if text.get(..2)? < "50" => "20",
        UTC_TIME => "19",
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&format!("{century}{text}"), "%Y%m%d%H%M%SZ").ok()?;
    Some(time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::{Elements, Validity, time};

    #[test]
    fn both_forms_of_a_time_are_read() {
        for (tag, text, seconds) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "491231235959Z", Some(2_524_607_999)),
            (0x17, "500101000000Z", Some(-631_152_000)),
            (0x18, "20500101000000Z", Some(2_524_608_000)),
            (0x18, "99991231235959Z", Some(253_402_300_799)),
            (0x17, "7", None),
            (0x17, "700101000000+0100", None),
            (0x02, "700101000000Z", None),
        ] {
            assert_eq!(time((tag, text.as_bytes())), seconds, "{text}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_validity_and_does_no_harm() {
        for bytes in [
            &b""[..],
            b"0",
            b"0\x80",
            b"0\x84\xff\xff\xff\xff",
            b"0\x02\x30\x00",
            b"0\x04\x30\x02\x02\x00",
            &[0x30; 400],
        ] {
            assert_eq!(Validity::of(bytes), None, "{bytes:?}");
        }
        assert_eq!(Elements(b"\x04\x81\x01a").next(), Some((4, &b"a"[..])));
    }
}
