//! Reactions are one emoji each.

/// One emoji of the Unicode emoji set, as typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Emoji(String);

impl Emoji {
    /// Reads exactly one emoji, with or without its variation selector.
    ///
    /// # Errors
    /// A sentence for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if emojis::get(text).is_some() {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be one emoji".to_owned())
        }
    }

    /// The emoji's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
