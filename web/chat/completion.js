// Completion in the composer: what stands before the caret, what fits, and what is written for it.
// People after `@`, emoji after `:`.

import { html } from "lit";
import { board } from "/state.js";
import { dress } from "/dress.js";
import { use } from "./emoji-used.js";
import { avatar } from "./people.js";
import { NAME, loose, mentionsIn, nameKey } from "/chatboard/mentions.js";

await dress("more-style");

/** @typedef {{id: number, name: string, note: string, insert: string, emoji?: string, codes?: string[]}} Choice `id`: a person's, 0 for what is none; `codes`: all shortcodes of an emoji */

/** Choices that are offered at once. */
const MOST = 8;

const PERSON = new RegExp(`(?:^|[^[\\p{Alphabetic}\\p{M}\\p{N}_@]--\\p{DI}])(@([${NAME}][${NAME}'’.+@\\-]*(?: [${NAME}'’.\\-]+){0,3}|))$`, "v");
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
const fold = (text) => loose(text).replaceAll("’", "'");

/** How well somebody fits: their name from its start, from one of its words, their address, a part of the name; 9 is not at all. @param {string} name @param {string} email @param {string} wanted folded */
function rank(name, email, wanted) {
  const folded = fold(name);
  if (folded.startsWith(wanted) || folded.replaceAll(" ", ".").startsWith(wanted)) return 0;
  if (folded.includes(` ${wanted}`)) return 1;
  if (email.toLowerCase().startsWith(wanted)) return 2;
  return !wanted.includes(" ") && folded.includes(wanted) ? 3 : 9;
}

/** Whether `@first.last` mentions this person and nobody else in the room. @param {import("/chatboard/room.js").Person} one @param {import("/chatboard/room.js").Room} room */
function isMention({ first_name: first, last_name: last }, room) {
  if (!first || !last || /\s/.test(first + last)) return false;
  const name = `${first}.${last}`.normalize("NFC");
  const reading = mentionsIn(`@${name}`)[0]?.readings[0];
  return reading?.key === nameKey(first, last) && reading.length === name.length && board.names.named(reading.key).filter((id) => room.members?.includes(id)).length === 1;
}

/** @param {string} word after the `@` @param {import("/chatboard/room.js").Room} room @returns {Choice[]} the best first, everyone last */
function people(word, room) {
  const wanted = fold(word);
  const known = (room.members ?? []).filter((id) => id !== board.user?.id).map((id) => board.people.get(id)).filter((one) => one !== undefined);
  const found = known.map((one) => {
    const name = board.nameOf(one.id);
    // A name that another bears too, or that has spaces, would not mean this person alone: the address does.
    const short = isMention(one, room) ? `${one.first_name}.${one.last_name}` : one.email;
    return { id: one.id, name, note: one.email, insert: `@${short} `, rank: rank(name, one.email, wanted) };
  }).filter((one) => one.rank < 9).sort((a, b) => a.rank - b.rank || a.name.localeCompare(b.name));
  const all = room.info.is_dm ? [] : [["here", "everyone who is online"], ["room", "everyone in this room"]]
    .filter(([name]) => name.startsWith(wanted)).map(([name, note]) => ({ id: 0, name, note, insert: `@${name} ` }));
  return [...found.slice(0, MOST - all.length), ...all];
}

/** @param {NonNullable<ReturnType<typeof wordAt>>} word @param {import("/chatboard/room.js").Room} room @returns {Promise<Choice[]>} the best first */
export async function choices({ kind, text }, room) {
  if (kind === "@") return people(text, room);
  const { search, withTone } = await import("./emoji.js");
  return (await search(text, MOST)).map((one) => ({ id: 0, name: `:${one.shortcode}:`, codes: one.shortcodes, note: one.label, emoji: withTone(one), insert: `${withTone(one)} ` }));
}

/** @typedef {import("./composer.js").ChatComposer} Composer */

/** Puts a choice in the place of the word. @param {Composer} composer @param {Choice} choice */
function pick(composer, choice) {
  const { field } = composer;
  const at = field.selectionStart;
  field.setRangeText(choice.insert, at - (wordAt(field)?.typed.length ?? 0), at, "end");
  if (choice.emoji) use(choice.emoji);
  composer.found = [];
  field.focus();
  composer.typed();
}

/** Takes the emoji whose shortcode was written to its end. @param {Composer} composer @returns {boolean} whether there is one */
function pickWhole(composer) {
  const code = wordAt(composer.field)?.text ?? "";
  const whole = composer.found.find((one) => one.codes?.includes(code));
  if (whole) pick(composer, whole);
  return Boolean(whole);
}

/** Whether a key was for the choices, and is done with. @param {Composer} composer @param {KeyboardEvent} event */
export function keys(composer, event) {
  const { found, chosen } = composer;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) composer.chosen = (chosen + step + found.length) % found.length;
  else if (event.key === "Enter" || event.key === "Tab") pick(composer, found[chosen]);
  else if (event.key === ":") return pickWhole(composer);
  else if (event.key === "Escape") composer.found = [];
  else return false;
  return true;
}

/** @param {Composer} composer */
export const renderChoices = (composer) => html`<ul class="choices" role="listbox" id="mention-choices" aria-label="Suggestions">${composer.found.map((one, n) => html`
  <li role="option" id=${`mention-${n}`} aria-selected=${n === composer.chosen} @pointerdown=${(/** @type {Event} */ event) => { event.preventDefault(); pick(composer, one); }}>
    ${one.id ? avatar(one.id, composer.room.online.has(one.id)) : html`<span class="avatar avatar-all" aria-hidden="true">${one.emoji ?? "@"}</span>`}<bdi>${one.name}</bdi><small>${one.note}</small></li>`)}</ul>`;
