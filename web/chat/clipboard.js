// Copying, and saying so only when it was done.

/** Copies a text. @param {string} text @returns {Promise<boolean>} whether it is in the clipboard now */
export async function copyText(text) {
  const isDone = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  return isDone || copySelected(text);
}

/** Without a secure origin there is no clipboard: what is selected can still be copied. @param {string} text */
function copySelected(text) {
  const field = Object.assign(document.createElement("textarea"), { value: text, readOnly: true, className: "hidden" });
  const focused = /** @type {HTMLElement|null} */ (document.activeElement);
  // What lies outside an open dialog cannot be focused.
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return isDone;
}

/** What to say after trying to copy. @param {string} what "Link", "Text" @param {boolean} isDone */
export const copied = (what, isDone) => (isDone ? `${what} copied` : `${what} couldn't be copied: your browser doesn't allow it here.`);
