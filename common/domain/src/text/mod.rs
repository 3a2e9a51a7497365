//! Short texts that people see, and how texts are compared.
//!
//! Short texts are stored in Unicode's composed normal form (NFC): [`label`] converts them. Two forms
//! of comparison exist: [`identity`] for names, mentions and the search among members, and the one of
//! [`crate::search`] for the words of messages, which ignores accents too.

mod chars;

pub use chars::{is_blank, is_word};
pub(crate) use chars::{is_symbol, is_transparent};
use unicase::UniCase;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::steps;

/// The composed normal form (NFC, UAX #15) of a text.
pub fn nfc(text: &str) -> String {
    steps::count(text.len());
    if is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return text.to_owned();
    }
    text.nfc().collect()
}

/// Case-folded NFC text: Unicode's full case folding, and the four letters i of Turkish as one,
/// because the language of a text is unknown.
pub(crate) fn fold(text: &str) -> String {
    let folded = UniCase::unicode(nfc(text)).to_folded_case();
    steps::count(folded.len());
    nfc(&folded.replace("i\u{307}", "i").replace('\u{131}', "i"))
}

/// The form in which names, mentions and the search among members are compared: NFC, case-folded,
/// without invisible characters. Accents count.
pub fn identity(text: &str) -> String {
    fold(&chars::visible(text))
}

/// Takes a text of `min..=max` characters after trimming, in NFC. A text without visible characters
/// is blank.
///
/// # Errors
/// A sentence for the client: blank, too short, too long, or a control character (Unicode Cc)
/// inside.
pub fn label(text: &str, min: usize, max: usize) -> Result<String, String> {
    let text = nfc(text.trim());
    let chars = text.chars().count();
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    if chars > max {
        return Err(format!("must have at most {max} characters"));
    }
    if is_blank(&text) && (min > 0 || chars > 0) {
        return Err("must not be blank".to_owned());
    }
    if chars < min {
        return Err(format!("must have at least {min} characters"));
    }
    Ok(text)
}

/// Takes an absolute `http` or `https` URL of at most `max` characters, as text.
///
/// # Errors
/// A sentence for the client.
pub fn http_url(text: &str, max: usize) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > max {
        return Err(format!("must have at most {max} characters"));
    }
    let url = url::Url::parse(text).map_err(|_| "must be an absolute URL".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("must be an http or https URL".to_owned());
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must not contain blanks or control characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::worst;

    #[test]
    fn texts_that_differ_in_case_and_normal_form_are_equal() {
        assert_eq!(label(" Zoe\u{308} ", 1, 10).unwrap(), "Zo\u{eb}");
        for (one, other) in [
            ("ZOE\u{308}", "zo\u{eb}"),
            ("Stra\u{df}e", "STRASSE"),
            ("\u{39f}\u{394}\u{39f}\u{3a3}", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
            ("\u{130}lker I\u{15f}\u{131}k", "ilker i\u{15f}\u{131}k"),
            ("ILKER I\u{15e}IK", "\u{131}lker \u{131}\u{15f}\u{131}k"),
            ("\u{200f}gen\u{200b}eral\u{fe0f}", "General"),
            ("e\u{200d}\u{301}", "\u{c9}"),
        ] {
            assert_eq!(identity(one), identity(other), "{one} and {other}");
        }
        assert_ne!(identity("jos\u{e9}"), identity("jose"), "accents count");
        let flag = |region: &str| -> String {
            let tags = region.chars().filter_map(|c| char::from_u32(0xe0000 + c as u32));
            "\u{1f3f4}".chars().chain(tags).chain(['\u{e007f}']).collect()
        };
        assert_ne!(identity(&flag("gbsct")), identity(&flag("gbeng")), "flags differ");
        assert_eq!(identity(&flag("gbsct")[4..]), "", "tags alone are invisible");
    }

    #[test]
    fn text_without_visible_characters_is_blank() {
        for blank in ["\u{2800}", "\u{200b}", "\u{3164}", "\u{feff}\u{ad}", "\u{2800} \u{200d}"] {
            assert_eq!(label(blank, 0, 10), Err("must not be blank".to_owned()), "{blank:?}");
            assert_eq!(label(blank, 1, 10), Err("must not be blank".to_owned()), "{blank:?}");
        }
        assert_eq!(label("  ", 0, 10).unwrap(), "");
        assert_eq!(label("a\u{200d}", 1, 10).unwrap(), "a\u{200d}");
    }

    #[test]
    fn folding_any_text_takes_few_steps_per_byte() {
        for (name, text) in worst::texts() {
            let steps = steps::of(|| identity(&text));
            // Three passes; folding makes at most three letters of one.
            assert!(steps <= 7 * text.len(), "{name}: {steps} steps for {} bytes", text.len());
        }
    }
}
