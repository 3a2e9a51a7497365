//! Words: what a message is found by, and what somebody looks for.
//!
//! Both texts are cut by the same rules, so whatever is cut out of a message can be asked for.
//! Letters and digits in a row are a word, by Unicode's full case folding and without accents and
//! points (NFKD; marks above, below and attached dropped, Hebrew points and Arabic vowels among
//! them; the vowels of Indic and Thai words and the marks of Kana are kept). Invisible characters
//! are ignored, and the dotted and the dotless i are one letter. In scripts that set no spaces between
//! words each letter is a word of its own, and letters that follow each other are a phrase: so any
//! part of a sentence is found, were it one letter. Symbols such as emoji stand for themselves; all
//! else separates.
//!
//! The results are texts of Postgres' types `tsvector` and `tsquery`. Postgres' own parser is not
//! used: what it takes for a word depends on the server's locale.

use std::collections::HashMap;
use std::fmt::Write;

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use crate::text::is_transparent;
use crate::{RoomId, UserId, steps};

/// Characters of a question.
pub const QUESTION_CHARS_MAX: usize = 200;
/// Words and phrases of a question that are looked at.
const PARTS_MAX: usize = 16;
/// Different words of a message that are indexed, the first ones of its text: each is an entry of
/// the index, written while the room is locked. A text of 10,000 characters in English has some
/// 800, one in Chinese some 1,200.
pub const INDEXED_WORDS_MAX: usize = 1_500;
/// Different words of a message that are indexed in the transaction that posts it, which it shares
/// with other organizations' messages. More are indexed in a transaction of their own, soon after.
pub const INDEXED_AT_ONCE_MAX: usize = 100;
/// Places of one word that are indexed: as many as a `tsvector` holds.
const PLACES_MAX: usize = 255;
/// Letters of a word that count.
const WORD_CHARS_MAX: usize = 64;
/// Letters that the beginning of a word must have, unless a star says that it is one.
const PREFIX_CHARS_MIN: usize = 2;

/// What a text is found by: its words with their places, at most [`INDEXED_WORDS_MAX`] different
/// ones. Made once, when a request is parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    text: String,
    /// How many different ones they are.
    count: usize,
}

impl Words {
    /// Cuts a text into words.
    pub fn of(text: &str) -> Self {
        let mut order: Vec<String> = Vec::new();
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, word) in words(text).into_iter().enumerate() {
            match places.get_mut(&word.text) {
                Some(places) if places.len() < PLACES_MAX => places.push(at + 1),
                None if order.len() < INDEXED_WORDS_MAX => {
                    order.push(word.text.clone());
                    places.insert(word.text, vec![at + 1]);
                }
                Some(_) | None => {}
            }
        }
        let mut text = String::new();
        let count = order.len();
        for word in order {
            // Words hold letters and digits alone, so nothing needs escaping. Writing to a string
            // cannot fail.
            let _ = write!(text, " '{word}'");
            for (nth, place) in places.remove(&word).unwrap_or_default().into_iter().enumerate() {
                let _ = write!(text, "{}{place}", if nth == 0 { ':' } else { ',' });
            }
        }
        Self { text, count }
    }

    /// Whether they are more than are indexed in the transaction that posts the message.
    pub fn are_indexed_later(&self) -> bool {
        self.count > INDEXED_AT_ONCE_MAX
    }

    /// Bytes that they take up.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// What a message with these words is found by, as a `tsvector`: them, its room, its sender.
    pub fn document(&self, room: RoomId, sender: UserId) -> String {
        format!("'{}' '{}'{}", room_word(room), sender_word(sender), self.text)
    }
}

/// The word that every message of a room has: no text has it, since `#` separates.
pub fn room_word(room: RoomId) -> String {
    format!("#{room}")
}

/// The word that every message of a sender has.
pub fn sender_word(sender: UserId) -> String {
    format!("@{sender}")
}

/// What somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    parts: Vec<Part>,
}

/// Words that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    words: Vec<String>,
    /// Whether longer words than the last one count too.
    is_prefix: bool,
}

impl Question {
    /// Reads a question: words of which all must be there, each of which may be the beginning of
    /// one; in double quotes, a phrase; with a star, the beginning of a word however short.
    /// `None` when no word is in it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut is_quoted = false;
        let mut rest = text;
        while parts.len() < PARTS_MAX {
            let (piece, after) = match rest.find('"') {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            };
            // A quote that is never closed is none.
            if is_quoted && after.is_some() {
                parts.extend(Part::phrase(piece));
            } else {
                parts.extend(piece.split_whitespace().filter_map(Part::word));
            }
            is_quoted = !is_quoted;
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        parts.truncate(PARTS_MAX);
        (!parts.is_empty()).then_some(Self { parts })
    }

    /// As a `tsquery`.
    pub fn query(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(Part::query).collect();
        parts.join(" & ")
    }
}

impl Part {
    fn phrase(text: &str) -> Option<Self> {
        let words: Vec<String> = words(text).into_iter().map(|word| word.text).collect();
        (!words.is_empty()).then_some(Self { words, is_prefix: false })
    }

    /// A word, or several that something other than a space separates, as in `a@example.org`.
    fn word(text: &str) -> Option<Self> {
        let last = words(text).pop()?;
        let is_long = last.text.chars().count() >= PREFIX_CHARS_MIN;
        let is_prefix = !last.stands_alone && (is_long || text.ends_with('*'));
        Some(Self { is_prefix, ..Self::phrase(text)? })
    }

    fn query(&self) -> String {
        let quoted: Vec<String> = self.words.iter().map(|word| format!("'{word}'")).collect();
        let star = if self.is_prefix { ":*" } else { "" };
        format!("({}{star})", quoted.join(" <-> "))
    }
}

/// A word of a text.
#[derive(Debug, PartialEq, Eq)]
struct Word {
    text: String,
    /// A letter of a script without spaces, or a symbol.
    stands_alone: bool,
}

/// The words of a text, in order.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = 0;
    let finish = |word: &mut String, words: &mut Vec<Word>| {
        if !word.is_empty() {
            words.push(Word { text: std::mem::take(word), stands_alone: false });
        }
    };
    let folded = UniCase::unicode(text.nfkd().collect::<String>()).to_folded_case();
    let plain = folded.nfkd().filter(|&letter| !is_accent(letter) && !is_transparent(letter)).nfc();
    // The dotless i of Turkish: its capital is that of `i`, and the language is unknown.
    for letter in plain.map(|letter| if letter == '\u{131}' { 'i' } else { letter }) {
        steps::count(1);
        if stands_alone(letter) {
            finish(&mut word, &mut words);
            words.push(Word { text: letter.to_string(), stands_alone: true });
        } else if letter.is_alphanumeric() {
            if word.is_empty() {
                chars = 0;
            }
            chars += 1;
            if chars <= WORD_CHARS_MAX {
                word.push(letter);
            }
        } else {
            finish(&mut word, &mut words);
        }
    }
    finish(&mut word, &mut words);
    words
}

/// Whether a mark is ignored: by its canonical combining class (UAX #44), Hebrew's points (10–26),
/// Arabic's and Syriac's vowels (27–36), and marks that are attached, above or below (200 and more).
/// Arabic's tatweel, which only widens a word, is ignored too.
fn is_accent(letter: char) -> bool {
    letter == '\u{640}'
        || (!letter.is_ascii()
            && matches!(canonical_combining_class(letter), 10..=36 | 200..=u8::MAX))
}

/// Whether a letter is a word of its own: the scripts without spaces between words (Han, Kana,
/// Thai, Lao, Tibetan, Burmese, Khmer), and symbols that say something.
fn stands_alone(letter: char) -> bool {
    matches!(letter,
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{eff}'
        | '\u{f00}'..='\u{109f}'
        | '\u{1780}'..='\u{17d3}'
        | '\u{2600}'..='\u{27bf}'
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{1f000}'..='\u{1faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::steps::worst;

    fn query(text: &str) -> String {
        Question::parse(text).map(|question| question.query()).unwrap_or_default()
    }

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn a_text_is_cut_into_words() {
        assert_eq!(texts("Hello, wörld_of 3.14!"), ["hello", "world", "of", "3", "14"]);
        assert_eq!(
            texts("Café CAFÉ cafe\u{301} Ångström ﬁne"),
            ["cafe", "cafe", "cafe", "angstrom", "fine"]
        );
        for (one, other) in [
            ("ΟΔΟΣ", "Οδός"),
            ("STRASSE", "straße"),
            ("محمد", "مُحَمَّد"),
            ("שלום", "שָׁלוֹם"),
            ("IŞIK", "ışık"),
            ("Işık", "ışık"),
            ("İlker", "ilker"),
            ("co\u{ad}operate", "cooperate"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("한글", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
        ] {
            assert_eq!(texts(one), texts(other));
        }
        for (one, other) in [("कि", "क"), ("ガ", "カ"), ("ป้า", "ปา")] {
            assert_ne!(texts(one), texts(other), "letters count");
        }
        assert_eq!(texts("東京タワー go が"), ["東", "京", "タ", "ワ", "ー", "go", "が"]);
        assert_eq!(texts("สวัสดี"), ["ส", "ว", "ั", "ส", "ด", "ี"]);
        assert_eq!(texts("ship it 🚀🚀"), ["ship", "it", "🚀", "🚀"]);
        assert_eq!(texts("'; drop -- \0 \\ :* & | ! ()"), ["drop"]);
    }

    #[test]
    fn a_question_asks_for_all_of_its_words() {
        assert_eq!(query("Deploy fails"), "('deploy':*) & ('fails':*)");
        assert_eq!(query("\"deploy fails\" now"), "('deploy' <-> 'fails') & ('now':*)");
        assert_eq!(query("a@example.org"), "('a' <-> 'example' <-> 'org':*)");
        assert_eq!(query("x y*"), "('x') & ('y':*)");
        assert_eq!(query("東京"), "('東' <-> '京')");
        assert_eq!(query("an \"open quote"), "('an':*) & ('open':*) & ('quote':*)");
        assert_eq!(Question::parse(" \"\" - '' \0 "), None);
    }

    #[test]
    fn a_message_is_found_by_its_room_and_sender() {
        let document = Words::of("Hi you, hi").document(RoomId(7), UserId(9));
        assert_eq!(document, "'#7' '@9' 'hi':1,3 'you':2");
    }

    #[test]
    fn only_so_many_different_words_are_indexed() {
        for (name, text) in worst::texts() {
            let entries = Words::of(&text).document(RoomId(7), UserId(9)).matches(" '").count();
            assert!(entries <= INDEXED_WORDS_MAX + 1, "{name}: {entries} entries");
        }
        let numbers: Vec<String> = (0..1_501).map(|number| number.to_string()).collect();
        let document = Words::of(&numbers.join(" ")).document(RoomId(7), UserId(9));
        assert!(document.contains("'1499':1500") && !document.contains("'1500'"));
    }

    #[test]
    fn long_texts_are_indexed_after_they_are_posted() {
        let numbers = |count: usize| {
            let words: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            Words::of(&words.join(" "))
        };
        assert!(!numbers(INDEXED_AT_ONCE_MAX).are_indexed_later());
        assert!(numbers(INDEXED_AT_ONCE_MAX + 1).are_indexed_later());
        assert!(!Words::of(&"again ".repeat(1_000)).are_indexed_later());
    }

    #[test]
    fn cutting_any_text_takes_few_steps_per_byte() {
        for (name, text) in worst::texts() {
            let steps = steps::of(|| Words::of(&text));
            // NFKD makes at most 18 letters of one, which has 3 bytes or more.
            assert!(steps <= 6 * text.len(), "{name}: {steps} steps for {} bytes", text.len());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_never_leave_its_quotes(text: String) {
            for word in words(&text) {
                prop_assert!(!word.text.contains(['\'', '\\', ' ', '#', '@', '\0']));
                prop_assert!(!word.text.is_empty());
            }
        }

        #[test]
        fn every_question_asks_for_what_is_in_its_own_text(text in "\\PC{0,60}") {
            let text = text.replace('"', " ");
            let found = texts(&text);
            for part in Question::parse(&text).map(|question| question.parts).unwrap_or_default() {
                let is_there = found.windows(part.words.len()).any(|window| window == part.words);
                prop_assert!(is_there, "{part:?} in {found:?}");
            }
        }
    }
}
