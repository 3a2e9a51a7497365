// Forms that say what is wrong at the field that it is wrong with.

import { LitElement, html, nothing } from "lit";
import { faultsOf } from "/chat/faults.js";

/**
 * @typedef {{name: string, busy: boolean, problem: string, errors: Record<string, string[]>}} FormState
 * @typedef {{type?: string, value?: any, required?: boolean, min?: number, autocomplete?: any, hint?: any, placeholder?: string, dir?: any}} FieldOptions
 */

/** An element in light DOM with forms. */
export class Forms extends LitElement {
  constructor() {
    super();
    /** @type {Map<string, FormState>} */ this.forms = new Map();
  }

  createRenderRoot() {
    return this;
  }

  /** @param {string} name */
  form(name) {
    const known = this.forms.get(name) ?? { name, busy: false, problem: "", errors: {} };
    this.forms.set(name, known);
    return known;
  }

  /** What a form does when it is sent. The first field at fault is focused. @param {string} name @param {(data: FormData, form: HTMLFormElement) => Promise<any>} call */
  saves(name, call) {
    return async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const form = /** @type {HTMLFormElement} */ (event.target);
      const state = this.form(name);
      if (state.busy) return;
      Object.assign(state, { busy: true, problem: "", errors: {} });
      this.requestUpdate();
      try {
        await call(new FormData(form), form);
      } catch (error) {
        Object.assign(state, faultsOf(error));
      }
      state.busy = false;
      this.requestUpdate();
      await this.updateComplete;
      /** @type {HTMLElement|null} */ (form.querySelector("[aria-invalid=true]"))?.focus();
    };
  }
}

/** @param {FormState} state */
export const problemOf = (state) => (state.problem ? html`<p class="failed" role="alert">${state.problem}</p>` : nothing);

/** @param {{name: string, errors: Record<string, string[]>}} state @param {string} name @param {any} label @param {FieldOptions} [options] */
export function field(state, name, label, options = {}) {
  const { type = "text", value = "", required = false, min, autocomplete, hint, placeholder, dir } = options;
  const id = `${state.name}-${name}`;
  const faults = state.errors[name];
  const about = [hint ? `${id}-hint` : "", faults ? `${id}-fault` : ""].filter(Boolean).join(" ");
  return html`<div class="field"><label for=${id}>${label}</label>
    <input id=${id} name=${name} type=${type} .value=${String(value ?? "")} ?required=${required} minlength=${min ?? nothing}
      autocomplete=${autocomplete ?? nothing} placeholder=${placeholder ?? nothing} dir=${dir ?? nothing} spellcheck="false"
      aria-invalid=${faults ? "true" : nothing} aria-describedby=${about || nothing}>
    ${hint ? html`<small class="hint" id=${`${id}-hint`}>${hint}</small>` : nothing}
    ${faults ? html`<small class="failed" role="alert" id=${`${id}-fault`}>${faults.join(" ")}</small>` : nothing}</div>`;
}
