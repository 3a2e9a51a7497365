// How long an organization's messages are kept, what stops their removal, and what was removed.

import { html, nothing } from "lit";
import { board } from "/state.js";
import { LOCALE, counted, fullTimeOf } from "/chat/people.js";
import { Pages, Part, ask } from "./base.js";

/** @typedef {{retention_days: number|null, effective_days: number|null, legal_hold: boolean}} Kept */
/** @typedef {{id: number, started_at: string, ended_at: string, removed: Record<string, number>}} Purge */

const COUNT = new Intl.NumberFormat(LOCALE);
const days = (/** @type {number} */ count) => counted(count, "day");

class Retention extends Part {
  /** @type {Pages<Purge>} */
  purges = new Pages();
  /** @type {Kept} */
  kept = { retention_days: null, effective_days: null, legal_hold: false };

  get path() {
    return `/orgs/${this.place.id}/retention/`;
  }

  async load() {
    [this.kept] = await Promise.all([board.request("GET", this.path), this.purges.first(`/orgs/${this.place.id}/purges/`)]);
  }

  /** @param {Partial<Kept>} change */
  async change(change) {
    this.kept = await board.request("PATCH", this.path, change);
    this.requestUpdate();
  }

  /** Fewer days remove what is older at once: that is asked before. @param {SubmitEvent} event */
  save(event) {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.target));
    const wanted = data.get("retention_days") === "" ? null : Number(data.get("retention_days"));
    const call = () => this.change({ retention_days: wanted });
    const removes = wanted !== null && (this.kept.effective_days === null || wanted < this.kept.effective_days);
    if (!removes) return this.run("days", call, "Saved.");
    ask({ label: "Remove older messages?", text: html`<p>Messages older than ${days(wanted)} disappear at once, for everyone, and are removed soon after. This can't be undone.</p>`,
      action: `Keep ${days(wanted)}`, said: "Saved.", call });
  }

  renderPart() {
    const { retention_days: own, effective_days: effective, legal_hold: isHeld } = this.kept;
    return html`<h2>Retention</h2><p class="screen-intro">${isHeld ? "A legal hold is on: nothing is removed." : effective === null ? "Messages are kept forever." : `Messages are kept for ${days(effective)}.`}</p>
      <form class="screen-card" @submit=${this.save}><label>Keep messages for (days)<input name="retention_days" type="number" min="1" step="1" inputmode="numeric" .value=${own === null ? "" : String(own)} placeholder="Server default">
          ${this.fault("days", "retention_days")}</label>${this.fault("days")}<p class="note">Leave empty for the server's default, which is also the most.</p>
        <div class="buttons end"><button class="primary" ?disabled=${this.busy === "days"}>Save</button></div></form>
      <div class="screen-card"><label class="check"><input type="checkbox" role="switch" .checked=${isHeld} ?disabled=${this.busy === "hold"} @change=${(/** @type {any} */ event) => this.hold(event.target)}>
        <span>Legal hold<small>While it is on, nothing is removed, and neither the organization nor its rooms can be deleted.</small></span></label>${this.fault("hold")}</div>
      <h3>Removal log</h3>
      ${this.purges.items.length ? html`<ul class="rows" aria-label="Removal log">${this.purges.items.map((one) => html`<li><span class="row-text"><b>${fullTimeOf(one.ended_at)}</b>
        <small class="wrap">${Object.entries(one.removed).map(([kind, count]) => `${COUNT.format(count)} ${kind.replaceAll("_", " ")}`).join(", ") || nothing}</small></span></li>`)}</ul>`
        : html`<p class="nothing">Nothing was removed.</p>`}${this.renderMore(this.purges)}`;
  }

  /** @param {HTMLInputElement} box */
  async hold(box) {
    const isOn = box.checked;
    if (!(await this.run("hold", () => this.change({ legal_hold: isOn }), isOn ? "The legal hold is on." : "The legal hold is off."))) box.checked = this.kept.legal_hold;
  }
}

customElements.define("cb-retention", Retention);
