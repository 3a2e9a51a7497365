//! Mentions in a message's text: `@email`, `@first_name.last_name`, `@room`, `@here`.
//!
//! The text alone says whom it *may* mention; who is meant is resolved against the room's
//! members when the message is sent or edited.

/// Names considered in one message; the rest of a longer list mentions nobody.
const NAMES_MAX: usize = 100;
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
    let mut before = None;
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if c == '@' && !before.is_some_and(is_word) {
            read_name(after, &mut mentions);
        }
        before = Some(c);
        rest = after;
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
    let word: String = name.chars().take_while(|&c| is_word(c)).collect();
    match word.to_lowercase().as_str() {
        "room" if word.len() == name.trim_end_matches(is_trailing).len() => mentions.room = true,
        "here" if word.len() == name.trim_end_matches(is_trailing).len() => mentions.here = true,
        _ => {}
    }
    if mentions.names.len() >= NAMES_MAX {
        return;
    }
    // Every shorter reading ends at punctuation: `@ada.lovelace's`, `@a@b.example!`.
    let mut reading = name.to_lowercase();
    let mut readings = Vec::new();
    loop {
        if reading.contains(['.', '@']) && reading.ends_with(is_word) {
            readings.push(reading.clone());
            if readings.len() == READINGS_MAX {
                break;
            }
        }
        let Some(cut) = reading.rfind(|c: char| !is_word(c)) else { break };
        reading.truncate(cut);
    }
    if !readings.is_empty() {
        mentions.names.push(readings);
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

fn without_spans(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        kept.push_str(&rest[..at]);
        let run = rest[at..].bytes().take_while(|&b| b == b'`').count();
        let inside = &rest[at + run..];
        if let Some(end) = closing_run(inside, run) {
            kept.push('`');
            rest = &inside[end + run..];
        } else {
            kept.push_str(&rest[at..at + run]);
            rest = inside;
        }
    }
    kept.push_str(rest);
    kept
}

/// Where a run of exactly `run` backticks starts.
fn closing_run(text: &str, run: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'`' {
            let here = bytes[at..].iter().take_while(|&&b| b == b'`').count();
            if here == run {
                return Some(at);
            }
            at += here;
        } else {
            at += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::find;

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
}
