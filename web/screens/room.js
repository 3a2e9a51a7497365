// A room: what it is called and who may join, who is in it, leaving and deleting it, and what it is to its reader.

import { html, nothing } from "lit";
import { Follow, board, go } from "/state.js";
import { PickDialog } from "/chat/dialog.js";
import { nameFault } from "/chat/forms.js";
import { icon } from "/chat/icons.js";
import { show } from "/chat/modal.js";
import { avatar, counted } from "/chat/people.js";
import { Part, ask, dateOf, say } from "./base.js";
import { People, ROLES } from "./members.js";

const LEVELS = /** @type {Record<string, string>} */ ({ PUBLIC: "Public: everyone in the organization can join", MANAGER_ONLY: "Managers and admins only", PRIVATE: "Private: by invitation" });
const NOTIFY = /** @type {const} */ ({
  all: ["All messages", "Bold and notify for every message."], mentions: ["Mentions", "Only when someone mentions you, or everyone."], none: ["Nothing", "The room is muted."],
});

/** Which of the room's parts a person may use. @param {number} id */
export function roleIn(id) {
  const room = board.rooms.get(id);
  if (!room) return "";
  if (room.info.is_dm) return "DM";
  const role = board.orgs.find((org) => org.id === room.info.org)?.role;
  return role === "ADMIN" || role === "MANAGER" || room.info.created_by === board.user?.id ? "KEEPER" : "MEMBER";
}

class RoomSettings extends Part {
  follow = new Follow(this, ["rooms", "room"], (id) => id === null || id === this.place.id);

  get room() {
    return board.rooms.get(this.place.id);
  }

  async load() {
    const { webhooks, ...settings } = await board.request("GET", `/rooms/${this.place.id}/settings/`);
    /** Where else the messages of a private room go. @type {{id: number, host: string, is_active: boolean}[]} */ this.webhooks = webhooks ?? [];
    if (this.room) this.room.settings = settings;
  }

  /** @param {any} change @param {string} form */
  mine(change, form) {
    return this.run(form, async () => {
      await this.room?.change(change);
      board.listChanged();
    }, "Saved.");
  }

  /** @param {FormData} data */
  async change(data) {
    const auto = data.has("auto_join");
    await board.request("PATCH", `/rooms/${this.place.id}/`, {
      name: String(data.get("name")).trim(), topic: String(data.get("topic")).trim(), access_level: data.get("access_level"), auto_join: auto,
    }).catch((error) => {
      throw nameFault(error);
    });
    await board.open(this.place.id);
  }

  askLeave() {
    const { id, name } = /** @type {any} */ (this.room);
    ask({ label: `Leave ${name}?`, text: html`<p>You can join again if the room is open to you.</p>`, action: "Leave", said: `You left ${name}.`, call: async () => {
      await board.request("POST", `/rooms/${id}/leave/`);
      go("/", { replace: true });
    } });
  }

  askDelete() {
    const { id, name } = /** @type {any} */ (this.room);
    ask({ label: `Delete ${name}?`, text: html`<p>Its messages and files are deleted, for everyone. This cannot be undone.</p>`, action: "Delete room", word: name, said: "Room deleted.", call: async () => {
      await board.request("DELETE", `/rooms/${id}/`);
      go("/", { replace: true });
    } });
  }

  renderPart() {
    const { room } = this;
    if (!room) return nothing;
    const role = roleIn(room.id);
    return html`${role === "DM" ? nothing : this.renderRoom(room, role === "KEEPER")}${this.renderWebhooks()}${this.renderMine(room)}
      ${role === "DM" ? nothing : html`<div class="screen-card danger"><h3>Leave</h3><p class="note">Your messages stay.</p><div class="buttons"><button class="warn" @click=${this.askLeave}>Leave this room…</button></div></div>`}
      ${role === "KEEPER" ? html`<div class="screen-card danger"><h3>Delete</h3><p class="note">With everything in it.</p><div class="buttons"><button class="warn" @click=${this.askDelete}>Delete this room…</button></div></div>` : nothing}`;
  }

  /** Who else reads a private room is told to everyone in it. */
  renderWebhooks() {
    if (!this.webhooks?.length) return nothing;
    return html`<div class="screen-card"><h3>Sent to other systems</h3><p class="note">An admin has set up that messages of this private room are sent to:</p>
      <ul class="rows" aria-label="Webhooks">${this.webhooks.map((one) => html`<li><span class="row-text"><b><bdi>${one.host}</bdi></b><small>Webhook ${one.id}</small></span>
        <span class="row-end">${one.is_active ? nothing : html`<span class="pill">Inactive</span>`}</span></li>`)}</ul></div>`;
  }

  /** @param {import("/chatboard/room.js").Room} room @param {boolean} isKeeper */
  renderRoom({ info }, isKeeper) {
    const intro = html`<p class="screen-intro">Created by <bdi>${board.nameOf(info.created_by)}</bdi> on ${dateOf(info.created_at)}.</p>`;
    if (!isKeeper) return html`<h2>Room</h2>${intro}<div class="screen-card"><h3 dir="auto">${info.name}</h3>${info.topic ? html`<p class="note" dir="auto">${info.topic}</p>` : nothing}<p class="note">Visibility: ${LEVELS[info.access_level]}</p></div>`;
    return html`<h2>Room</h2>${intro}<form class="screen-card" aria-label="Room" @submit=${this.submit("room", (data) => this.change(data), "Saved.")}>
      <label>Name<input name="name" required dir="auto" autocomplete="off" .value=${info.name}>${this.fault("room", "name")}</label>
      <label>Topic<input name="topic" dir="auto" autocomplete="off" .value=${info.topic}>${this.fault("room", "topic")}</label>
      <label>Visibility<select name="access_level">${Object.entries(LEVELS).map(([level, label]) => html`<option value=${level} ?selected=${level === info.access_level}>${label}</option>`)}</select>${this.fault("room", "access_level")}</label>
      <label class="check"><input type="checkbox" name="auto_join" .checked=${info.auto_join}><span>Add everyone automatically, now and when people join<small>People who leave aren't added again. Not available for private rooms.</small></span></label>${this.fault("room", "auto_join")}
      ${this.fault("room")}<div class="buttons end"><button class="primary" ?disabled=${this.busy === "room"}>Save</button></div></form>`;
  }

  /** @param {import("/chatboard/room.js").Room} room */
  renderMine({ settings }) {
    const sections = new Set([...board.rooms.values()].map((one) => one.settings.section).filter((name) => name !== null));
    return html`<h2>For you</h2><p class="screen-intro">Nobody else sees these.</p><div class="screen-card">
      <form><fieldset class="choices-of"><legend>Notify me of</legend>${Object.entries(NOTIFY).map(([name, [label, note]]) => html`<label class="check"><input type="radio" name="notify" value=${name} .checked=${settings.notify === name}
        @change=${() => this.mine({ notify: name }, "notify")}><span>${label}<small>${note}</small></span></label>`)}</fieldset>${this.fault("notify")}
        <label class="check"><input type="checkbox" name="starred" .checked=${settings.starred} @change=${(/** @type {any} */ event) => this.mine({ starred: event.target.checked }, "star")}><span>Starred<small>It comes first in the list.</small></span></label>${this.fault("star")}</form>
      <form class="line section-form" @submit=${this.submit("section", (data) => this.moveTo(data), "Saved.")}><label>Section<input name="section" list="section-names" dir="auto" autocomplete="off" placeholder="None" .value=${settings.section ?? ""}></label>
        <button ?disabled=${this.busy === "section"}>Save</button><datalist id="section-names">${[...sections].map((name) => html`<option value=${name}></option>`)}</datalist></form>${this.fault("section")}${this.fault("section", "section")}</div>`;
  }

  /** @param {FormData} data */
  async moveTo(data) {
    await this.room?.change({ section: String(data.get("section")).trim() || null });
    board.listChanged();
  }
}

class RoomMembers extends People {
  follow = new Follow(this, ["room", "rooms"], (id) => id === null || id === this.place.id);
  /** How many were in it when the list was read. */
  count = -1;

  get room() {
    return board.rooms.get(this.place.id);
  }

  load() {
    this.count = this.room?.info.members_count ?? -1;
    return this.loadPeople(`/rooms/${this.place.id}/members/`);
  }

  updated() {
    const count = this.room?.info.members_count ?? -1;
    if (this.ready && count !== this.count) this.reload();
  }

  /** @param {any} member */
  askRemoval(member) {
    const name = board.nameOf(member.user);
    ask({ label: `Remove ${name}?`, text: html`<p><bdi>${name}</bdi> loses access to this room. Their messages stay.</p>`, action: "Remove", said: `${name} was removed.`, call: async () => {
      await board.request("DELETE", `/rooms/${this.place.id}/members/${member.user}/`);
      await this.reload();
    } });
  }

  renderPart() {
    const role = roleIn(this.place.id);
    const isKeeper = role === "KEEPER";
    return html`<div class="screen-top"><div><h2>Members</h2><p class="screen-intro">${this.room ? counted(this.room.info.members_count, "person", "people") : nothing}</p></div>
        ${isKeeper ? html`<button @click=${() => show("cb-add-to-room", { room: this.place.id, added: () => this.reload() })}>${icon("plus")} Add people</button>` : nothing}</div>
      ${this.renderSearch()}<ul class="rows" aria-label="Members">${this.list.items.map((member) => html`<li data-user=${member.user}>${avatar(member.user, this.room?.online.size ? this.room.online.has(member.user) : member.online)}
        <span class="row-text"><b><bdi>${board.nameOf(member.user)}</bdi>${member.user === board.user?.id ? " (you)" : nothing}</b><small><bdi>${member.user_email}</bdi>${member.org_role === "MEMBER" ? nothing : ` · ${ROLES[member.org_role]}`}</small></span>
        ${isKeeper && member.user !== board.user?.id ? html`<span class="row-end"><button class="icon-button" aria-label=${`Remove ${board.nameOf(member.user)}`} title="Remove…" @click=${() => this.askRemoval(member)}>${icon("close")}</button></span>` : nothing}</li>`)}</ul>${this.renderNobody()}`;
  }
}

/** People of the organization who are not in the room yet. */
class AddToRoom extends PickDialog {
  constructor() {
    super();
    this.label = "Add people";
    this.placeholder = "Find by name or e-mail";
    this.empty = "Everyone is already in this room.";
    this.room = 0;
    this.added = () => {};
    /** @type {Set<number>|null} */ this.members = null;
  }

  /** @param {string} text */
  async find(text) {
    if (text) await new Promise((done) => setTimeout(done, 150));
    this.members ??= new Set((await Array.fromAsync(board.items(`/rooms/${this.room}/members/`))).map((one) => one.user));
    const { results } = await board.request("GET", `/orgs/${board.rooms.get(this.room)?.info.org}/members/?${new URLSearchParams({ limit: "100", search: text })}`);
    return results.filter((/** @type {any} */ one) => !this.members?.has(one.user)).slice(0, 30).map((/** @type {any} */ one) => {
      board.learn({ id: one.user, email: one.user_email, first_name: one.user_first_name, last_name: one.user_last_name });
      return { icon: avatar(one.user), title: board.nameOf(one.user), note: one.user_email, run: () => this.add(one.user) };
    });
  }

  /** @param {number} user */
  async add(user) {
    await board.request("POST", `/rooms/${this.room}/invite/`, { user_id: user });
    this.members?.add(user);
    say(`${board.nameOf(user)} was added.`);
    this.added();
    await this.typed();
  }
}

customElements.define("cb-room-settings", RoomSettings);
customElements.define("cb-room-members", RoomMembers);
customElements.define("cb-add-to-room", AddToRoom);
