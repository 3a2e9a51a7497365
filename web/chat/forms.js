// Small forms in a dialog: a new room, and the section that a room stands in.

import { html, nothing } from "lit";
import { board, go } from "/state.js";
import { identity } from "/chatboard/mentions.js";
import { faultsOf, problemOf } from "./faults.js";
import { Modal } from "./modal.js";

/** Marks the fields that something is wrong with, and leads to the first. @param {HTMLFormElement} form @param {Record<string, string[]>} errors */
export function markFaults(form, errors) {
  const fields = /** @type {HTMLInputElement[]} */ ([...form.elements].filter((field) => "name" in field && field.name));
  for (const field of fields) {
    if (errors[field.name]) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
  fields.find((field) => errors[field.name])?.focus();
}

/** A form in a dialog: subclasses draw its fields and save them. */
export class FormDialog extends Modal {
  static properties = { errors: { state: true }, problem: { state: true }, busy: { state: true } };

  constructor() {
    super();
    /** @type {Record<string, string[]>} */ this.errors = {};
    this.problem = "";
    this.busy = false;
    this.label = "";
    this.action = "Save";
  }

  /** @param {FormData} _data @returns {Promise<void>} */
  async save(_data) {}

  /** @returns {any} */
  renderFields() {
    return nothing;
  }

  /** @param {SubmitEvent} event */
  async submit(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    this.busy = true;
    this.errors = {};
    this.problem = "";
    try {
      await this.save(new FormData(form));
      this.close();
    } catch (error) {
      Object.assign(this, faultsOf(error));
    }
    this.busy = false;
    await this.updateComplete;
    markFaults(form, this.errors);
  }

  /** @param {string} name */
  error(name) {
    return this.errors[name] ? html`<small class="failed" role="alert">${this.errors[name].join(" ")}</small>` : nothing;
  }

  render() {
    return html`<dialog class="form" aria-label=${this.label}><form @submit=${this.submit}><h2>${this.label}</h2>${this.renderFields()}
      ${this.problem ? html`<p class="failed" role="alert">${this.problem}</p>` : nothing}
      <div class="form-end"><button type="button" @click=${this.close}>Cancel</button><button class="primary" ?disabled=${this.busy}>${this.action}</button></div></form></dialog>`;
  }
}

/** The error of a name that another room has, at the field; others as they are. @param {any} error */
export const nameFault = (error) => (error.code === "name_taken" ? Object.assign(error, { errors: { name: ["There is already a room with this name."] } }) : error);

/** The room that has a name: one of ours, or one to join. @param {number} org @param {string} name @returns {Promise<{id: number, name: string, isMine: boolean}|null>} */
async function roomNamed(org, name) {
  const fits = (/** @type {any} */ info) => !info.is_dm && info.org === org && identity(info.name) === identity(name.trim());
  const mine = [...board.rooms.values()].find(({ info }) => fits(info));
  if (mine) return { id: mine.id, name: mine.name, isMine: true };
  for await (const info of board.items("/rooms/", { scope: "joinable", org })) if (fits(info)) return { id: info.id, name: info.name, isMine: false };
  return null;
}

class NewRoom extends FormDialog {
  static properties = { ...FormDialog.properties, taken: { state: true } };

  constructor() {
    super();
    this.label = "New room";
    this.action = "Create room";
    this.org = 0;
    /** The room that has the name already. @type {Awaited<ReturnType<typeof roomNamed>>} */ this.taken = null;
  }

  /** @param {FormData} data */
  async save(data) {
    this.taken = null;
    try {
      const { id } = await board.request("POST", "/rooms/", {
        org: this.org, name: data.get("name"), topic: data.get("topic") || "", access_level: data.get("access_level"), auto_join: data.has("auto_join"),
      });
      await board.open(id);
      go(`/r/${id}`);
    } catch (error) {
      const fault = nameFault(error);
      if (fault.code === "name_taken") this.taken = await roomNamed(this.org, String(data.get("name"))).catch(() => null);
      throw fault;
    }
  }

  /** Goes to the room that has the name, a member or not. @param {{id: number, isMine: boolean}} room */
  async openTaken({ id, isMine }) {
    try {
      if (!isMine) await board.request("POST", `/rooms/${id}/join/`);
      await board.open(id);
      this.close();
      go(`/r/${id}`);
    } catch (error) {
      this.problem = problemOf(error);
    }
  }

  renderFields() {
    const { taken } = this;
    return html`<label>Name<input name="name" required autofocus dir="auto">${this.error("name")}</label>
      ${taken ? html`<button type="button" class="link" @click=${() => this.openTaken(taken)}>${taken.isMine ? "Open" : "Join"} <bdi>${taken.name}</bdi></button>` : nothing}
      <label>Topic<input name="topic" dir="auto">${this.error("topic")}</label>
      <label>Visibility<select name="access_level"><option value="PUBLIC">Public: everyone in the organization can join</option>
        <option value="MANAGER_ONLY">Managers and admins only</option><option value="PRIVATE">Private: by invitation</option></select></label>
      <label class="check"><input type="checkbox" name="auto_join"> Add everyone automatically, now and when people join</label>${this.error("auto_join")}`;
  }
}

class RoomSection extends FormDialog {
  constructor() {
    super();
    this.label = "Move to a section";
    this.action = "Move";
    this.room = 0;
  }

  /** @param {FormData} data */
  async save(data) {
    await board.rooms.get(this.room)?.change({ section: String(data.get("section")).trim() || null });
  }

  renderFields() {
    const names = new Set([...board.rooms.values()].map((room) => room.settings.section).filter((name) => name !== null));
    return html`<label>Section<input name="section" autofocus list="sections" dir="auto" .value=${board.rooms.get(this.room)?.settings.section ?? ""}
      placeholder="None">${this.error("section")}</label><datalist id="sections">${[...names].map((name) => html`<option value=${name}></option>`)}</datalist>`;
  }
}

customElements.define("cb-new-room", NewRoom);
customElements.define("cb-section", RoomSection);
