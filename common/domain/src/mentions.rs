//! Mentions in a message's text: `@email`, `@first_name.last_name`, `@room`, `@here`.
//!
//! The text alone says whom it *may* mention; who is meant is resolved against the room's
//! members when the message is sent or edited. A text is read once, when a request is parsed, and
//! the result is stored with the message: nothing reads a stored text for mentions again.
//! The cost is linear in the text ([`LOOKS_MAX`], [`NAME_CHARS_MAX`]).

use std::collections::HashMap;

use crate::steps;

/// Names considered in one message; the rest of a longer list mentions nobody.
const NAMES_MAX: usize = 100;
/// Names read in one message, kept or not: what follows mentions nobody, `@room` included.
const LOOKS_MAX: usize = 256;
/// Characters of one name, as many as an address may have.
const NAME_CHARS_MAX: usize = 254;
/// Readings of one name, longest first; every one is looked up.
const READINGS_MAX: usize = 8;

/// Whom a text may mention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// For each mention, its readings as an e-mail address or `first.last`, in lower case, longest
    /// first: the longest that someone in the room bears is meant.
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
    let text = without_code(body);
    let mut looks = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        steps::count(1);
        let after = &text[at + c.len_utf8()..];
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

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads what follows an `@`.
fn read_name(after: &str, mentions: &mut Mentions) {
    let name: String = after
        .chars()
        .take_while(|&c| is_word(c) || "!#$%&'*+/=?^`{|}~.-@".contains(c))
        .take(NAME_CHARS_MAX)
        .collect();
    steps::count(name.len());
    let word: String = name.chars().take_while(|&c| is_word(c)).collect();
    let is_whole = word.len() == name.trim_end_matches(is_trailing).len();
    match word.to_lowercase().as_str() {
        "room" if is_whole => mentions.room = true,
        "here" if is_whole => mentions.here = true,
        _ => {}
    }
    if mentions.names.len() < NAMES_MAX {
        let readings = readings(&name.to_lowercase());
        if !readings.is_empty() {
            mentions.names.push(readings);
        }
    }
}

/// The readings of a name, longest first. Every shorter one ends before punctuation:
/// `@ada.lovelace's`, `@a@b.example!`.
fn readings(name: &str) -> Vec<String> {
    // A reading has a `.` or `@` in it.
    let Some(first_mark) = name.find(['.', '@']) else { return Vec::new() };
    let mut readings = Vec::new();
    let mut is_boundary = true;
    for (at, c) in name.char_indices().rev() {
        steps::count(1);
        if at < first_mark || readings.len() == READINGS_MAX {
            break;
        }
        if is_boundary && is_word(c) {
            readings.push(name[..at + c.len_utf8()].to_owned());
        }
        is_boundary = !is_word(c);
    }
    readings
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
    use super::{LOOKS_MAX, NAME_CHARS_MAX, find};
    use crate::steps::{self, worst};

    fn names(body: &str) -> Vec<String> {
        find(body).names.into_iter().flatten().collect()
    }

    #[test]
    fn people_are_mentioned_by_address_or_full_name() {
        assert_eq!(names("hi @Ada.Lovelace!"), ["ada.lovelace"]);
        assert!(names("ask @ada@example.com, please").contains(&"ada@example.com".to_owned()));
        assert!(names("ask @ada@example.com.").contains(&"ada@example.com".to_owned()));
        assert!(names("@ada.lovelace's idea").contains(&"ada.lovelace".to_owned()));
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
