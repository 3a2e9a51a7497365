// The emoji: found by name, the ones used lately first, with the skin tone that one chose. Their data
// are loaded with this.

import { GROUPS } from "/vendor/emoji.js";
import { lately } from "./emoji-used.js";

/** @typedef {{emoji: string, hasTones: boolean, shortcode: string, shortcodes: string[], label: string, words: string[]}} Emoji */

const TONE = "chatboard.emoji-tone";

/** All emoji, in their groups. @type {{name: string, emoji: Emoji[]}[]} */
export const groups = GROUPS.map(([name, lines]) => ({
  name,
  emoji: lines.split("\n").map((line) => {
    const [emoji, tones, codes, label, words] = line.split("\t");
    const shortcodes = codes.split(" ");
    return { emoji, hasTones: tones === "1", shortcode: shortcodes[0], shortcodes, label, words: words.split(" ") };
  }),
}));

/** @type {Map<string, Emoji>} */
const byCharacter = new Map();
for (const { emoji } of groups) for (const one of emoji) byCharacter.set(one.emoji, one);

/** The chosen skin tone: 0 is none, 5 the darkest. */
export const tone = () => Math.min(5, Number(localStorage.getItem(TONE)) || 0);

/** @param {number} chosen */
export const setTone = (chosen) => localStorage.setItem(TONE, String(chosen));

/** @param {Emoji} one @param {number} [chosen] */
export function withTone({ emoji, hasTones }, chosen = tone()) {
  if (!hasTones || !chosen) return emoji;
  const [first, ...rest] = [...emoji];
  return first + String.fromCodePoint(0x1f3fa + chosen) + rest.join("").replace(/^\ufe0f/, "");
}

/** The name of an emoji, with any tone. @param {string} emoji */
export const nameOf = (emoji) => byCharacter.get(emoji)?.label ?? byCharacter.get(emoji.replace(/[\u{1f3fb}-\u{1f3ff}]/gu, ""))?.label ?? emoji;

/** How well an emoji fits: its shortcode, from the start of it, a word of its name, another word for it, a part; 9 is not at all. @param {Emoji} one @param {string} wanted */
function rank({ shortcodes, label, words }, wanted) {
  if (shortcodes.includes(wanted)) return 0;
  if (shortcodes.some((code) => code.startsWith(wanted))) return 1;
  const spaced = wanted.replaceAll("_", " ");
  if (label.toLowerCase().split(/[ :-]+/).some((word) => word.startsWith(spaced)) || label.toLowerCase().includes(` ${spaced}`)) return 2;
  if (words.some((word) => word.startsWith(wanted))) return 3;
  return shortcodes.some((code) => code.includes(wanted)) ? 4 : 9;
}

/** @param {string} text @param {number} most @returns {Emoji[]} the best first */
export function search(text, most) {
  const wanted = text.trim().replace(/^:|:$/g, "").toLowerCase();
  const used = lately();
  const last = (/** @type {Emoji} */ { emoji }) => (used.indexOf(emoji) + used.length + 1) % (used.length + 1);
  return groups.flatMap(({ emoji }) => emoji).map((one) => ({ one, rank: rank(one, wanted) })).filter((found) => found.rank < 9)
    .sort((a, b) => a.rank - b.rank || last(a.one) - last(b.one)).slice(0, most).map(({ one }) => one);
}
