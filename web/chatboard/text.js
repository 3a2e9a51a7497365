// Text rules that the first screen needs; the others are in mentions.js.

/** Whether nothing is visible. @param {string} text */
export const isBlank = (text) => !/[^\p{White_Space}\p{Cc}\p{DI}\u2800]/v.test(text);

/** A text as a sentence: with a capital, and an end. @param {string} text */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1).replace(/([^.!?…])$/, "$1.");

/** Characters, as limits count them. @param {string} text */
export const charsIn = (text) => [...text].length;

/** The beginning of a text; no emoji is cut in two. @param {string} text @param {number} most UTF-16 units */
export function excerpt(text, most) {
  if (text.length <= most) return text;
  const last = new Intl.Segmenter().segment(text.slice(0, most + 64)).containing(most);
  return `${text.slice(0, last?.index).trimEnd()}…`;
}
