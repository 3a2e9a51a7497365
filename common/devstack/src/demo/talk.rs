//! What the people of the demo data say.

/// Messages that each room has at least.
const MESSAGES_MIN: usize = 60;

/// How often a room's lines are said, so that there is something to scroll through.
pub(super) fn rounds(lines: usize) -> usize {
    MESSAGES_MIN.div_ceil(lines.max(1))
}

/// A line as it is said in a round: the builds and visitors have other numbers each time.
pub(super) fn vary(line: &str, round: usize) -> String {
    line.replace("{n}", &(41 + round).to_string())
}

pub(super) const GENERAL: &[&str] = &[
    "Good morning, everyone.",
    "Morning! The notes of yesterday's meeting are on the wiki, corrections welcome.",
    "Thanks, reading them now.",
    "Release {n} goes out at three. Please say so here if anything should hold it up.",
    "Nothing from my side.",
    "All green here.",
    "The customer in Lisbon says the new search is *so* much faster.",
    "That is lovely to hear. @Grace.Hopper, that was your patch.",
    "It was three lines, and a week to find them.",
    "Reminder: the office is closed on Friday.",
    "Visitor number {n} today. Somebody show them the roof, please.",
    "On it.",
    "Release {n} is out. No surprises so far.",
    "Well done, all. See you tomorrow.",
];

pub(super) const RANDOM: &[&str] = &[
    "The coffee machine is back from the dead.",
    "Who do we thank?",
    "@Katherine.Johnson and a paper clip.",
    "It was two paper clips.",
    "My cat has discovered the standing desk's button.",
    "We need a picture of that.",
    "Puzzle of the day: a number that is both the sum and the product of three positive integers?",
    "6, by 1, 2 and 3. Next one, please.",
    "You are no fun, @Alan.Turing.",
    "Lunch at the noodle place? Table for {n}, apparently.",
    "I am in.",
    "Me too, after this build.",
];

pub(super) const ENGINEERING: &[&str] = &[
    "Build {n} fails on the slow machine only. Timing, I suppose.",
    "Which test?",
    "`reconnects_after_a_partition`. It waits for a value, so it should not care.",
    "Unless the value never comes. Let me look at the log.",
    "```\nexpected seq 118, found 120\n```",
    "So a gap that was not repaired. That is a real bug then, not a flake.",
    "Found it: we asked for the head *before* the subscription was acknowledged.",
    "Good find. A comment there, please, for whoever comes next.",
    "Review is up. Small change, long explanation.",
    "Approved. I like the explanation.",
    "Merged. Build {n} is green on every machine.",
    "@room the staging database moves tonight at ten; expect a minute of silence.",
    "Noted, thank you.",
    "Moved. It took 40 seconds.",
];

pub(super) const LEADERSHIP: &[&str] = &[
    "Can we talk about the plan for the next quarter here before it is public?",
    "Yes. My draft has three goals; I would rather have two.",
    "Which one would you drop?",
    "The third. It is a nice idea that nobody has asked for.",
    "Agreed. Then plan {n} it is; I will write it up.",
    "And let us tell everyone on Monday, not in the hallway.",
];

pub(super) const DIRECT: &[&str] = &[
    "Do you have ten minutes for the proof?",
    "Always. Is it the halting one again?",
    "It never ends. :)",
    "Very good. Room {n}, now?",
    "On my way.",
    "Thank you, that helped. I had the quantifiers the wrong way round.",
];
