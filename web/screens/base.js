// What the screens beside the chat are made of: a part that loads, forms that say what is wrong where
// it is wrong, questions before what cannot be undone, lists that grow by a page.

import { LitElement, html, nothing } from "lit";
import { board } from "/state.js";
import { copyText } from "/chat/clipboard.js";
import { faultsOf, problemOf } from "/chat/faults.js";
import { FormDialog, markFaults } from "/chat/forms.js";
import { show } from "/chat/modal.js";
import { LOCALE } from "/chat/people.js";
import { toast } from "/chat/toast.js";

/** @typedef {{problem: string, errors: Record<string, string[]>}} Fault */

/** Says something short to everyone, sighted or not. */
export const say = toast;

const DATE = new Intl.DateTimeFormat(LOCALE, { dateStyle: "long" });
/** A day, where nobody needs the time. @param {string} at */
export const dateOf = (at) => DATE.format(new Date(at));
const MOMENT = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "medium" });
/** A time to the second, as a log has it. @param {string} at */
export const momentOf = (at) => MOMENT.format(new Date(at));

/** A page of a list after another. @template T */
export class Pages {
  /** @type {T[]} */
  items = [];
  /** @type {string|null} */
  next = null;

  /** @param {string} path @param {Record<string, string>} [params] @returns {Promise<this>} */
  async first(path, params = {}) {
    return this.#take(`${path}?${new URLSearchParams({ limit: "50", ...params })}`, []);
  }

  async more() {
    return this.next ? this.#take(this.next, this.items) : this;
  }

  /** @param {string} path @param {T[]} before @returns {Promise<this>} */
  async #take(path, before) {
    const { results, next } = await board.request("GET", path);
    this.items = [...before, ...results];
    this.next = next;
    return this;
  }
}

/** One part of a screen. Subclasses `load()` what they show and draw it in `renderPart()`. */
export class Part extends LitElement {
  /** @type {import("lit").PropertyDeclarations} */
  static properties = { place: { attribute: false }, ready: { state: true }, problem: { state: true }, faults: { state: true }, busy: { state: true } };

  constructor() {
    super();
    /** What the address names: the organization or room, and what follows the part. @type {{id: number, rest: string}} */
    this.place = { id: 0, rest: "" };
    this.ready = false;
    this.problem = "";
    this.busy = "";
    /** What is wrong, by form. @type {Record<string, Fault>} */ this.faults = {};
  }

  createRenderRoot() {
    return this;
  }

  get org() {
    return board.orgs.find((org) => org.id === this.place.id);
  }

  get isAdmin() {
    return this.org?.role === "ADMIN";
  }

  /** @param {Map<string, any>} changed */
  willUpdate(changed) {
    const before = changed.get("place");
    // What was said of another organization or room is not of this one.
    if (before && before.id !== this.place.id) {
      this.faults = {};
      this.ready = false;
      this.left();
    }
    if (changed.has("place") && (!before || before.id !== this.place.id || before.rest !== this.place.rest)) this.reload();
  }

  /** Another organization or room is shown now: subclasses forget what they kept of the last one. */
  left() {}

  /** @returns {Promise<void>} */
  async load() {}

  async reload() {
    const mine = (this.turn = (this.turn ?? 0) + 1);
    this.problem = "";
    try {
      await this.load();
      if (mine === this.turn) this.ready = true;
    } catch (error) {
      if (mine === this.turn) this.problem = problemOf(error);
    }
    this.requestUpdate();
  }

  /**
   * Makes a call for a form (or a button), whose name its faults are kept under.
   * @param {string} form @param {() => Promise<unknown>} call @param {string} [said] what is said once it worked
   */
  async run(form, call, said = "") {
    this.busy = form;
    const { [form]: _, ...others } = this.faults;
    this.faults = others;
    let worked = true;
    try {
      await call();
      if (said) say(said);
    } catch (error) {
      this.faults = { ...this.faults, [form]: faultsOf(error) };
      worked = false;
    }
    this.busy = "";
    this.requestUpdate();
    return worked;
  }

  /** @param {string} form @param {(data: FormData, form: HTMLFormElement) => Promise<unknown>} call @param {string} [said] */
  submit(form, call, said) {
    return async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const target = /** @type {HTMLFormElement} */ (event.target);
      const worked = await this.run(form, () => call(new FormData(target), target), said);
      await this.updateComplete;
      markFaults(target, worked ? {} : (this.faults[form]?.errors ?? {}));
    };
  }

  /** What is wrong with a field of a form; without a field, with the form. @param {string} form @param {string} [field] */
  fault(form, field) {
    const fault = this.faults[form];
    const text = field ? fault?.errors[field]?.join(" ") : fault?.problem;
    return text ? html`<small class="failed" role="alert">${text}</small>` : nothing;
  }

  /** @param {Pages<any>} pages */
  renderMore(pages) {
    if (!pages.next) return nothing;
    return html`<p class="screen-more"><button ?disabled=${this.busy === "more"} @click=${() => this.run("more", () => pages.more())}>Show more</button>${this.fault("more")}</p>`;
  }

  /** @returns {any} */
  renderPart() {
    return nothing;
  }

  render() {
    if (this.problem) return html`<div class="screen-card" role="alert"><p>${this.problem}</p><p><button @click=${this.reload}>Try again</button></p></div>`;
    return this.ready ? this.renderPart() : html`<div class="screen-waiting" aria-busy="true"></div>`;
  }
}

/** Text that is there to be copied. @param {string} label @param {string} value */
export function copyable(label, value) {
  const copy = async (/** @type {Event} */ event) => {
    const field = /** @type {HTMLInputElement} */ (/** @type {Element} */ (event.target).closest(".copy")?.querySelector("input"));
    say((await copyText(value)) ? "Copied." : "Press Ctrl C to copy.");
    field.select();
  };
  return html`<div class="copy"><label>${label}<input readonly .value=${value} dir="ltr" spellcheck="false" @focus=${(/** @type {any} */ event) => event.target.select()}></label>
    <button type="button" class="primary" @click=${copy}>Copy</button></div>`;
}

/** A question before something is done; what goes wrong is said in it. */
class Question extends FormDialog {
  constructor() {
    super();
    /** @type {any} */ this.text = "";
    /** What has to be typed first, if anything. */ this.word = "";
    this.isDangerous = true;
    /** @type {(data: FormData) => Promise<unknown>} */ this.call = () => Promise.resolve();
    this.said = "";
    /** @type {any} */ this.fields = null;
  }

  /** @param {FormData} data */
  async save(data) {
    if (this.word && String(data.get("word")).trim() !== this.word) throw Object.assign(new Error(), { errors: { word: ["This is not the name."] } });
    await this.call(data);
    if (this.said) say(this.said);
  }

  renderFields() {
    const primary = this.isDangerous ? "danger-button" : "primary";
    queueMicrotask(() => this.querySelector(".form-end button:not([type])")?.classList.add(primary));
    return html`<div class="question">${this.text}</div>${this.fields?.(this) ?? nothing}
      ${this.word ? html`<label>Type “${this.word}” to confirm<input name="word" autocomplete="off" autofocus dir="auto">${this.error("word")}</label>` : nothing}`;
  }
}

customElements.define("cb-question", Question);

/**
 * Asks, then does.
 * @param {{label: string, text: any, action: string, call: (data: FormData) => Promise<unknown>, word?: string, said?: string,
 *   isDangerous?: boolean, fields?: (form: FormDialog) => any}} question
 */
export const ask = (question) => show("cb-question", question);
