//! Mentions in a message's text: `@email`, `@first_name.last_name`, `@room`, `@here`.
//!
//! The text alone says whom it *may* mention; who is meant is resolved against the room's
//! members when the message is sent or edited. A text is read once, when a request is parsed, and
//! the result is stored with the message: nothing reads a stored text for mentions again.
//! The cost is linear in the text ([`LOOKS_MAX`], [`NAME_CHARS_MAX`]).

use std::collections::{BTreeMap, HashMap};

use crate::email::Email;
use crate::steps;
use crate::text::{self, is_symbol, is_transparent, is_word};

/// Names considered in one message; the rest of a longer list mentions nobody.
const NAMES_MAX: usize = 100;
/// Names read in one message, kept or not: what follows mentions nobody, `@room` included.
const LOOKS_MAX: usize = 256;
/// Characters of one name, as many as an address may have.
const NAME_CHARS_MAX: usize = 254;
/// Parts that separators such as spaces set apart in one name.
const PARTS_MAX: usize = 6;
/// Readings of one name that end in its first part; every one is looked up.
const READINGS_MAX: usize = 8;
/// Readings that end in each further part.
const FURTHER_READINGS_MAX: usize = 3;
/// Bytes of all readings of one message; names after that mention nobody.
const READINGS_BYTES_MAX: usize = 32 * 1024;
/// Punctuation that names and addresses have inside.
const NAME_PUNCTUATION: &str = "!#$%&'*+/=?^`{|}~.-@\u{2019}\u{b7}";

/// Whom a text may mention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// For each mention, its readings, longest first: the longest that someone in the room bears
    /// is meant. A reading is an [`Email::key`] or a [`name_key`].
    pub names: Vec<Vec<String>>,
    /// Whether everyone in the room is mentioned.
    pub room: bool,
    /// Whether everyone who is online is mentioned.
    pub here: bool,
}

impl Mentions {
    /// Bytes that its names take up.
    pub fn bytes(&self) -> usize {
        self.names.iter().flatten().map(String::len).sum()
    }

    /// Whether nobody is mentioned.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.room && !self.here
    }
}

/// Finds the mentions of a text: only where no word character stands before the `@`, and not
/// inside code spans (`CommonMark` 6.1) or fenced code blocks (4.5).
pub fn find(body: &str) -> Mentions {
    let mut mentions = Mentions::default();
    if !body.contains('@') {
        return mentions;
    }
    let text = text::nfc(&without_code(body));
    let mut looks = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        steps::count(1);
        let after = &text[at + c.len_utf8()..];
        if is_transparent(c) {
            continue;
        }
        // No name begins with `@`: of several in a row the last one counts.
        if c == '@' && !before.is_some_and(is_word) && !after.starts_with('@') {
            if looks == LOOKS_MAX {
                break;
            }
            looks += 1;
            read_name(after, &mut mentions);
        }
        before = Some(c);
    }
    mentions
}

/// The text, in NFC, with people's names in the place of what mentions them: `@ada@acme.example`
/// becomes `@Ada Lovelace`. `people` has the names of those whom the text mentions, by [`Email::key`] and
/// [`name_key`]; everything else stays as it is, `@room` and `@here` too.
pub fn with_names(body: &str, people: &BTreeMap<String, String>) -> String {
    let text = text::nfc(body);
    if people.is_empty() || !text.contains('@') {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    let (mut looks, mut before, mut from) = (0, None, 0);
    for (at, c) in text.char_indices() {
        steps::count(1);
        if is_transparent(c) {
            continue;
        }
        let after = &text[at + c.len_utf8()..];
        let may_mention = at >= from && c == '@' && !before.is_some_and(is_word);
        if may_mention && !after.starts_with('@') && looks < LOOKS_MAX {
            looks += 1;
            let name = window(after);
            let find = |end: usize| people.get(&reading(&name[..end])).map(|one| (end, one));
            if let Some((end, person)) = ends(&name).into_iter().find_map(find) {
                shown.push_str(&text[from..=at]);
                shown.push_str(person);
                from = at + 1 + end;
            }
        }
        before = Some(c);
    }
    shown.push_str(&text[from..]);
    shown
}

/// The name that mentions somebody: `first.last`, or the only name of people who have one, as
/// [`text::identity`] compares it, with white space collapsed and without punctuation at the end,
/// which may belong to the sentence.
pub fn name_key(first_name: &str, last_name: &str) -> String {
    let name = match (first_name, last_name) {
        ("", one) | (one, "") => one.to_owned(),
        (first, last) => format!("{first}.{last}"),
    };
    let key = one_space(&text::identity(&name));
    // Of invisible characters, identity keeps the tags of flags.
    key.trim_end_matches(|c| !may_end_name(c) && !is_transparent(c)).to_owned()
}

fn may_end_name(c: char) -> bool {
    is_word(c) || is_symbol(c)
}

fn one_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads what follows an `@`.
fn read_name(after: &str, mentions: &mut Mentions) {
    let name = window(after);
    steps::count(name.len());
    let first = &name[..name.find(|c| !is_in_name(c)).unwrap_or(name.len())];
    match text::fold(first.trim_end_matches(is_trailing)).as_str() {
        "room" => return mentions.room = true,
        "here" => return mentions.here = true,
        _ => {}
    }
    if mentions.names.len() < NAMES_MAX && mentions.bytes() < READINGS_BYTES_MAX {
        let readings: Vec<_> = ends(&name).iter().map(|&end| reading(&name[..end])).collect();
        if !readings.is_empty() {
            mentions.names.push(readings);
        }
    }
}

/// The part of a text that may be one name: up to the end of the line or the next mention.
fn window(after: &str) -> String {
    let (mut has_sign, mut before) = (false, None);
    after
        .chars()
        .take(NAME_CHARS_MAX)
        .take_while(|&c| {
            let is_mention = c == '@' && (has_sign || !before.is_some_and(is_in_name));
            has_sign |= c == '@';
            if !is_transparent(c) {
                before = Some(c);
            }
            !c.is_control() && !is_mention
        })
        .collect()
}

/// Whether a character belongs to a name without separating its parts.
fn is_in_name(c: char) -> bool {
    may_end_name(c) || is_transparent(c) || NAME_PUNCTUATION.contains(c)
}

/// Where the readings of a name end, in bytes, the longest first. A shorter reading ends before
/// punctuation or a space: `@ada.lovelace's`, `@a@b.example!`, `@mary ann.smith said`.
fn ends(name: &str) -> Vec<usize> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    // The last visible character; where a reading may end after it.
    let (mut before, mut end) = (None, 0);
    for (at, c) in name.char_indices() {
        steps::count(1);
        if is_transparent(c) {
            end = at + c.len_utf8();
            continue;
        }
        if before.is_some_and(|last| may_end_name(last) && !(is_word(last) && is_word(c)))
            && let Some(part) = parts.last_mut()
        {
            part.push(end);
        }
        if is_in_name(c) && !before.is_some_and(is_in_name) {
            if parts.len() == PARTS_MAX {
                before = None;
                break;
            }
            parts.push(Vec::new());
        }
        (before, end) = (Some(c), at + c.len_utf8());
    }
    if let (Some(part), true) = (parts.last_mut(), before.is_some_and(may_end_name)) {
        part.push(end);
    }
    parts
        .iter()
        .enumerate()
        .rev()
        .flat_map(|(nth, ends)| {
            let most = if nth == 0 { READINGS_MAX } else { FURTHER_READINGS_MAX };
            ends.iter().rev().take(most).copied()
        })
        .collect()
}

fn reading(text: &str) -> String {
    // An address in any spelling of its domain, whose `ß` is not `ss`.
    match text.contains('@').then(|| Email::parse(text)) {
        Some(Ok(email)) => email.key(),
        _ => one_space(&text::identity(text)),
    }
}

fn is_trailing(c: char) -> bool {
    !is_word(c) && c != '@'
}

/// The text with code blanked out: fences first, then spans of equal runs of backticks.
fn without_code(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    let mut fence: Option<(char, usize)> = None;
    for line in body.split_inclusive('\n') {
        steps::count(line.len());
        let start = line.trim_start_matches(' ');
        let indent = line.len() - start.len();
        let mark = start.chars().next().filter(|c| matches!(c, '`' | '~'));
        let run = mark.map_or(0, |mark| start.chars().take_while(|&c| c == mark).count());
        match fence {
            Some((open, length)) => {
                let closes = mark == Some(open)
                    && run >= length
                    && indent < 4
                    && start.trim_end().chars().all(|c| c == open);
                if closes {
                    fence = None;
                }
                text.push('\n');
            }
            None => match mark {
                Some(mark)
                    if run >= 3 && indent < 4 && !(mark == '`' && start[run..].contains('`')) =>
                {
                    fence = Some((mark, run));
                    text.push('\n');
                }
                _ => text.push_str(line),
            },
        }
    }
    without_spans(&text)
}

/// The text without code spans: a run of backticks up to the next run of the same length.
fn without_spans(text: &str) -> String {
    let runs = runs(text);
    let closing = closing_runs(&runs);
    let mut kept = String::with_capacity(text.len());
    let (mut from, mut next) = (0, 0);
    while let Some(run) = runs.get(next) {
        steps::count(1);
        if let Some(close) = closing[next] {
            kept.push_str(&text[from..run.at]);
            kept.push('`');
            from = runs[close].at + runs[close].length;
            next = close + 1;
        } else {
            next += 1;
        }
    }
    kept.push_str(&text[from..]);
    kept
}

/// Backticks in a row.
struct Run {
    /// Where it starts, in bytes.
    at: usize,
    /// Backticks.
    length: usize,
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        steps::count(1);
        if byte != b'`' {
            continue;
        }
        match runs.last_mut().filter(|run| run.at + run.length == at) {
            Some(run) => run.length += 1,
            None => runs.push(Run { at, length: 1 }),
        }
    }
    runs
}

/// For each run, which later one is the next of its length.
fn closing_runs(runs: &[Run]) -> Vec<Option<usize>> {
    let mut next_of_length: HashMap<usize, usize> = HashMap::new();
    let mut closing = vec![None; runs.len()];
    for (index, run) in runs.iter().enumerate().rev() {
        steps::count(1);
        closing[index] = next_of_length.insert(run.length, index);
    }
    closing
}

#[cfg(test)]
mod tests {
    use super::{LOOKS_MAX, NAME_CHARS_MAX, find, name_key};
    use crate::steps::{self, worst};

    #[test]
    fn people_read_names_in_the_place_of_addresses() {
        let people = [("p9@big.example", "Omar O’Neil"), ("ada.lovelace", "Ada Lovelace")];
        let people = people.map(|(key, name)| (key.to_owned(), name.to_owned())).into();
        for (body, shown) in [
            (
                "hi @P9@big.example, and @Ada.Lovelace's team",
                "hi @Omar O’Neil, and @Ada Lovelace's team",
            ),
            ("@ada.lovelace", "@Ada Lovelace"),
            (
                "@room: mail p9@big.example or ask @grace.hopper",
                "@room: mail p9@big.example or ask @grace.hopper",
            ),
            ("@@ada.lovelace@", "@@Ada Lovelace@"),
            ("@", "@"),
        ] {
            assert_eq!(super::with_names(body, &people), shown);
        }
    }

    fn names(body: &str) -> Vec<String> {
        find(body).names.into_iter().flatten().collect()
    }

    #[test]
    fn people_are_mentioned_by_address_or_full_name() {
        assert_eq!(names("hi @Ada.Lovelace!"), ["ada.lovelace", "ada"]);
        assert!(names("ask @ada@example.com, please").contains(&"ada@example.com".to_owned()));
        assert!(names("ask @ada@example.com.").contains(&"ada@example.com".to_owned()));
        assert!(names("@ada.lovelace's idea").contains(&"ada.lovelace".to_owned()));
    }

    #[test]
    fn names_of_every_kind_are_read() {
        for (first, last, body) in [
            ("कृष्ण", "शर्मा", "सुनो @कृष्ण.शर्मा, चलो"),
            ("ต้น", "ใจดี", "@ต้น.ใจดี"),
            ("İlker", "Işık", "@İlker.Işık!"),
            ("ada 🌟", "love", "hi @ada 🌟.love and all"),
            ("Zoe\u{308}", "K", "(@zo\u{eb}.k)"),
            ("Zo\u{eb}", "K", "@ZOE\u{308}.K"),
            ("Mary  Ann", "O'Brien, Jr.", "@mary ann.o'brien, jr. said"),
            ("ΝΙΚΟΣ", "Παπάς", "@Νικος.παπάς"),
            ("محمد", "علي", "@محمد.علي"),
            ("Prince", "", "@prince?"),
            ("", "Cher 💃", "@Cher 💃 sings"),
            ("می\u{200c}خواهم", "ن", "@می\u{200c}خواهم.ن"),
            ("משה", "כהן", "שלום @\u{200f}משה.כהן\u{200f}, בוא"),
            ("ห\u{200b}ม", "ดี", "สวัสดี\u{200b}@หม.ดี"),
            (
                "Ada",
                "Love 🏴\u{e0067}\u{e0062}\u{e007f}",
                "@ada.love 🏴\u{e0067}\u{e0062}\u{e007f} hi",
            ),
            ("Zoe", "❤", "❤\u{fe0f}@zoe.❤\u{fe0f}"),
        ] {
            let key = name_key(first, last);
            assert!(names(body).contains(&key), "{body}: {key:?} not in {:?}", names(body));
        }
        let two = find("@ada.lovelace @alan.turing").names;
        assert_eq!(two, [["ada.lovelace", "ada"], ["alan.turing", "alan"]]);
    }

    #[test]
    fn an_address_is_read_in_any_spelling_of_its_domain() {
        assert!(!names("@max@maß.example").contains(&"max@mass.example".to_owned()));
        let key = "max.m@xn--bcher-kva.example".to_owned();
        for body in [
            "@max.m@bücher.example",
            "@Max.M@BU\u{308}CHER.example.",
            "@max.m@xn--BCHER-kva.example",
        ] {
            assert!(names(body).contains(&key), "{body}: {:?}", names(body));
        }
    }

    #[test]
    fn a_word_before_the_sign_makes_it_no_mention() {
        assert!(find("mail ada@example.com").is_empty());
        assert!(!find("mail x@room").room);
    }

    #[test]
    fn everyone_is_mentioned_by_whole_words_alone() {
        assert!(find("@room: lunch").room && find("(@Here)").here && find("@room.").room);
        assert!(!find("@roommate").room && !find("@here@example.com").here);
    }

    #[test]
    fn a_name_without_end_has_few_readings() {
        let endless = format!("@{}", "1.".repeat(5_000));
        assert_eq!(find(&endless).names.len(), 1);
        assert!(names(&endless).len() <= super::READINGS_MAX);
        assert!(find(&endless.repeat(3)).bytes() < 10_000);
    }

    #[test]
    fn code_mentions_nobody() {
        assert!(find("`@room`").is_empty());
        assert!(find("``a ` @room``").is_empty());
        assert!(find("```\n@room\n```\n").is_empty());
        assert!(find("~~~\n@room").is_empty());
        assert!(find("`open @room").room, "an unclosed span is text");
        assert!(find("```\ncode\n```\n@room").room);
    }

    #[test]
    fn only_so_many_at_signs_are_looked_at() {
        let many = "@x ".repeat(LOOKS_MAX - 1);
        assert!(find(&format!("{many}@room")).room);
        assert!(!find(&format!("{many}@x @room")).room);
        assert!(find(&format!("{}@room", "@".repeat(9_000))).room, "one name, however many signs");
    }

    #[test]
    fn reading_any_text_takes_few_steps_per_byte() {
        for (name, text) in worst::texts() {
            let steps = steps::of(|| find(&text));
            // Blanking code takes 3 per byte, the scan 1; a name 3 per byte of its at most 254
            // characters.
            let bound = 4 * text.len() + LOOKS_MAX * NAME_CHARS_MAX * 4;
            assert!(steps <= bound, "{name}: {steps} steps for {} bytes", text.len());
        }
    }

    #[test]
    fn spans_close_at_the_next_run_of_their_length() {
        assert!(find("`` ` @room ``").is_empty());
        assert!(find("` `` @room `").is_empty());
        assert!(find("``` `` @room ` ``").is_empty());
        assert!(find("`` ` @room").room);
        assert!(find("`a` @room `b`").room);
    }
}
