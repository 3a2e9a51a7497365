// What a person was told of, newest first: opening it, marking it, why it came or did not, and what is mailed.

import { html, nothing } from "lit";
import { Follow, board } from "/state.js";
import { plain } from "/markdown.js";
import { icon } from "/chat/icons-more.js";
import { avatar, dayOf, marksIn, timeOf } from "/chat/people.js";
import { Pages, Part, ask, momentOf, say } from "./base.js";

/**
 * @typedef {{id: number, title: string, message: string, notification_type: string, is_read: boolean, created_at: string,
 *   data: {org: number, room?: number, message?: number, invite_id?: number, by: number}}} Notification
 * @typedef {{channel: "app"|"email", outcome: "sent"|"suppressed", reason: string|null, decided_at: string}} Decision
 */

const REASONS = /** @type {Record<string, string>} */ ({
  read: "you had read it already", online: "you were here", muted: "the room is muted", deleted: "the message was deleted",
  preference: "you do not want such mails", rate: "there were too many at once",
});
const CHANNELS = { app: ["Shown here", "Not shown here"], email: ["Mailed to you", "Not mailed"] };

/** The token in the link of an invitation. @param {string} link */
const tokenIn = (link) => decodeURIComponent(link.match(/[?&]token=([^&\s]+)/)?.[1] ?? link.trim());

/** @param {Notification} one */
const isInvited = ({ notification_type, data }) => notification_type === "org_invite" && !board.orgs.some(({ id }) => id === data.org);

/** @param {Notification} one */
function addressOf({ data, notification_type }) {
  if (data.room && data.message) return `/r/${data.room}/m/${data.message}`;
  if (data.room) return `/r/${data.room}`;
  return notification_type === "role_change" && board.orgs.some((org) => org.id === data.org) ? `/orgs/${data.org}/settings/members` : null;
}

class Notifications extends Part {
  /** @type {Pages<Notification>} */
  list = new Pages();
  onlyUnread = false;
  // Names of people whom texts mention may come later.
  follow = new Follow(this, ["rooms"]);
  /** What was asked why. @type {Map<number, Decision[]>} */
  why = new Map();
  onNotification = (/** @type {any} */ { detail }) => {
    this.list.items = [detail, ...this.list.items.filter(({ id }) => id !== detail.id)];
    this.requestUpdate();
  };

  connectedCallback() {
    super.connectedCallback();
    board.addEventListener("notification", this.onNotification);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    board.removeEventListener("notification", this.onNotification);
  }

  async load() {
    /** @type {Record<string, string>} */
    const params = this.onlyUnread ? { is_read: "false" } : {};
    await Promise.all([this.list.first("/notifications/", params), board.countNotifications()]);
  }

  /** @param {boolean} onlyUnread */
  filter(onlyUnread) {
    this.onlyUnread = onlyUnread;
    this.reload();
  }

  /** @param {Notification} one @param {boolean} isRead */
  mark(one, isRead) {
    return this.run(`mark-${one.id}`, async () => {
      one.is_read = isRead;
      this.requestUpdate();
      await board.request("PATCH", `/notifications/${one.id}/`, { is_read: isRead });
      await board.countNotifications();
    });
  }

  markAll() {
    return this.run("all", async () => {
      await board.request("POST", "/notifications/mark-all-read/");
      await this.load();
    }, "Marked all as read.");
  }

  /** The link in the mail proves that the invitation is for who reads it: nothing else has its token. @param {Notification} one */
  accept(one) {
    ask({
      label: "Accept the invitation", action: "Accept", isDangerous: false,
      text: html`<p>Open the link in the mail that went to <bdi>${board.user?.email}</bdi>, or paste it here.</p>`,
      fields: (form) => html`<label>Link<input name="token" required autocomplete="off" autofocus dir="ltr" spellcheck="false" placeholder="https://…">${form.error("token")}</label>`,
      call: async (data) => {
        const { org_id: org } = await board.request("POST", "/orgs/accept-invite/", { token: tokenIn(String(data.get("token"))) });
        if (!one.is_read) await this.mark(one, true);
        await board.load();
        say(`You joined ${board.orgs.find(({ id }) => id === org)?.name ?? "the organization"}.`);
        this.dispatchEvent(new CustomEvent("org", { bubbles: true, detail: org }));
      },
    });
  }

  /** @param {Notification} one */
  askWhy(one) {
    if (this.why.delete(one.id)) return this.requestUpdate();
    return this.run(`why-${one.id}`, async () => {
      const { decisions } = await board.request("GET", `/notifications/decisions/?message=${one.data.message}`);
      this.why.set(one.id, decisions);
    });
  }

  renderPart() {
    const { items } = this.list;
    const tab = (/** @type {string} */ label, /** @type {boolean} */ only) => html`<button aria-pressed=${this.onlyUnread === only} @click=${() => this.filter(only)}>${label}</button>`;
    return html`<div class="screen-top"><div class="buttons" role="group" aria-label="Which">${tab("All", false)}${tab("Unread", true)}</div>
        <button ?disabled=${!board.unreadNotifications || this.busy === "all"} @click=${this.markAll}>Mark all as read</button></div>${this.fault("all")}
      ${items.length ? this.days().map(([day, ones]) => html`<h2 class="rows-head">${day}</h2><ul class="rows">${ones.map((one) => this.renderOne(one))}</ul>`)
        : html`<p class="nothing notifications-none">${this.onlyUnread ? "Nothing is unread." : "Nothing yet. Mentions and direct messages come here."}</p>`}
      ${this.renderMore(this.list)}`;
  }

  /** @returns {[string, Notification[]][]} */
  days() {
    /** @type {Map<string, Notification[]>} */
    const days = new Map();
    for (const one of this.list.items) days.set(dayOf(one.created_at), [...(days.get(dayOf(one.created_at)) ?? []), one]);
    return [...days];
  }

  /** @param {Notification} one */
  renderOne(one) {
    const address = addressOf(one);
    const why = this.why.get(one.id);
    const org = board.orgs.length > 1 ? board.orgs.find(({ id }) => id === one.data.org)?.name : "";
    const text = html`<b class="wrap" dir="auto">${one.title}</b>${one.message ? html`<small class="wrap clamp" dir="auto">${plain(one.message, marksIn)}</small>` : nothing}
      <small>${timeOf(one.created_at)}${org ? html` · <bdi>${org}</bdi>` : nothing}</small>`;
    return html`<li class=${one.is_read ? "stack" : "stack unread"} data-notification=${one.id}>${avatar(one.data.by)}
      ${address ? html`<a class="row-text" href=${address} @click=${() => one.is_read || this.mark(one, true)}>${text}</a>` : html`<span class="row-text">${text}</span>`}
      <span class="row-end">${isInvited(one) ? html`<button aria-label=${`Accept… ${one.title}`} @click=${() => this.accept(one)}>Accept…</button>` : nothing}${one.data.message ? html`<button class="icon-button" aria-expanded=${why !== undefined} aria-label=${`Why? ${one.title}`} @click=${() => this.askWhy(one)}>Why?</button>` : nothing}
        <button class="icon-button" aria-label=${`Mark as ${one.is_read ? "unread" : "read"}: ${one.title}`} title=${one.is_read ? "Mark as unread" : "Mark as read"} @click=${() => this.mark(one, !one.is_read)}>${one.is_read ? icon("bell") : icon("check")}</button></span>
      ${why ? html`<ul class="why">${why.length ? why.map((decision) => this.renderDecision(decision)) : html`<li>Not decided yet.</li>`}</ul>` : nothing}
      ${this.fault(`mark-${one.id}`)}${this.fault(`why-${one.id}`)}</li>`;
  }

  /** @param {Decision} decision */
  renderDecision({ channel, outcome, reason, decided_at: at }) {
    const [yes, no] = CHANNELS[channel];
    return html`<li>${outcome === "sent" ? yes : html`${no}: ${REASONS[reason ?? ""] ?? reason}`} <small>${momentOf(at)}</small></li>`;
  }
}

const MAILS = { all: ["Everything", "Mentions and direct messages."], mentions: ["Mentions only", "When someone mentions you, or everyone."], none: ["Nothing", "Invitations still come by mail."] };

class MailPreferences extends Part {
  /** @param {string} which */
  choose(which) {
    return this.run("mails", async () => board.rest.setUser(await board.request("PATCH", "/auth/me/", { email_notifications: which })), "Saved.");
  }

  renderPart() {
    const chosen = board.user?.email_notifications;
    return html`<h2>E-mail</h2><p class="screen-intro">If you're away for more than a minute, we e-mail <bdi>${board.user?.email}</bdi>.</p>
      <form class="screen-card"><fieldset class="choices-of"><legend>Mail me</legend>${Object.entries(MAILS).map(([name, [label, note]]) => html`<label class="check">
        <input type="radio" name="mails" value=${name} .checked=${chosen === name} ?disabled=${this.busy === "mails"} @change=${() => this.choose(name)}><span>${label}<small>${note}</small></span></label>`)}</fieldset>${this.fault("mails")}</form>
      <p class="note">To change a room's notifications, open the room's menu.</p>`;
  }
}

/** Whether this browser shows notifications, in a word and what to do about it. */
const DESKTOP = {
  granted: ["On", "You get a notification for what each room is set to, unless you are reading it."],
  default: ["Off", "Your browser asks you once whether ChatBoard may show them."],
  denied: ["Blocked", "Allow notifications for this site in your browser's settings, then reload the page."],
  missing: ["Not available", "This browser can't show notifications."],
};

/** Desktop notifications of this browser: whether they are on, and one to try. */
class DesktopPreferences extends Part {
  renderPart() {
    const state = globalThis.Notification ? Notification.permission : "missing";
    const [word, note] = DESKTOP[state];
    return html`<h2>Desktop</h2><section class="screen-card"><div class="screen-top"><div><h3>Notifications on this device <span class=${state === "granted" ? "pill good" : "pill"}>${word}</span></h3><small>${note}</small></div>
      ${state === "default" ? html`<button class="primary" @click=${this.turnOn}>Turn on</button>` : state === "granted" ? html`<button ?disabled=${this.busy === "try"} @click=${this.tryOne}>Send a test</button>` : nothing}</div>${this.fault("try")}</section>`;
  }

  turnOn() {
    return this.run("try", async () => {
      const { answer } = await import("/chat/alive.js");
      await answer(true);
    });
  }

  tryOne() {
    return this.run("try", async () => {
      const registration = await navigator.serviceWorker?.getRegistration();
      if (!registration) throw new Error("Notifications are not ready yet. Reload the page and try again.");
      await registration.showNotification("ChatBoard", { body: "Notifications work on this device.", tag: "test", icon: "/icons/icon-192.png", data: { path: "/notifications/desktop" } });
    }, "Sent.");
  }
}

customElements.define("cb-desktop-preferences", DesktopPreferences);
customElements.define("cb-notifications", Notifications);
customElements.define("cb-mail-preferences", MailPreferences);
