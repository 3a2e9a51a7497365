// The emoji that were used lately on this device.

/** Emoji that are remembered. */
const MOST = 24;
const KEY = "chatboard.emoji";
/** What is offered before anything was used. */
const USUAL = ["👍", "❤️", "😂", "🎉", "👀", "✅"];

/** What was used lately, the last first. @returns {string[]} */
export function lately() {
  try {
    const all = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(all) ? all.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

/** What was used lately, filled up with what most people use. @param {number} most @returns {string[]} */
export const recent = (most) => [...new Set([...lately(), ...USUAL])].slice(0, most);

/** Remembers that an emoji was used. @param {string} emoji */
export const use = (emoji) => localStorage.setItem(KEY, JSON.stringify([...new Set([emoji, ...lately()])].slice(0, MOST)));
