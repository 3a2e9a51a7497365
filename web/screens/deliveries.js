// What was sent to a webhook: the state of each delivery, its attempts, and sending it again.

import { html, nothing } from "lit";
import { board } from "/state.js";
import { counted } from "/chat/people.js";
import { Pages, Part, ask, momentOf, say } from "./base.js";

/** How often the log is looked at while something is on its way. */
const LOOK_MS = 2500;
const HOUR_MS = 3_600_000;

/**
 * @typedef {{id: string, sequence: number, event_type: string, status: "pending"|"retrying"|"sent"|"failed", retries: number, created_at: string,
 *   last_attempt_at: string|null, next_attempt_at: string|null, last_status_code: number|null, last_error: string|null}} Delivery
 */

const STATES = { pending: ["wait", "Waiting"], retrying: ["wait", "Retrying"], sent: ["good", "Delivered"], failed: ["bad", "Failed"] };

/** @param {Date} date in the form that a field of this kind has: the local time, to the minute */
const local = (date) => new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

class Deliveries extends Part {
  static properties = { hook: { type: Number } };

  constructor() {
    super();
    this.hook = 0;
    /** @type {Pages<Delivery>} */ this.list = new Pages();
    /** What was sent, of those that are opened. @type {Map<string, string>} */ this.payloads = new Map();
  }

  /** @param {Map<string, any>} changed */
  willUpdate(changed) {
    if (changed.has("hook") && this.hook) this.reload();
  }

  connectedCallback() {
    super.connectedCallback();
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  async load() {
    await this.list.first(`/webhooks/${this.hook}/events/`);
  }

  /** Looks again while something is about to happen, as long as only the first page is shown. */
  look() {
    const soon = Date.now() + 2 * LOOK_MS;
    const isMoving = this.list.items.some(({ status, next_attempt_at: next }) =>
      status === "pending" || (status === "retrying" && next !== null && Date.parse(next) < soon));
    if (!isMoving || this.list.items.length > 50 || document.hidden || this.problem) return;
    this.load().then(() => this.requestUpdate(), () => {});
  }

  /** Shows what was sent, or hides it. @param {Delivery} one */
  showPayload(one) {
    if (this.payloads.delete(one.id)) return this.requestUpdate();
    return this.run(one.id, async () => {
      const { results } = await board.request("GET", `/webhooks/${this.hook}/events/?limit=1&after=${one.sequence - 1}`);
      this.payloads.set(one.id, JSON.stringify(results[0]?.payload ?? null, null, 2));
    });
  }

  /** @param {Delivery} one */
  again(one) {
    return this.run(one.id, async () => {
      await board.request("POST", `/webhooks/${this.hook}/events/${one.id}/retry/`);
      await this.load();
    }, "Sending it again.");
  }

  retryAll() {
    ask({
      label: "Send failed deliveries again", text: html`<p>Every delivery that has failed since then is tried again from the first attempt.</p>`, action: "Send again", isDangerous: false,
      fields: (form) => html`<label>Since<input type="datetime-local" name="since" required autofocus .value=${local(new Date(Date.now() - 24 * HOUR_MS))}>${form.error("since")}</label>`,
      call: async (data) => {
        const since = new Date(String(data.get("since"))).toISOString();
        const answer = await board.request("POST", `/webhooks/${this.hook}/retry-failed/`, { since });
        say(`Sending ${counted(answer.count, "delivery", "deliveries")} again.`);
        await this.reload();
      },
    });
  }

  renderPart() {
    const { items } = this.list;
    return html`<section class="screen-card" aria-label="Deliveries"><div class="screen-top"><h3>Deliveries</h3>
        <div class="buttons"><button @click=${this.reload}>Refresh</button>${items.length ? html`<button @click=${this.retryAll}>Send failed again…</button>` : nothing}</div></div>
      ${items.length ? html`<ol class="rows deliveries" aria-label="Deliveries, newest first">${items.map((one) => this.renderOne(one))}</ol>` : html`<p class="note">Nothing sent yet.</p>`}
      ${this.renderMore(this.list)}</section>`;
  }

  /** @param {Delivery} one */
  renderOne(one) {
    const [look, label] = STATES[one.status];
    const attempts = one.last_attempt_at ? one.retries + 1 : 0;
    const outcome = one.last_error ?? (one.last_status_code ? `HTTP ${one.last_status_code}` : "");
    return html`<li class="stack"><span class="row-text"><span><b>${one.event_type}</b> <small>#${one.sequence}</small></span>
        <small class="wrap">${momentOf(one.created_at)} · ${counted(attempts, "attempt")}${outcome ? html` · <bdi>${outcome}</bdi>` : nothing}${
          one.status === "retrying" && one.next_attempt_at ? html` · next ${momentOf(one.next_attempt_at)}` : nothing}</small><small class="wrap" dir="ltr"><code>${one.id}</code></small>${this.fault(one.id)}</span>
      <span class="row-end"><span class=${`pill ${look}`}>${label}</span><button class="icon-button" aria-expanded=${this.payloads.has(one.id)} aria-label=${`Payload of ${one.event_type} #${one.sequence}`} @click=${() => this.showPayload(one)}>Payload</button>
        <button aria-label=${`Send again: ${one.event_type} #${one.sequence}`} ?disabled=${this.busy === one.id} @click=${() => this.again(one)}>Send again</button></span>
      ${this.payloads.has(one.id) ? html`<pre class="payload" dir="ltr" tabindex="0" aria-label="Payload">${this.payloads.get(one.id)}</pre>` : nothing}</li>`;
  }
}

customElements.define("cb-deliveries", Deliveries);
