//! Reactions are one emoji each.

use crate::steps;

/// Bytes of the longest emoji, with room to spare: no longer text is looked up.
const EMOJI_BYTES_MAX: usize = 64;

/// Blanks around an emoji that are looked at.
const BLANKS_MAX: usize = 64;

/// A text without the blanks around it; `None` when it is too long to be an emoji.
fn trimmed(text: &str) -> Option<&str> {
    if text.len() > EMOJI_BYTES_MAX + BLANKS_MAX {
        return None;
    }
    steps::count(text.len());
    Some(text.trim()).filter(|text| text.len() <= EMOJI_BYTES_MAX)
}

/// One emoji of the Unicode emoji set, fully qualified, however it was typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Emoji(String);

impl Emoji {
    /// Reads exactly one emoji, with or without its variation selector.
    ///
    /// # Errors
    /// A sentence for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        match trimmed(text).and_then(emojis::get) {
            Some(emoji) => Ok(Self(emoji.as_str().to_owned())),
            None => Err("must be one emoji".to_owned()),
        }
    }

    /// The emoji's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::worst;

    #[test]
    fn one_emoji_is_read_with_blanks_around_it() {
        assert_eq!(Emoji::parse(" \u{1f44d}\n").unwrap().as_str(), "\u{1f44d}");
        assert!(Emoji::parse("").is_err() && Emoji::parse("a").is_err());
    }

    #[test]
    fn no_text_is_looked_up_that_is_longer_than_any_emoji() {
        for (name, text) in worst::texts() {
            for text in [text.clone(), format!("{}{text}", " ".repeat(10_000))] {
                let steps = steps::of(|| Emoji::parse(&text));
                assert!(steps <= EMOJI_BYTES_MAX + BLANKS_MAX, "{name}: {steps} steps");
            }
        }
    }
}
