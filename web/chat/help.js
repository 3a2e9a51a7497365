// The keys that the page knows, in a dialog: Ctrl+/ and `?` open it.

import { html } from "lit";
import { icon } from "./icons.js";
import { Modal } from "./modal.js";

/** @type {[string, [string, string][]][]} */
const KEYS = [
  ["Everywhere", [["Ctrl K", "Jump to a room, a person or a message"], ["Ctrl Shift F", "Search messages"], ["Alt ↑ ↓", "Previous or next room"],
    ["Alt Shift ↑ ↓", "Previous or next unread room"], ["F6", "Rooms, messages, message field"], ["Ctrl /", "These keys; ? does too outside a field"]]],
  ["Writing", [["Enter", "Send; in a code block, a new line"], ["Shift Enter", "New line; continues a list"], ["↑", "Edit your last message"], ["@", "Mention someone"], [":", "Emoji by name"],
    ["Ctrl B", "Bold"], ["Ctrl I", "Italic"], ["Ctrl E", "Code"], ["Ctrl Shift X", "Strikethrough"], ["Ctrl K", "Link, with a selection"], ["Esc", "Cancel a reply or an edit"]]],
  ["A message", [["↑ ↓", "Previous or next message"], ["r", "Reply"], ["e", "Edit"], ["+", "React"], ["Delete", "Delete"]]],
  ["A picture", [["← →", "Previous or next picture"], ["+ -", "Zoom"], ["0", "Fit to window"], ["Esc", "Close"]]],
];

class Keys extends Modal {
  render() {
    const keys = (/** @type {string} */ text) => text.split(" ").map((key) => html`<kbd>${key}</kbd> `);
    return html`<dialog class="form" aria-label="Keyboard shortcuts"><div class="keys-head"><h2>Keyboard shortcuts</h2>
      <button class="icon-button" aria-label="Close" title="Close (Esc)" @click=${this.close}>${icon("close")}</button></div>
      <div class="keys-all" tabindex="0" role="group" aria-label="Keys">${KEYS.map(([name, all]) => html`<h3>${name}</h3><dl class="keys">${all.map(([key, what]) => html`<dt>${keys(key)}</dt><dd>${what}</dd>`)}</dl>`)}</div></dialog>`;
  }
}

customElements.define("cb-keys", Keys);
