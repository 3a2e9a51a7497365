// Text rules: what a word and a mention is, and how texts are compared. The server has the same rules in
// common/domain/src/text and mentions.rs; tests/cases/text.json is run against both. Loaded with the
// first text that has an `@`.

/** `@` that are looked at in one text, and names that are read. */
const [LOOKS_MAX, NAMES_MAX] = [256, 100];
/** Characters of one name, and its parts, which white space separates. */
const [NAME_CHARS_MAX, PARTS_MAX] = [254, 6];
/** Readings of a name that end in its first part, and in each further part. */
const [READINGS_MAX, FURTHER_READINGS_MAX] = [8, 3];

/** Names that the server is asked for, and how long they may become known before. */
const [SOUGHT_MAX, SEEK_AFTER_MS] = [40, 1000];

/** Characters of names, for a class in a regular expression with the flag `v`: words, symbols such as emoji, invisible characters. */
export const NAME = "\\p{Alphabetic}\\p{M}\\p{N}_\\p{DI}[\\p{S}--\\p{ASCII}]";
const WORD = /^[[\p{Alphabetic}\p{M}\p{N}_]--\p{DI}]$/v;
const NAME_END = /^[[\p{Alphabetic}\p{M}\p{N}_[\p{S}--\p{ASCII}]]--\p{DI}]$/v;
/** Neither part of a word nor between words; ZERO WIDTH SPACE separates words. */
const TRANSPARENT = /^[\p{DI}--\u200b]$/v;
const IN_NAME = /^[\p{Alphabetic}\p{M}\p{N}_[\p{S}--\p{ASCII}][\p{DI}--\u200b]!#$%\&'*+\/=?^`\{\|\}~.\-@’·]$/v;
/** Invisible characters; the tags of regional flags are kept. */
const INVISIBLE = /(\u{1f3f4}[\u{e0020}-\u{e007f}]+)|\p{DI}/gv;
/** Marks that searches ignore; not the vowels of Indic and Thai words, nor the marks of Kana. */
const ACCENTS = /[[[\p{sc=Zinh}\p{sc=Latn}\p{sc=Grek}\p{sc=Cyrl}\p{sc=Hebr}\p{sc=Arab}\p{sc=Syrc}]&&\p{M}]--[\u3099\u309a]]|\u0640/gv;
const LOCAL_PART = /^[\w!#$%&'*+\/=?^`\{\|\}~\-]+(?:\.[\w!#$%&'*+\/=?^`\{\|\}~\-]+)*$/;

/** Case-folded NFC; the four letters i of Turkish are one, because the language is unknown. @param {string} text */
function fold(text) {
  // By way of the capitals, letter by letter: `ß` is `ss`, and the final sigma a sigma.
  const folded = text.normalize("NFC").replace(/[A-Z\u{80}-\u{10ffff}]/gu, (letter) => letter.toLowerCase().toUpperCase().toLowerCase());
  return folded.replaceAll("i\u0307", "i").normalize("NFC");
}

/** The form in which names and mentions are compared: accents count. @param {string} text */
export const identity = (text) => fold(text.replace(INVISIBLE, "$1"));

/** The form in which searches compare: accents and marks do not count. @param {string} text */
export const loose = (text) => identity(text.normalize("NFKD")).normalize("NFKD").replace(ACCENTS, "");

/** @param {string} text */
const oneSpace = (text) => text.split(/\p{White_Space}+/u).filter(Boolean).join(" ");

/** The name that mentions somebody. @param {string|undefined} first @param {string|undefined} last */
export function nameKey(first, last) {
  const name = [...oneSpace(identity(first && last ? `${first}.${last}` : first || last || ""))];
  while (name.length && !NAME_END.test(name.at(-1) ?? "") && !TRANSPARENT.test(name.at(-1) ?? "")) name.pop();
  return name.join("");
}

/** An address in the form in which addresses are compared; null where it is none. @param {string} text */
export function emailKey(text) {
  const at = text.lastIndexOf("@");
  const [local, domain] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 1 || local.length > 64 || !LOCAL_PART.test(local) || /[^\p{L}\p{M}\p{N}\p{S}\p{DI}.·\-]|[$+<=>^`|~]/u.test(domain)) return null;
  try {
    const { hostname } = new URL(`http://${domain}`);
    return /\.[a-z0-9-]*[a-z][a-z0-9-]*$/.test(hostname) ? `${local.toLowerCase()}@${hostname}` : null;
  } catch {
    return null;
  }
}

/**
 * @typedef {{length: number, key: string}} Reading the first `length` UTF-16 units after the `@`, and the name or address that they are
 * @typedef {{at: number, everyone: string, readings: Reading[]}} Mention `at`: of the `@`; `everyone`: "room", "here" or ""; `readings`: the longest first, the longest that someone has counts
 */

/** The mentions of a text that has no code, in NFC. @param {string} text @returns {Mention[]} */
export function mentionsIn(text) {
  const found = [];
  for (let at = text.indexOf("@"), looks = 0, names = 0; at >= 0 && looks < LOOKS_MAX; at = text.indexOf("@", at + 1)) {
    // Of several `@` in a row the last one counts.
    if (WORD.test(before(text, at)) || text[at + 1] === "@") continue;
    looks++;
    const mention = read(text.slice(at + 1, at + 1 + NAME_CHARS_MAX * 2), names < NAMES_MAX);
    if (!mention) continue;
    found.push({ at, ...mention });
    if (!mention.everyone) names++;
  }
  return found;
}

/** The visible character before a place. @param {string} text @param {number} at */
function before(text, at) {
  for (let from = at; from > 0; ) {
    const letter = [...text.slice(Math.max(0, from - 2), from)].at(-1) ?? "";
    if (!TRANSPARENT.test(letter)) return letter;
    from -= letter.length;
  }
  return "";
}

/** As much of a text as may be one name: of its line, up to the next mention. @param {string} after @returns {string[]} */
function nameWindow(after) {
  const letters = [...after].slice(0, NAME_CHARS_MAX);
  let [hasSign, last] = [false, ""];
  const end = letters.findIndex((letter) => {
    const isMention = letter === "@" && (hasSign || !IN_NAME.test(last));
    hasSign ||= letter === "@";
    if (!TRANSPARENT.test(letter)) last = letter;
    return isMention || /\p{Cc}/u.test(letter);
  });
  return end < 0 ? letters : letters.slice(0, end);
}

/** @param {string} after what follows an `@` @param {boolean} readsNames @returns {{everyone: string, readings: Reading[]}|null} */
function read(after, readsNames) {
  const letters = nameWindow(after);
  let size = letters.findIndex((letter) => !IN_NAME.test(letter));
  if (size < 0) size = letters.length;
  while (size && !WORD.test(letters[size - 1]) && letters[size - 1] !== "@") size--;
  const first = letters.slice(0, size).join("");
  const everyone = first.length < 8 ? fold(first) : "";
  if (everyone === "room" || everyone === "here") return { everyone, readings: [{ length: first.length, key: everyone }] };
  if (!readsNames) return null;
  const text = letters.join("");
  const readings = endsOf(letters).flatMap((ends, nth) => ends.reverse().slice(0, nth ? FURTHER_READINGS_MAX : READINGS_MAX)
    .map((length) => ({ length, key: keyOf(text.slice(0, length)) }))).sort((a, b) => b.length - a.length);
  return readings.length ? { everyone: "", readings } : null;
}

/** @param {string} text */
const keyOf = (text) => (text.includes("@") && emailKey(text)) || oneSpace(identity(text));

/** Where readings may end, by the parts of the name: after a word or symbol that no word follows. @param {string[]} letters */
function endsOf(letters) {
  /** @type {number[][]} */
  const parts = [];
  // The last visible character, and where it and the invisible ones after it end.
  let [last, end] = ["", 0];
  for (const letter of letters) {
    if (TRANSPARENT.test(letter)) {
      end += letter.length;
      continue;
    }
    if (NAME_END.test(last) && !(WORD.test(last) && WORD.test(letter))) parts.at(-1)?.push(end);
    if (IN_NAME.test(letter) && !IN_NAME.test(last)) {
      if (parts.length === PARTS_MAX) return parts;
      parts.push([]);
    }
    [last, end] = [letter, end + letter.length];
  }
  if (NAME_END.test(last)) parts.at(-1)?.push(end);
  return parts;
}

/** A text without its code: fences first, then spans of equal runs of backticks (CommonMark 4.5, 6.1). @param {string} text */
export function withoutCode(text) {
  if (!/[`~]/.test(text)) return text;
  let fence = "";
  const lines = text.split("\n").map((line) => {
    const [, indent = "", run = ""] = line.match(/^( *)(`+|~+)/) ?? [];
    if (fence) {
      if (run[0] === fence[0] && run.length >= fence.length && indent.length < 4 && line.trim() === run) fence = "";
      return "";
    }
    if (run.length < 3 || indent.length > 3 || (run[0] === "`" && line.slice(indent.length + run.length).includes("`"))) return line;
    fence = run;
    return "";
  });
  return withoutSpans(lines.join("\n"));
}

/** @param {string} text */
function withoutSpans(text) {
  const runs = [...text.matchAll(/`+/g)].map(({ 0: run, index }) => ({ from: index, size: run.length }));
  /** The next run of each length. @type {Map<number, number>} */
  const next = new Map();
  const closing = runs.map(() => -1);
  for (let n = runs.length - 1; n >= 0; n--) {
    closing[n] = next.get(runs[n].size) ?? -1;
    next.set(runs[n].size, n);
  }
  let [kept, from] = ["", 0];
  for (let n = 0; n < runs.length; n++) {
    if (closing[n] < 0) continue;
    kept += `${text.slice(from, runs[n].from)}\``;
    n = closing[n];
    from = runs[n].from + runs[n].size;
  }
  return kept + text.slice(from);
}

/**
 * Asks the caller's organizations for whom a text mentions that is not in a room that was looked at.
 * @param {import("../chatboard.js").ChatBoard} board @param {Reading[]} readings @param {Set<string>} sought what was asked for
 * @returns {Promise<boolean>} whether somebody is known now
 */
export async function seek(board, readings, sought) {
  const keys = readings.map(({ key }) => key);
  const key = keys.findLast((one) => /@.*\./.test(one)) ?? keys.findLast((one) => one.includes(".") && !one.includes("@"));
  if (!key || sought.has(key) || sought.size >= SOUGHT_MAX) return false;
  sought.add(key);
  await new Promise((done) => setTimeout(done, SEEK_AFTER_MS));
  const search = key.includes("@") ? key : key.replace(".", " ");
  for (const { id } of board.orgs) {
    if (board.names.named(key).length) break;
    const { results } = await board.request("GET", `/orgs/${id}/members/?${new URLSearchParams({ limit: "5", search })}`);
    for (const one of results) board.learn({ id: one.user, email: one.user_email, first_name: one.user_first_name, last_name: one.user_last_name });
  }
  return board.names.named(key).length > 0;
}
