// What every dialog does when it closes.

/**
 * Takes a dialog away that has closed. The field that the focus returned to was inert then, and
 * Chromium writes nothing into it until it is focused anew. @param {HTMLElement} element
 */
export function leave(element) {
  element.remove();
  element.dispatchEvent(new Event("left"));
  const back = document.activeElement;
  if (!(back instanceof HTMLTextAreaElement || back instanceof HTMLInputElement)) return;
  back.blur();
  back.focus();
}
