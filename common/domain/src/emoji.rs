//! Reactions are one emoji each.

/// One emoji of the Unicode emoji set, fully qualified, however it was typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Emoji(String);

impl Emoji {
    /// Reads exactly one emoji, with or without its variation selector.
    ///
    /// # Errors
    /// A sentence for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match emojis::get(text) {
            Some(emoji) => Ok(Self(emoji.as_str().to_owned())),
            None => Err("must be one emoji".to_owned()),
        }
    }

    /// The emoji's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
