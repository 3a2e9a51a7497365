//! Reactions are one emoji each.

/// Bytes of the longest emoji, with room to spare: no longer text is looked up.
const EMOJI_BYTES_MAX: usize = 64;

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
        match Some(text).filter(|text| text.len() <= EMOJI_BYTES_MAX).and_then(emojis::get) {
            Some(emoji) => Ok(Self(emoji.as_str().to_owned())),
            None => Err("must be one emoji".to_owned()),
        }
    }

    /// The emoji's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
