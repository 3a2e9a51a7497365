// Completion in the composer: what stands before the caret, what fits, and what is written for it.
// People after `@`, emoji after `:`. In the field people stand by their names; what is sent has what mentions them.

import { html, nothing } from "lit";
import { board } from "/state.js";
import { dress } from "/dress.js";
import { use } from "./emoji-used.js";
import { avatar, marksIn } from "./people.js";
import { NAME, loose, mentionsIn, nameKey } from "/chatboard/mentions.js";

await dress("more-style");

/** @typedef {{id: number, name: string, note: string, insert: string, emoji?: string, codes?: string[], isOutside?: boolean}} Choice `id`: a person's, 0 for what is none; `codes`: all shortcodes of an emoji; `isOutside`: not in the room */
/** @typedef {import("/chatboard/room.js").Person} Person */
/** @typedef {import("/chatboard/room.js").Room} Room */

/** Choices that are offered at once. */
const MOST = 8;
/** Letters after which people outside the room are offered too, how many, and how long is waited for the next letter. */
const [OUTSIDE_AFTER, OUTSIDE_MOST, TYPING_MS] = [2, 5, 150];

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

/** Without case and accents; apostrophes are left out, and what joins words is a space. @param {string} text */
const fold = (text) => loose(text).replace(/['’‘ʼ`´]/g, "").replace(/[\s._\-]+/g, " ");

/** How well somebody fits: their name from its start, from one of its words, their address or a word of it, a part of the name; 9 is not at all. @param {string} name @param {string} email @param {string} word */
function rank(name, email, word) {
  const [folded, wanted] = [fold(name), fold(word)];
  if (folded.startsWith(wanted)) return 0;
  if (folded.includes(` ${wanted}`)) return 1;
  const address = email.toLowerCase();
  if (address.startsWith(word.toLowerCase()) || ` ${fold(address.split("@")[0])}`.includes(` ${wanted}`)) return 2;
  return !wanted.includes(" ") && folded.replaceAll(" ", "").includes(wanted) ? 3 : 9;
}

/** Whether `@first.last` mentions this person and nobody else in the room. @param {Person} one @param {Room} room */
function isMention({ first_name: first, last_name: last }, room) {
  if (!first || !last || /\s/.test(first + last)) return false;
  const name = `${first}.${last}`.normalize("NFC");
  const reading = mentionsIn(`@${name}`)[0]?.readings[0];
  return reading?.key === nameKey(first, last) && reading.length === name.length && board.names.named(reading.key).filter((id) => room.members?.includes(id)).length === 1;
}

/** What mentions a person of a room, after the `@`. @param {Person} one @param {Room} room */
const tokenOf = (one, room) => (isMention(one, room) ? `${one.first_name}.${one.last_name}` : one.email);

/** The people of a room by their names; null for a name that several have. @param {Room} room */
function namesIn(room) {
  /** @type {Map<string, Person|null>} */
  const names = new Map();
  for (const id of room.members ?? []) {
    const one = id === board.user?.id ? board.user : board.people.get(id);
    if (!one) continue;
    const name = board.nameOf(id).normalize("NFC");
    names.set(name, names.has(name) ? null : one);
  }
  return names;
}

const CODE = /(```[\s\S]*?(?:```|$)|`[^`\n]*`)/;

/** Changes a text where it is no code. @param {string} text @param {(part: string) => string} change */
const besideCode = (text, change) => (text.includes("@") ? text.normalize("NFC").split(CODE).map((part, n) => (n % 2 ? part : change(part))).join("") : text);

/** What is sent for a text that was written: it has what mentions people in the place of their names. @param {string} text @param {Room} room */
export function toSend(text, room) {
  const names = namesIn(room);
  const all = [...names.keys()].filter((name) => names.get(name)).sort((a, b) => b.length - a.length);
  if (!all.length) return text;
  const written = all.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  const found = new RegExp(`(?<![\\p{L}\\p{M}\\p{N}_@])@(${written})(?![\\p{L}\\p{M}\\p{N}_@]|[.+\\-][\\p{L}\\p{N}_])`, "gu");
  return besideCode(text, (part) => part.replace(found, (_, name) => `@${tokenOf(/** @type {Person} */ (names.get(name)), room)}`));
}

/** What is shown in the field of a text that was sent. @param {string} text @param {Room} room */
export function toWrite(text, room) {
  const names = namesIn(room);
  return besideCode(text, (part) => {
    let [shown, from] = ["", 0];
    for (const { at, token, name } of marksIn(part)) {
      if (at < from || !names.get(name.normalize("NFC"))) continue;
      shown += `${part.slice(from, at)}@${name}`;
      from = at + 1 + token.length;
    }
    return shown + part.slice(from);
  });
}

/** @param {Person} one @param {string} word @param {string} insert */
const choiceOf = (one, word, insert) => {
  const name = board.nameOf(one.id);
  return { id: one.id, name, note: one.email, insert: `@${insert} `, rank: rank(name, one.email, word) };
};

/** @param {string} word after the `@` @param {Room} room @returns {Choice[]} the best first, everyone last */
function people(word, room) {
  const names = namesIn(room);
  const known = (room.members ?? []).filter((id) => id !== board.user?.id).map((id) => board.people.get(id)).filter((one) => one !== undefined);
  const found = known.map((one) => {
    const name = board.nameOf(one.id);
    return choiceOf(one, word, names.get(name.normalize("NFC")) ? name : tokenOf(one, room));
  }).filter((one) => one.rank < 9).sort((a, b) => a.rank - b.rank || a.name.localeCompare(b.name));
  const all = room.info.is_dm ? [] : [["here", "everyone who is online"], ["room", "everyone in this room"]]
    .filter(([name]) => name.startsWith(fold(word))).map(([name, note]) => ({ id: 0, name, note, insert: `@${name} ` }));
  return [...found.slice(0, MOST - all.length), ...all];
}

/**
 * People who fit and are not offered yet: those of a large room, and those of the organization who are not in it.
 * @param {NonNullable<ReturnType<typeof wordAt>>} word @param {Room} room @param {() => boolean} isWanted asked when no letter came for a moment @returns {Promise<Choice[]>}
 */
export async function others({ kind, text }, room, isWanted) {
  if (kind !== "@" || room.info.is_dm || text.length < OUTSIDE_AFTER) return [];
  await new Promise((done) => setTimeout(done, TYPING_MS));
  if (!isWanted()) return [];
  const find = (/** @type {string} */ path) => board.request("GET", `${path}?${new URLSearchParams({ limit: String(MOST), search: text })}`).then(({ results }) => results);
  const isWhole = (room.members?.length ?? 0) >= room.info.members_count;
  const [inside, all] = await Promise.all([isWhole ? [] : find(`/rooms/${room.id}/members/`), find(`/orgs/${room.info.org}/members/`)]);
  for (const one of [...inside, ...all]) board.learn({ id: one.user, email: one.user_email, first_name: one.user_first_name, last_name: one.user_last_name });
  room.members = [...new Set([...(room.members ?? []), ...inside.map((/** @type {any} */ one) => one.user)])];
  const ids = new Set(all.map((/** @type {any} */ one) => one.user));
  // The server compares accents and apostrophes too: whom we know of, we find without them.
  for (const other of board.rooms.values()) if (other.info.org === room.info.org) for (const id of other.members ?? []) ids.add(id);
  const outside = [...ids].filter((id) => id !== board.user?.id && !room.members?.includes(id)).map((id) => board.people.get(id)).filter((one) => one !== undefined)
    .map((one) => ({ ...choiceOf(one, text, board.nameOf(one.id)), isOutside: true })).filter((one) => one.rank < 9).sort((a, b) => a.rank - b.rank || a.name.localeCompare(b.name));
  return [...people(text, room), ...outside.slice(0, OUTSIDE_MOST)];
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
export function renderChoices(composer) {
  const { found } = composer;
  const first = found.findIndex((one) => one.isOutside);
  const option = (/** @type {Choice} */ one, /** @type {number} */ n) => html`
  <li role="option" id=${`mention-${n}`} aria-selected=${n === composer.chosen} @pointerdown=${(/** @type {Event} */ event) => { event.preventDefault(); pick(composer, one); }}>
    ${one.id ? avatar(one.id, composer.room.online.has(one.id)) : html`<span class="avatar avatar-all" aria-hidden="true">${one.emoji ?? "@"}</span>`}<bdi>${one.name}</bdi><small>${one.note}</small></li>`;
  return html`<div class="choices" role="listbox" id="mention-choices" aria-label="Suggestions"><ul role="presentation">${found.slice(0, first < 0 ? found.length : first).map(option)}</ul>${first < 0 ? nothing
    : html`<div role="group" class="outside" aria-label="Not in this room"><small aria-hidden="true">Not in this room</small><ul role="presentation">${found.slice(first).map((one, n) => option(one, first + n))}</ul></div>`}</div>`;
}
