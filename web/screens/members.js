// Who is in an organization and who is invited: roles, removing, inviting, withdrawing.

import { html, nothing } from "lit";
import { board } from "/state.js";
import { icon } from "/chat/icons.js";
import { avatar } from "/chat/people.js";
import { Pages, Part, ask, copyable, dateOf } from "./base.js";

/** @typedef {{id: number, user: number, user_email: string, user_first_name: string, user_last_name: string, user_email_verified?: boolean, role: string, joined_at: string}} Member */
/** @typedef {{id: number, email: string, role: string, created_at: string, expires_at: string}} Invite */

export const ROLES = /** @type {Record<string, string>} */ ({ ADMIN: "Admin", MANAGER: "Manager", MEMBER: "Member" });
/** How long is waited for the next letter of a search. */
const TYPING_MS = 180;

/** A list of people that can be searched. */
export class People extends Part {
  /** @type {Pages<any>} */
  list = new Pages();
  search = "";

  /** @param {InputEvent} event */
  typed(event) {
    this.search = /** @type {HTMLInputElement} */ (event.target).value.trim();
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.reload(), TYPING_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.typing);
  }

  /** @param {string} path */
  async loadPeople(path) {
    await this.list.first(path, this.search ? { search: this.search } : {});
    for (const one of this.list.items) board.learn({ id: one.user, email: one.user_email, first_name: one.user_first_name, last_name: one.user_last_name });
  }

  renderSearch() {
    return html`<label class="search-people"><span class="hidden">Find people</span><input type="search" placeholder="Find by name or e-mail" dir="auto" autocomplete="off" .value=${this.search} @input=${this.typed}></label>`;
  }

  renderNobody() {
    return this.list.items.length ? this.renderMore(this.list) : html`<p class="nothing">Nobody found.</p>`;
  }
}

class Members extends People {
  load() {
    return this.loadPeople(`/orgs/${this.place.id}/members/`);
  }

  /** @param {Member} member @param {HTMLSelectElement} select */
  async changeRole(member, select) {
    const role = select.value;
    const worked = await this.run(`role-${member.user}`, () => board.request("POST", `/orgs/${this.place.id}/members/${member.user}/role/`, { role }),
      `${board.nameOf(member.user)} is ${role === "ADMIN" ? "an admin" : role === "MANAGER" ? "a manager" : "a member"} now.`);
    if (worked) member.role = role;
    else select.value = member.role;
    this.requestUpdate();
    if (worked && member.user === board.user?.id) await board.load();
  }

  /** @param {Member} member */
  askRemoval(member) {
    const name = board.nameOf(member.user);
    ask({
      label: `Remove ${name}?`, text: html`<p><bdi>${name}</bdi> leaves every room of ${this.org?.name}. Their messages stay.</p>`, action: "Remove", said: `${name} was removed.`,
      call: async () => {
        await board.request("DELETE", `/orgs/${this.place.id}/members/${member.user}/`);
        await this.reload();
      },
    });
  }

  renderPart() {
    return html`<h2>Members</h2><p class="screen-intro">Admins manage everything. Managers create rooms and invite people.</p>
      ${this.renderSearch()}<ul class="rows" aria-label="Members">${this.list.items.map((one) => this.renderMember(one))}</ul>${this.renderNobody()}`;
  }

  /** @param {Member} member */
  renderMember(member) {
    const { user, user_email: email, role } = member;
    const isMe = user === board.user?.id;
    return html`<li class="stack" data-user=${user}>${avatar(user)}<span class="row-text"><b><bdi>${board.nameOf(user)}</bdi>${isMe ? " (you)" : nothing}</b>
        <small><bdi>${email}</bdi>${member.user_email_verified === false ? " (not verified)" : nothing}</small>${this.fault(`role-${user}`)}</span>
      <span class="row-end">${this.isAdmin ? html`<select aria-label=${`Role of ${board.nameOf(user)}`} ?disabled=${this.busy === `role-${user}`}
            @change=${(/** @type {any} */ event) => this.changeRole(member, event.target)}>${Object.entries(ROLES).map(([value, label]) => html`<option value=${value} ?selected=${value === role}>${label}</option>`)}</select>
          ${isMe ? nothing : html`<button class="icon-button" aria-label=${`Remove ${board.nameOf(user)}`} title="Remove…" @click=${() => this.askRemoval(member)}>${icon("close")}</button>`}`
        : html`<span class="pill">${ROLES[role]}</span>`}</span></li>`;
  }
}

class Invites extends Part {
  /** @type {Pages<Invite>} */
  list = new Pages();
  /** The one just made: its link is shown this once. */
  made = { email: "", link: "" };

  left() {
    this.made = { email: "", link: "" };
  }

  /** @param {Map<string, any>} changed */
  updated(changed) {
    // Whoever just created the organization goes on by inviting.
    if (changed.has("ready") && this.ready && history.state?.isNew) /** @type {HTMLElement|null} */ (this.querySelector("input[name=email]"))?.focus();
  }

  async load() {
    await this.list.first(`/orgs/${this.place.id}/invites/`);
  }

  /** @param {FormData} data @param {HTMLFormElement} form */
  async invite(data, form) {
    const { email, token } = await board.request("POST", `/orgs/${this.place.id}/invite/`, { email: String(data.get("email")).trim(), role: data.get("role") });
    this.made = { email, link: `${location.origin}/invite/?token=${encodeURIComponent(token)}` };
    form.reset();
    await this.load();
  }

  /** @param {Invite} invite */
  withdraw(invite) {
    return this.run(`withdraw-${invite.id}`, async () => {
      await board.request("DELETE", `/orgs/${this.place.id}/invites/${invite.id}/`);
      if (this.made.email === invite.email) this.made = { email: "", link: "" };
      await this.load();
    }, "Invitation withdrawn.");
  }

  renderPart() {
    const { items } = this.list;
    const roles = Object.keys(ROLES).filter((role) => this.isAdmin || role !== "ADMIN").reverse();
    return html`<h2>Invitations</h2><p class="screen-intro">They'll get an e-mail with a link. It expires in 7 days and works only for that address.</p>
      <form class="screen-card invite-form" @submit=${this.submit("invite", (data, form) => this.invite(data, form), "Invitation sent.")}>
        <label>E-mail<input name="email" type="email" required autocomplete="off" dir="ltr"></label>
        <label>Role<select name="role">${roles.map((role) => html`<option value=${role}>${ROLES[role]}</option>`)}</select></label>
        <button class="primary" ?disabled=${this.busy === "invite"}>Invite</button></form>
      ${this.fault("invite")}${this.fault("invite", "email")}${this.fault("invite", "role")}
      ${this.made.link ? html`<div class="screen-card"><h3>The link for <bdi>${this.made.email}</bdi></h3><p class="note">We also e-mailed one. You won't see this link again. Only the e-mailed one verifies their address.</p>${copyable("Link", this.made.link)}</div>` : nothing}
      ${items.length ? html`<ul class="rows" aria-label="Open invitations">${items.map((one) => html`<li class="stack"><span class="row-text"><b><bdi>${one.email}</bdi></b>
          <small>${ROLES[one.role]} · until ${dateOf(one.expires_at)}</small>${this.fault(`withdraw-${one.id}`)}</span>
        <span class="row-end"><button class="warn" aria-label=${`Withdraw the invitation of ${one.email}`} ?disabled=${this.busy === `withdraw-${one.id}`} @click=${() => this.withdraw(one)}>Withdraw</button></span></li>`)}</ul>`
        : html`<p class="nothing">No open invitations.</p>`}${this.renderMore(this.list)}`;
  }
}

customElements.define("cb-members-of", Members);
customElements.define("cb-invites", Invites);
