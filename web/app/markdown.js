// Markdown as people write it, without HTML: what looks like a tag is text.

import DOMPurify from "dompurify";
import { Marked } from "marked";

/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
const ADDRESS = /^(?:https?:|mailto:)/i;

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escaped(text),
    // A picture of somebody else's server would tell it who reads.
    image: ({ text, href }) => escaped(text || href),
    link({ href, tokens }) {
      const text = this.parser.parseInline(tokens);
      return ADDRESS.test(href) ? `<a href="${escaped(href)}" target="_blank" rel="noopener noreferrer nofollow">${text}</a>` : text;
    },
  },
});

/** Safe HTML of a message's body. @param {string} body */
export function rendered(body) {
  return DOMPurify.sanitize(/** @type {string} */ (marked.parse(body)), {
    ALLOWED_TAGS: ["p", "br", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "table", "thead", "tbody", "tr", "th", "td"],
    ALLOWED_ATTR: ["href", "target", "rel", "start"],
  });
}
