// Completion in the composer: what stands before the caret, what fits, and what is written for it.
// People after `@`, emoji after `:`.

import { board } from "/state.js";
import { dress } from "/dress.js";

await dress("more-style");

/** @typedef {{id: number, name: string, note: string, insert: string, emoji?: string}} Choice `id`: a person's, 0 for what is none */

/** Choices that are offered at once. */
const MOST = 8;

const WORD = "\\p{Alphabetic}\\p{M}\\p{N}_";
const PERSON = new RegExp(`(?:^|[^${WORD}@])(@([${WORD}][${WORD}'’.+@-]*(?: [${WORD}'’.-]+){0,3}|))$`, "u");
const EMOJI = /(?:^|[\s(])(:([a-z0-9_+-]{2,32}))$/i;

/** What the caret stands at the end of; null when nothing is completed there. @param {HTMLTextAreaElement} field @returns {{kind: "@"|":", text: string, typed: string}|null} */
export function wordAt(field) {
  const before = field.value.slice(Math.max(0, field.selectionStart - 60), field.selectionStart);
  const person = before.match(PERSON);
  if (person) return { kind: "@", text: person[2], typed: person[1] };
  const emoji = before.match(EMOJI);
  return emoji ? { kind: ":", text: emoji[2], typed: emoji[1] } : null;
}

/** Without case, accents and the shape of an apostrophe. @param {string} text */
const fold = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").replaceAll("’", "'").toLowerCase();

/** How well somebody fits: their name from its start, from one of its words, their address, a part of the name; 9 is not at all. @param {string} name @param {string} email @param {string} wanted folded */
function rank(name, email, wanted) {
  const folded = fold(name);
  if (folded.startsWith(wanted) || folded.replaceAll(" ", ".").startsWith(wanted)) return 0;
  if (folded.includes(` ${wanted}`)) return 1;
  if (email.toLowerCase().startsWith(wanted)) return 2;
  return !wanted.includes(" ") && folded.includes(wanted) ? 3 : 9;
}

/** @param {string} word after the `@` @param {import("/chatboard/room.js").Room} room @returns {Choice[]} the best first, everyone last */
function people(word, room) {
  const wanted = fold(word);
  const known = (room.members ?? []).filter((id) => id !== board.user?.id).map((id) => board.people.get(id)).filter((one) => one !== undefined);
  const short = (/** @type {any} */ one) => `${one.first_name}.${one.last_name}`;
  /** @type {Map<string, number>} */
  const bearers = new Map();
  for (const one of known) bearers.set(short(one).toLowerCase(), (bearers.get(short(one).toLowerCase()) ?? 0) + 1);
  const found = known.map((one) => {
    const name = board.nameOf(one.id);
    // A name that another bears too, or that has spaces, would not mean this person alone: the address does.
    const isPlain = one.first_name && one.last_name && new RegExp(`^[${WORD}'.-]+$`, "u").test(short(one)) && bearers.get(short(one).toLowerCase()) === 1;
    return { id: one.id, name, note: one.email, insert: `@${isPlain ? short(one) : one.email} `, rank: rank(name, one.email, wanted) };
  }).filter((one) => one.rank < 9).sort((a, b) => a.rank - b.rank || a.name.localeCompare(b.name));
  const all = room.info.is_dm ? [] : [["here", "everyone who is online"], ["room", "everyone in this room"]]
    .filter(([name]) => name.startsWith(wanted)).map(([name, note]) => ({ id: 0, name, note, insert: `@${name} ` }));
  return [...found.slice(0, MOST - all.length), ...all];
}

/** @param {NonNullable<ReturnType<typeof wordAt>>} word @param {import("/chatboard/room.js").Room} room @returns {Promise<Choice[]>} the best first */
export async function choices({ kind, text }, room) {
  if (kind === "@") return people(text, room);
  const { search, withTone } = await import("./emoji.js");
  return (await search(text, MOST)).map((one) => ({ id: 0, name: `:${one.shortcode}:`, note: one.label, emoji: withTone(one), insert: `${withTone(one)} ` }));
}

/** Puts a choice in the place of the word. @param {HTMLTextAreaElement} field @param {Choice} choice */
export function complete(field, choice) {
  const at = field.selectionStart;
  field.setRangeText(choice.insert, at - (wordAt(field)?.typed.length ?? 0), at, "end");
}
