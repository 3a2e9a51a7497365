// CommonMark to safe DOM: marked reads it, raw HTML stays text, DOMPurify has the last word.

import DOMPurify from "dompurify";
import { Marked } from "marked";

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

/** @typedef {{at: number, token: string, name: string, isMe: boolean}} Mark a mention: of the `@`, what follows it, and what is shown for that */

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
 * @param {(text: string) => Mark[]} [marksIn] the mentions of a text in NFC, in order
 * @returns {DocumentFragment}
 */
export function render(source, marksIn = () => []) {
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
  markMentions(fragment, marksIn);
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

/** @param {DocumentFragment} fragment @param {(text: string) => Mark[]} marksIn */
function markMentions(fragment, marksIn) {
  const walker = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT);
  const texts = [];
  for (let node; (node = walker.nextNode()); ) {
    if (node.nodeValue?.includes("@") && !node.parentElement?.closest("code, pre")) texts.push(/** @type {Text} */ (node));
  }
  for (const node of texts) {
    const text = node.data.normalize("NFC");
    const parts = [];
    let from = 0;
    for (const { at, token, name, isMe } of marksIn(text)) {
      if (at < from) continue;
      const mark = document.createElement("span");
      mark.className = isMe ? "mention mention-me" : "mention";
      mark.textContent = `@${name}`;
      mark.title = `@${token}`;
      parts.push(text.slice(from, at), mark);
      from = at + 1 + token.length;
    }
    if (parts.length) node.replaceWith(...parts, text.slice(from));
  }
}

/** What Markdown reads like, as one line of text, for quotes and previews. @param {string} source @param {(text: string) => Mark[]} [marksIn] */
export function plain(source, marksIn) {
  const fragment = render(source, marksIn);
  for (const part of fragment.querySelectorAll("br, p, h1, h2, h3, h4, h5, h6, li, pre, td, th")) part.after(" ");
  return /** @type {string} */ (fragment.textContent).replace(/\s+/g, " ").trim();
}
