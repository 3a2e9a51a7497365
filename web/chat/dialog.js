// A dialog with one field and a list to choose from: the quick switcher, browsing, search and direct
// messages are all this one shape. Arrow keys choose, Enter takes, Esc closes; the focus returns.

import { html, nothing } from "lit";
import { problemOf } from "./faults.js";
import { Modal } from "./modal.js";

/** @typedef {{icon: any, title: any, note?: any, run: () => void, hint?: string}} Item */

export class PickDialog extends Modal {
  static properties = { items: { state: true }, chosen: { state: true }, busy: { state: true }, problem: { state: true } };

  constructor() {
    super();
    /** @type {Item[]} */ this.items = [];
    this.chosen = 0;
    this.busy = false;
    this.problem = "";
    this.label = "Go to";
    this.placeholder = "";
    this.empty = "Nothing found.";
  }

  opened() {
    this.typed();
  }

  get text() {
    return /** @type {HTMLInputElement|null} */ (this.querySelector("input"))?.value ?? "";
  }

  /** Finds the items for what was typed: subclasses. @param {string} _text @returns {Item[]|Promise<Item[]>} */
  find(_text) {
    return [];
  }

  async typed() {
    const mine = (this.turn = (this.turn ?? 0) + 1);
    this.busy = true;
    this.problem = "";
    try {
      const items = await this.find(this.text.trim());
      if (mine !== this.turn) return;
      this.items = items;
      this.chosen = 0;
    } catch (error) {
      if (mine === this.turn) this.problem = problemOf(error);
    }
    if (mine === this.turn) this.busy = false;
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.items.length) this.chosen = (this.chosen + step + this.items.length) % this.items.length;
    else if (event.key === "Enter" && this.items[this.chosen]) this.take(this.items[this.chosen]);
    else return;
    event.preventDefault();
  }

  /** @param {Item} item */
  async take(item) {
    try {
      await item.run();
    } catch (error) {
      this.problem = problemOf(error);
    }
  }

  updated() {
    this.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }

  /** What stands below the field: subclasses. @returns {any} */
  renderMore() {
    return nothing;
  }

  render() {
    return html`<dialog class="pick" aria-label=${this.label} @click=${this.clickedBeside}>
      <div class="pick-box">
        <input type="text" role="combobox" aria-label=${this.label} aria-expanded="true" aria-controls="pick-list" autocomplete="off" spellcheck="false"
          aria-activedescendant=${this.items.length ? `pick-${this.chosen}` : nothing} placeholder=${this.placeholder || this.label} @input=${this.typed} @keydown=${this.keys}>
        ${this.renderMore()}
        ${this.problem ? html`<p class="failed" role="alert">${this.problem}</p>` : nothing}
        <ul role="listbox" id="pick-list" aria-label=${this.label} aria-busy=${this.busy}>${this.items.map((item, n) => html`
          <li role="option" id=${`pick-${n}`} aria-selected=${n === this.chosen} @click=${() => this.take(item)}>${item.icon}
            <span class="pick-text"><bdi>${item.title}</bdi>${item.note ? html`<small dir="auto">${item.note}</small>` : nothing}</span>
            ${item.hint ? html`<small>${item.hint}</small>` : nothing}</li>`)}</ul>
        ${!this.items.length && !this.busy && this.empty ? html`<p class="empty" role="status">${this.empty}</p>` : nothing}
      </div></dialog>`;
  }
}
