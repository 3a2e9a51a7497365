// An organization: its name, leaving it, deleting it.

import { html, nothing } from "lit";
import { board, go } from "/state.js";
import { Part, ask, dateOf } from "./base.js";

/** The rooms and organizations anew, then to where there is something. */
async function goOn() {
  await board.load().catch(() => {});
  go("/", { replace: true });
}

class General extends Part {
  async load() {
    /** @type {any} */ this.info = await board.request("GET", `/orgs/${this.place.id}/`);
  }

  /** @param {FormData} data */
  async rename(data) {
    this.info = await board.request("PATCH", `/orgs/${this.place.id}/`, { name: String(data.get("name")).trim() });
    const known = this.org;
    if (known) known.name = this.info.name;
    board.listChanged();
  }

  leave() {
    ask({
      label: `Leave ${this.info.name}?`, text: html`<p>You leave all of its rooms. To come back, you need an invitation.</p>`, action: "Leave", said: `You left ${this.info.name}.`,
      call: async () => {
        await board.request("DELETE", `/orgs/${this.place.id}/members/${board.user?.id}/`);
        await goOn();
      },
    });
  }

  askDelete() {
    ask({
      label: `Delete ${this.info.name}?`, action: "Delete organization", word: this.info.name, said: "Organization deleted.",
      text: html`<p>Its rooms, messages, files and webhooks are deleted, for everyone. This can't be undone.</p>`,
      call: async () => {
        await board.request("DELETE", `/orgs/${this.place.id}/`);
        await goOn();
      },
    });
  }

  renderPart() {
    const { info, isAdmin } = this;
    return html`<h2>General</h2><p class="screen-intro">Created on ${dateOf(info.created_at)}. You are ${info.role === "ADMIN" ? "an admin" : info.role === "MANAGER" ? "a manager" : "a member"}.</p>
      ${isAdmin ? html`<form class="screen-card" @submit=${this.submit("name", (data) => this.rename(data), "Saved.")}>
          <label>Name<input name="name" required dir="auto" autocomplete="off" .value=${info.name}>${this.fault("name", "name")}</label>${this.fault("name")}
          <div class="buttons end"><button class="primary" ?disabled=${this.busy === "name"}>Save</button></div></form>` : nothing}
      <p class="note"><a href="/orgs/new">Create another organization</a></p>
      <div class="screen-card danger"><h3>Leave</h3><p class="note">Your messages stay. If you're the only admin, make someone else admin first.</p><div class="buttons"><button class="warn" @click=${this.leave}>Leave this organization…</button></div></div>
      ${isAdmin ? html`<div class="screen-card danger"><h3>Delete</h3><p class="note">With everything in it. Not possible while a legal hold is on.</p><div class="buttons"><button class="warn" @click=${this.askDelete}>Delete this organization…</button></div></div>` : nothing}`;
  }
}

class NewOrganization extends Part {
  /** @param {FormData} data */
  async make(data) {
    const { id } = await board.request("POST", "/orgs/", { name: String(data.get("name")).trim() });
    await board.load();
    go(`/orgs/${id}/settings/invites`, { replace: true, state: { isNew: true } });
  }

  renderPart() {
    return html`<h2>New organization</h2><p class="screen-intro">With its own people and rooms; you are its admin. To join one that exists, ask someone there for an invitation.</p>
      <form class="screen-card" @submit=${this.submit("new", (data) => this.make(data), "Organization created. Now invite your team.")}>
        <label>Name<input name="name" required dir="auto" autocomplete="organization">${this.fault("new", "name")}</label>${this.fault("new")}
        <div class="buttons end"><button class="primary" ?disabled=${this.busy === "new"}>Create organization</button></div></form>`;
  }
}

customElements.define("cb-org-new", NewOrganization);
customElements.define("cb-org-general", General);
