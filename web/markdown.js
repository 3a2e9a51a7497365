// CommonMark to safe DOM: marked reads it, raw HTML stays text, DOMPurify has the last word.

import DOMPurify from "dompurify";
import { Marked } from "marked";
import { mentionsIn } from "/chatboard/text.js";

/** @param {string} text */
const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    // The contract: raw HTML is text.
    html: ({ text }) => escape(text),
    // Someone else's picture would tell its server who reads: a link, to open on purpose.
    image: ({ href, text }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
    // People type "- [ ]" for themselves; a form control in a message helps nobody.
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
  // Of `@ada@acme.example` the address alone would become a link.
  extensions: [{
    name: "mention",
    level: "inline",
    start: (source) => source.match(/@[\p{L}\p{M}\p{N}_.+-]+@/u)?.index,
    tokenizer(source) {
      const raw = source.match(/^@[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.+-]*@[\p{L}\p{M}\p{N}_-]+(?:\.[\p{L}\p{M}\p{N}_-]+)+/u)?.[0];
      return raw ? { type: "mention", raw } : undefined;
    },
    renderer: ({ raw }) => escape(raw),
  }],
});

const ALLOWED = {
  ALLOWED_TAGS: ["p", "br", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr",
    "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"],
  ALLOWED_ATTR: ["href", "start", "align"],
  // Held against the pattern of addresses, every number and side would be dropped.
  ADD_URI_SAFE_ATTR: ["start", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|\/(?!\/)|#)/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};
// Said once: to read it for every message would take longer than most messages do.
DOMPurify.setConfig({ ...ALLOWED, RETURN_DOM_FRAGMENT: true });

/** @typedef {{name: string, isMe: boolean}} Mentioned `name`: what is shown for the mention */
/** @typedef {(key: string, name: string) => Mentioned|null} Whose who has a name, by the key that chatboard/text.js makes of it, and as it is written */

/** The longest reading of a mention that is somebody. @param {string} text @param {import("/chatboard/text.js").Mention} mention @param {Whose} whose */
function readMention(text, { at, everyone, readings }, whose) {
  for (const { length, key } of readings) {
    const token = text.slice(at + 1, at + 1 + length);
    const who = everyone ? { name: token, isMe: true } : whose(key, token);
    if (who) return { token, ...who };
  }
  return null;
}

/** Has nothing that Markdown, a link or a mention could begin with; most messages are like this. */
const PLAIN = /^(?![\s+-]|\d+[.)])(?:(?!https?:|www\.|[\\`*_~[\]<>&#|=@\n]).)*$/i;

/** Quotes and lists in each other, deeper than anybody writes: parsing and drawing go as deep. */
const DEEP = /^[ \t]*(?:(?:>|[-*+]|\d{1,9}[.)])[ \t]*){50}/m;

/** @param {string} text @returns {DocumentFragment} */
function plainly(text) {
  const paragraph = document.createElement("p");
  paragraph.dir = "auto";
  paragraph.textContent = text;
  const whole = document.createDocumentFragment();
  whole.append(paragraph);
  return whole;
}

/** @param {string} source @returns {string|null} HTML; null where it is too deep */
function parsed(source) {
  if (DEEP.test(source)) return null;
  try {
    return /** @type {string} */ (marked.parse(source, { async: false }));
  } catch {
    return null;
  }
}

/**
 * @param {string} source
 * @param {Whose} [whose]
 * @returns {DocumentFragment}
 */
export function render(source, whose = () => null) {
  const dirty = PLAIN.test(source) ? null : parsed(source);
  if (dirty === null) return plainly(source);
  const fragment = /** @type {DocumentFragment} */ (/** @type {unknown} */ (DOMPurify.sanitize(dirty)));
  for (const link of fragment.querySelectorAll("a")) {
    if (link.origin === location.origin) continue;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const part of fragment.children) part.setAttribute("dir", "auto");
  widen(fragment);
  markMentions(fragment, whose);
  return fragment;
}

/** What may be wider than the view is scrolled in a place of its own, by keys too. @param {DocumentFragment} fragment */
function widen(fragment) {
  for (const table of fragment.querySelectorAll("table")) {
    const place = document.createElement("div");
    place.className = "wide";
    table.replaceWith(place);
    place.append(table);
  }
  for (const place of fragment.querySelectorAll("pre, .wide")) {
    place.setAttribute("tabindex", "0");
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", place.localName === "pre" ? "Code" : "Table");
  }
}

/** @param {DocumentFragment} fragment @param {Whose} whose */
function markMentions(fragment, whose) {
  const walker = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT);
  const texts = [];
  for (let node; (node = walker.nextNode()); ) {
    if (node.nodeValue?.includes("@") && !node.parentElement?.closest("code, pre")) texts.push(/** @type {Text} */ (node));
  }
  for (const node of texts) {
    const text = node.data.normalize("NFC");
    const parts = [];
    let from = 0;
    for (const mention of mentionsIn(text)) {
      const who = mention.at < from ? null : readMention(text, mention, whose);
      if (!who) continue;
      const mark = document.createElement("span");
      mark.className = who.isMe ? "mention mention-me" : "mention";
      mark.textContent = `@${who.name}`;
      mark.title = `@${who.token}`;
      parts.push(text.slice(from, mention.at), mark);
      from = mention.at + 1 + who.token.length;
    }
    if (parts.length) node.replaceWith(...parts, text.slice(from));
  }
}

/** Markdown as one line of plain text, for quotes and previews. @param {string} source */
export function plain(source) {
  return source.replace(/```[\s\S]*?(```|$)/g, " ⟨code⟩ ").replace(/[*_~`>#]+/g, "").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/\s+/g, " ").trim();
}
