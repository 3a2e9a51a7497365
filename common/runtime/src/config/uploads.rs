//! How the rules for uploads are read from settings.

use domain::media_type;

use super::value::Setting;

/// A media type (RFC 6838) in its usual form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(String);

impl MediaType {
    /// The type: `image/png`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for MediaType {
    const KIND: &'static str = "media type";

    fn parse(text: &str) -> Result<Self, String> {
        let normal = media_type::normalized(text);
        let is_plain = !text.contains([';', '*']);
        if is_plain && (normal != media_type::UNKNOWN || text == media_type::UNKNOWN) {
            Ok(Self(normal))
        } else {
            Err(format!("{text:?} is no media type of the form image/png"))
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}
