// Completion of mentions: what stands before the caret, who fits, and what is written for them.

import { board } from "/state.js";

/** @typedef {{id: number, name: string, email: string, insert: string}} Choice */

/** The `@word` that the caret stands at the end of, without the `@`; null when there is none. @param {HTMLTextAreaElement} field */
export function wordAt(field) {
  const before = field.value.slice(0, field.selectionStart);
  return before.match(/(?:^|[^\w@])@([\p{L}\p{N}_.+-]{0,40})$/u)?.[1] ?? null;
}

/** @param {string} word @param {import("/chatboard/room.js").Room} room @returns {Choice[]} the best first */
export function choices(word, room) {
  const lower = word.toLowerCase();
  const people = (room.members ?? []).filter((id) => id !== board.user?.id).map((id) => board.people.get(id)).filter((one) => one !== undefined);
  /** @type {Choice[]} */
  const all = people.map((one) => {
    const name = `${one.first_name ?? ""} ${one.last_name ?? ""}`.trim();
    // A name that another bears too, or that has spaces, would not mean this person alone: the address does.
    const short = `${one.first_name}.${one.last_name}`;
    const plainName = one.first_name && one.last_name && /^[\p{L}\p{N}_.-]+$/u.test(short) && people.filter((other) => `${other.first_name}.${other.last_name}`.toLowerCase() === short.toLowerCase()).length === 1;
    return { id: one.id, name: name || one.email, email: one.email, insert: `@${plainName ? short : one.email} ` };
  });
  if (!room.info.is_dm) {
    all.push({ id: 0, name: "room", email: "everyone in this room", insert: "@room " }, { id: 0, name: "here", email: "everyone who is online", insert: "@here " });
  }
  const rank = (/** @type {Choice} */ one) => {
    const name = one.name.toLowerCase();
    if (name.startsWith(lower) || `${name.replace(" ", ".")}`.startsWith(lower)) return 0;
    if (name.split(" ").some((part) => part.startsWith(lower)) || one.email.toLowerCase().startsWith(lower)) return 1;
    return name.includes(lower) ? 2 : 3;
  };
  return all.filter((one) => rank(one) < 3).sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name)).slice(0, 8);
}

/** Puts a choice in the place of the word. @param {HTMLTextAreaElement} field @param {Choice} choice */
export function complete(field, choice) {
  const at = field.selectionStart;
  const word = wordAt(field) ?? "";
  field.setRangeText(choice.insert, at - word.length - 1, at, "end");
}
