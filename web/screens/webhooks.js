// Webhooks of an organization: the list, a new one with its secret, one with its settings.

import { html, nothing } from "lit";
import { board, go } from "/state.js";
import { icon } from "/chat/icons.js";
import { counted, fullTimeOf } from "/chat/people.js";
import { Pages, Part, ask, copyable } from "./base.js";
import "./deliveries.js";

const EVENTS = /** @type {const} */ ({
  "message.created": "A message is sent", "message.updated": "A message is edited", "message.deleted": "A message is deleted",
  "member.invited": "Someone is invited", "member.joined": "Someone joins", "member.left": "Someone leaves", "room.created": "A room is created",
});

/** @typedef {{id: number, org: number, url: string, events: string[], include_private: boolean, is_active: boolean, last_triggered: string|null, disabled_reason: string|null, secret?: string}} Webhook */

/** @param {Webhook} hook */
function state(hook) {
  if (hook.disabled_reason) return html`<span class="pill bad">Disabled</span>`;
  return hook.is_active ? html`<span class="pill good">Active</span>` : html`<span class="pill">Paused</span>`;
}

/** @param {FormData} data */
const fieldsOf = (data) => ({ url: String(data.get("url")).trim(), events: data.getAll("events"), include_private: data.has("include_private") });

class Webhooks extends Part {
  /** @type {Pages<Webhook>} */
  list = new Pages();
  /** @type {Webhook|null} */
  hook = null;

  /** The secret of a webhook, until it is put away: the server never shows it again. */
  secret = { hook: 0, text: "" };

  get base() {
    return `/orgs/${this.place.id}/settings/webhooks`;
  }

  async load() {
    const { id, rest } = this.place;
    if (Number(rest)) {
      const hook = await board.request("GET", `/webhooks/${rest}/`);
      if (hook.org !== id) throw new Error("This webhook doesn't exist in this organization.");
      this.hook = hook;
    } else {
      this.hook = null;
      if (!rest) await this.list.first("/webhooks/", { org: String(id) });
    }
  }

  /** @param {FormData} data */
  async create(data) {
    const { secret, ...hook } = await board.request("POST", "/webhooks/", { org: this.place.id, ...fieldsOf(data) });
    this.secret = { hook: hook.id, text: secret };
    go(`${this.base}/${hook.id}`, { replace: true });
  }

  /** @param {any} change */
  async change(change) {
    this.hook = await board.request("PATCH", `/webhooks/${this.hook?.id}/`, change);
  }

  async test() {
    await board.request("POST", `/webhooks/${this.hook?.id}/test/`);
    /** @type {any} */ (this.querySelector("cb-deliveries")).reload();
  }

  rotate() {
    const id = Number(this.hook?.id);
    ask({
      label: "Create a new secret?", text: html`<p>For 24 hours deliveries are signed with both secrets, so that nothing is lost while you change the receiver.</p>`,
      action: "Create secret", isDangerous: false,
      call: async () => {
        const { secret } = await board.request("POST", `/webhooks/${id}/rotate-secret/`);
        this.secret = { hook: id, text: secret };
        this.requestUpdate();
      },
    });
  }

  askDelete() {
    const hook = /** @type {Webhook} */ (this.hook);
    ask({
      label: "Delete this webhook?", text: html`<p><bdi>${hook.url}</bdi> receives no more events, and its delivery log is deleted.</p>`, action: "Delete", said: "Webhook deleted.",
      call: async () => {
        await board.request("DELETE", `/webhooks/${hook.id}/`);
        go(this.base, { replace: true });
      },
    });
  }

  renderPart() {
    if (this.place.rest === "new") return this.renderNew();
    return this.hook ? this.renderOne(this.hook) : this.renderList();
  }

  renderList() {
    const { items } = this.list;
    return html`<div class="screen-top"><div><h2>Webhooks</h2><p class="screen-intro">Send events from this organization to your own URL. Deliveries are signed, ordered and retried.</p></div>
        <a class="button" href=${`${this.base}/new`}>${icon("plus")} New webhook</a></div>
      ${items.length ? html`<ul class="rows" aria-label="Webhooks">${items.map((hook) => html`<li class="stack">
        <a class="row-text" href=${`${this.base}/${hook.id}`}><b dir="ltr">${hook.url}</b>
          <small>${hook.events.length === 1 ? hook.events[0] : counted(hook.events.length, "event")} · ${hook.last_triggered ? `last sent ${fullTimeOf(hook.last_triggered)}` : "nothing sent yet"}</small></a>
        <span class="row-end">${state(hook)}</span></li>`)}</ul>` : html`<p class="nothing">No webhooks yet.</p>`}
      ${this.renderMore(this.list)}`;
  }

  /** @param {string} form @param {Webhook|null} hook */
  renderFields(form, hook) {
    const events = hook?.events ?? ["message.created"];
    return html`<label>URL<input name="url" type="url" required placeholder="https://example.org/hook" dir="ltr" .value=${hook?.url ?? ""}>${this.fault(form, "url")}</label>
      <fieldset><legend>Events</legend>${Object.entries(EVENTS).map(([name, label]) => html`<label class="check"><input type="checkbox" name="events" value=${name} .checked=${events.includes(name)}>
        <span>${label}<code>${name}</code></span></label>`)}</fieldset>${this.fault(form, "events")}
      <label class="check"><input type="checkbox" name="include_private" .checked=${hook?.include_private ?? false}><span>Private rooms too<small>Direct messages are never sent.</small></span></label>`;
  }

  renderNew() {
    return html`<h2>New webhook</h2><p class="screen-intro">We send a signed <code>POST</code> with each event; any 2xx answer within 15 seconds is success.</p>
      <form class="screen-card" @submit=${this.submit("new", (data) => this.create(data))}>${this.renderFields("new", null)}${this.fault("new")}
        <div class="buttons end"><a class="button" href=${this.base}>Cancel</a><button class="primary" ?disabled=${this.busy === "new"}>Create webhook</button></div></form>`;
  }

  /** @param {Webhook} hook */
  renderOne(hook) {
    return html`<p class="note"><a href=${this.base}>All webhooks</a></p>
      <div class="screen-top"><div><h2 class="wrap"><bdi>${hook.url}</bdi></h2><p class="screen-intro">${state(hook)}</p></div>
        <button ?disabled=${this.busy === "test"} @click=${() => this.run("test", () => this.test(), "A test event is on its way.")}>Send a test event</button></div>${this.fault("test")}${this.fault("test", "is_active")}
      ${hook.disabled_reason ? html`<div class="screen-card danger" role="alert"><p>This webhook was turned off: ${hook.disabled_reason}</p>
        <button @click=${() => this.run("on", () => this.change({ is_active: true }), "Webhook turned on.")}>Turn on again</button>${this.fault("on")}</div>` : nothing}
      ${this.secret.hook === hook.id ? html`<div class="screen-card"><h3>Signing secret</h3><p class="note">Use it to verify deliveries. You won't see it again: copy it now.</p>${copyable("Secret", this.secret.text)}
        <button @click=${() => { this.secret = { hook: 0, text: "" }; this.requestUpdate(); }}>Done</button></div>` : nothing}
      <cb-deliveries .hook=${hook.id}></cb-deliveries>
      <form class="screen-card" aria-label="Settings" @submit=${this.submit("edit", (data) => this.change({ ...fieldsOf(data), is_active: data.has("is_active") }), "Saved.")}>
        <h3>Settings</h3>${this.renderFields("edit", hook)}
        <label class="check"><input type="checkbox" name="is_active" .checked=${hook.is_active}><span>Active<small>Paused webhooks don't record events, and pending deliveries fail.</small></span></label>${this.fault("edit")}
        <div class="buttons end"><button class="primary" ?disabled=${this.busy === "edit"}>Save</button></div></form>
      <div class="screen-card"><h3>Secret</h3><p class="note">A new secret replaces the old one, which still signs for 24 hours.</p><div class="buttons"><button @click=${this.rotate}>Create a new secret…</button></div></div>
      <div class="screen-card danger"><h3>Delete</h3><p class="note">The webhook and its log of deliveries.</p><div class="buttons"><button class="warn" @click=${this.askDelete}>Delete this webhook…</button></div></div>`;
  }
}

customElements.define("cb-webhooks", Webhooks);
