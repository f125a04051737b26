//! Parameters as a form, the same in a body and behind the `?` of a URL.

use std::fmt::Write as _;

/// Names and values in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(String);

impl Form {
    /// Adds a value; an empty one stands for none.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            let separator = if self.0.is_empty() { "" } else { "&" };
            // Writing to text cannot fail.
            let _ = write!(self.0, "{separator}{}={}", encoded(name), encoded(value));
        }
        self
    }

    /// Adds each of several values of one name.
    pub(crate) fn with_each<'a>(self, name: &str, values: impl IntoIterator<Item = &'a str>) -> Self {
        values.into_iter().fold(self, |form, value| form.with(name, value))
    }

    /// As `application/x-www-form-urlencoded`; may be empty.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// Every byte but letters, digits and `-._~` as `%XX`, which is right in a form, in a query and in a segment of a path.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            // Writing to text cannot fail.
            let _ = write!(all, "%{byte:02X}");
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn nothing_of_a_value_is_taken_for_the_forms_own_signs() {
        let form = Form::default()
            .with("query", "up{job=\"a&b\"} + 1%é")
            .with("time", "")
            .with_each("match[]", ["a", "", "b"]);
        assert_eq!(form.text(), "query=up%7Bjob%3D%22a%26b%22%7D%20%2B%201%25%C3%A9&match%5B%5D=a&match%5B%5D=b");
    }
}
