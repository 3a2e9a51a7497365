// What all dialogs have in common: they open over the page, close with Escape, and give the focus back.

import { LitElement } from "lit";
import { dress } from "/dress.js";

await dress("more-style");

/** The Navigation API, where the browser has it. @type {EventTarget|undefined} */
const navigation = /** @type {any} */ (globalThis).navigation;

/**
 * A dialog in light DOM. Subclasses draw one `<dialog>`, which is opened when it was first drawn; closing
 * it (Escape, `close()`) removes the element and fires `left`.
 */
export class Modal extends LitElement {
  createRenderRoot() {
    return this;
  }

  /** @returns {HTMLDialogElement} */
  get dialog() {
    return /** @type {HTMLDialogElement} */ (this.querySelector("dialog"));
  }

  firstUpdated() {
    this.dialog.addEventListener("close", () => this.#leave());
    this.dialog.showModal();
    addEventListener("popstate", this.#wentAway);
    navigation?.addEventListener("navigate", this.#goingBack);
    this.opened();
  }

  /** What it is about is not what is shown any more. */
  #wentAway = () => this.close();

  /** Back closes it, and leads nowhere yet, where the browser lets a page decide. @param {any} event */
  #goingBack = (event) => {
    if (event.navigationType !== "traverse" || !event.cancelable) return;
    event.preventDefault();
    this.close();
  };

  /** Runs once it is open: subclasses. */
  opened() {}

  close() {
    this.dialog?.close();
  }

  /** Closes it after a click beside its box. @param {Event} event */
  clickedBeside(event) {
    if (event.target === this.dialog) this.close();
  }

  #leave() {
    removeEventListener("popstate", this.#wentAway);
    navigation?.removeEventListener("navigate", this.#goingBack);
    this.remove();
    this.dispatchEvent(new Event("left"));
    const back = document.activeElement;
    if (!(back instanceof HTMLTextAreaElement || back instanceof HTMLInputElement)) return;
    // The field that the focus returned to was inert, and Chromium writes nothing into it until it is focused again.
    back.blur();
    back.focus();
  }
}

/** Opens a dialog, unless one is open. @param {string} tag @param {Record<string, any>} [properties] */
export function show(tag, properties = {}) {
  if (document.querySelector("dialog[open]")) return;
  document.body.append(Object.assign(document.createElement(tag), properties));
}
