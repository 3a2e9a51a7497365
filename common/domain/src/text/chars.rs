//! Character classes, by Unicode properties. The page has the same rules in `web/chatboard/mentions.js` and `text.js`;
//! `tests/cases/text.json` is run against both.

use icu_properties::props::{Alphabetic, DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// BRAILLE PATTERN BLANK: a symbol without ink.
const BRAILLE_BLANK: char = '\u{2800}';
/// ZERO WIDTH SPACE: invisible, but it separates words (Thai, Khmer).
const ZERO_WIDTH_SPACE: char = '\u{200b}';
/// WAVING BLACK FLAG, which tag characters turn into the flag of a region (UTS #51, ED-14a).
const FLAG: char = '\u{1f3f4}';

/// Whether a character is part of a word: letters, combining marks (vowels of Devanagari and Thai
/// are some), numbers and `_`, unless it is invisible.
pub fn is_word(c: char) -> bool {
    use GeneralCategory as Category;
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    (CodePointSetData::new::<Alphabetic>().contains(c)
        || matches!(
            CodePointMapData::<Category>::new().get(c),
            Category::NonspacingMark
                | Category::SpacingMark
                | Category::EnclosingMark
                | Category::DecimalNumber
                | Category::LetterNumber
                | Category::OtherNumber
        ))
        && !is_invisible(c)
}

/// Whether a character is a symbol such as an emoji (general categories So, Sk, Sm, Sc), which names
/// may contain.
pub(crate) fn is_symbol(c: char) -> bool {
    use GeneralCategory as Category;
    !c.is_ascii()
        && matches!(
            CodePointMapData::<Category>::new().get(c),
            Category::OtherSymbol
                | Category::ModifierSymbol
                | Category::MathSymbol
                | Category::CurrencySymbol
        )
}

/// Whether fonts draw nothing for a character: joiners, directional marks, variation selectors, tags
/// (`Default_Ignorable_Code_Point`, UAX #44).
fn is_invisible(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether a character neither belongs to a word nor separates words.
pub(crate) fn is_transparent(c: char) -> bool {
    c != ZERO_WIDTH_SPACE && is_invisible(c)
}

/// Whether nothing of a text is visible: white space, control characters and invisible characters
/// only.
pub fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_whitespace() || c.is_control() || c == BRAILLE_BLANK || is_invisible(c))
}

/// A text without its invisible characters; the tags that make regional flags different stay.
pub(crate) fn visible(text: &str) -> String {
    let mut is_flag = false;
    text.chars()
        .filter(|&c| {
            let is_tag = is_flag && ('\u{e0020}'..='\u{e007f}').contains(&c);
            is_flag = c == FLAG || is_tag;
            is_tag || !is_invisible(c)
        })
        .collect()
}
