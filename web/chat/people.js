// How people look: initials on a colour of their own, names where they are mentioned, and times as people
// say them.

import { html } from "lit";
import { board } from "/state.js";
import { plain } from "/markdown.js";
import { excerpt } from "/chatboard/text.js";

/** @param {number} id @param {boolean|null} [online] draws a presence dot unless null */
export function avatar(id, online = null) {
  const name = board.nameOf(id);
  const initials = name.split(/\s+/).slice(0, 2).map((word) => [...word][0] ?? "").join("").toUpperCase();
  return html`<span class="avatar avatar-${id % 8}" aria-hidden="true">${initials}${online === null ? ""
    : html`<i class=${online ? "dot dot-on" : "dot"}></i>`}</span>`;
}

/** The page's texts are English, and so are its dates: as the reader writes English, if they do. */
export const LOCALE = navigator.languages.find((one) => /^en\b/.test(one)) ?? "en-GB";
const TIME = new Intl.DateTimeFormat(LOCALE, { hour: "numeric", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long" });
const FULL = new Intl.DateTimeFormat(LOCALE, { dateStyle: "long", timeStyle: "short" });

/** Times of day that were written once, by minute. @type {Map<number, string>} */
const times = new Map();

/** @param {string|number} at */
export function timeOf(at) {
  const minute = Math.floor(new Date(at).valueOf() / 60_000);
  let text = times.get(minute);
  if (!text) {
    if (times.size > 5000) times.clear();
    times.set(minute, text = TIME.format(minute * 60_000));
  }
  return text;
}
/** @param {string|number} at */
export const fullTimeOf = (at) => FULL.format(new Date(at));

/** @param {string|number} at */
export function dayOf(at) {
  const day = new Date(at);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(day).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return DAY.format(day) + (day.getFullYear() === new Date().getFullYear() ? "" : ` ${day.getFullYear()}`);
}

/** What is written from right to left, or turns what follows it around. */
const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/;

/** A name that leaves the text around it as it is. @param {string} name */
const isolated = (name) => (TURNS.test(name) ? `\u2068${name.replaceAll(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069` : name);

const RULES = new Intl.PluralRules("en");
const NUMBER = new Intl.NumberFormat(LOCALE);

/** "1 member", "1,200 members". @param {number} count @param {string} one @param {string} [more] what more than one are called */
export const counted = (count, one, more = `${one}s`) => `${NUMBER.format(count)} ${RULES.select(count) === "one" ? one : more}`;

/** "Ada", "Ada and Grace", "Ada, Grace and 3 others". @param {number[]} ids @param {number} [most] */
export function namesOf(ids, most = 3) {
  const names = ids.map((id) => (id === board.user?.id ? "you" : isolated(board.nameOf(id))));
  const shown = names.length > most ? [...names.slice(0, most - 1), counted(names.length - most + 1, "other")] : names;
  return shown.length < 2 ? (shown[0] ?? "") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

/** The mentions of somebody or everyone, by their longest reading that is somebody. @param {string} text @param {boolean} [isMine] whether the reader wrote it: who mentions everyone does not mean themselves @returns {import("/markdown.js").Mark[]} */
export const marksIn = (text, isMine = false) => board.names.mentionsIn(text).flatMap(({ at, everyone, readings }) => {
  for (const { length, key } of readings) {
    const [token, ids] = [text.slice(at + 1, at + 1 + length), board.names.named(key)];
    if (everyone || ids.length) return [{ at, token, name: ids.length === 1 ? board.nameOf(ids[0]) : token, isMe: (Boolean(everyone) && !isMine) || ids.includes(board.user?.id ?? 0) }];
  }
  board.names.seek(readings);
  return [];
});

/** What a message says, in one line of so many UTF-16 units: its words, or its file. @param {any} message @param {number} most */
export const gist = ({ body, upload }, most) => excerpt(plain(body, marksIn), most) || upload?.filename || "a file";
