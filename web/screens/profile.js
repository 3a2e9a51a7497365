// One's own account: name, password, devices, organizations, and its end.

import { html, nothing } from "lit";
import { board } from "/state.js";
import { isBlank } from "/chatboard/text.js";
import { avatar, counted, fullTimeOf } from "/chat/people.js";
import { Pages, Part, ask } from "./base.js";
import { field } from "./fields.js";

/** Signs out; nothing that one wrote stays readable on this device, sent or not. */
async function signOut(id = board.user?.id ?? 0) {
  // Whoever signs in next does not begin where this one was.
  history.replaceState({}, "", "/");
  const ended = board.signOut();
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith(`chatboard.draft.${id}.`) || /^chatboard\.(org|room|emoji|folded)\b/.test(key)) localStorage.removeItem(key);
  }
  await Promise.all([ended, board.forget(id)]);
}

class Profile extends Part {
  async load() {}

  /** @param {FormData} data */
  async save(data) {
    const address = String(data.get("avatar_url")).trim();
    if (isBlank(`${data.get("first_name")}${data.get("last_name")}`)) throw Object.assign(new Error(), { errors: { first_name: ["Your name can't be empty."] } });
    board.rest.setUser(await board.request("PATCH", "/auth/me/", { first_name: data.get("first_name"), last_name: data.get("last_name"), avatar_url: address || null }));
    board.listChanged();
    this.requestUpdate();
  }

  /** @param {FormData} data @param {HTMLFormElement} form */
  async changePassword(data, form) {
    await board.request("POST", "/auth/password/change/", { current_password: data.get("current_password"), new_password: data.get("new_password") });
    form.reset();
  }

  leave() {
    const unsent = board.outbox.list().filter((send) => !send.acked).length;
    if (!unsent) return signOut();
    const [what, which] = unsent === 1 ? ["A message has", "it"] : [`${counted(unsent, "message")} have`, "them"];
    ask({ label: "Sign out?", text: html`<p>${what} not been sent. Signing out deletes ${which} from this device.</p>`, action: "Sign out", call: () => signOut() });
  }

  delete() {
    // Gone, it may be signed out before the answer is here.
    const id = board.user?.id;
    ask({
      label: "Delete your account?", action: "Delete my account",
      text: html`<p>You leave every organization and room. Your messages stay, under “Deleted user”. This can't be undone.</p>`,
      fields: (form) => field({ name: "leaving", errors: form.errors }, "password", "Your password", { type: "password", autocomplete: "current-password", required: true }),
      call: async (data) => {
        await board.request("DELETE", "/auth/me/", { password: data.get("password") });
        await signOut(id);
      },
    });
  }

  /** @param {string} name */
  state(name) {
    return { name, errors: this.faults[name]?.errors ?? {} };
  }

  renderPart() {
    const { user } = board;
    if (!user) return nothing;
    const [profile, password] = [this.state("profile"), this.state("password")];
    return html`<div class="who">${avatar(user.id)}<div><h2><bdi>${board.nameOf(user.id)}</bdi></h2><p class="note"><bdi>${user.email}</bdi></p></div></div>
      <form class="screen-card" @submit=${this.submit("profile", (data) => this.save(data), "Saved.")}>
        <div class="pair">${field(profile, "first_name", "First name", { value: user.first_name, autocomplete: "given-name", dir: "auto" })}
          ${field(profile, "last_name", "Last name", { value: user.last_name, autocomplete: "family-name", dir: "auto" })}</div>
        ${field(profile, "avatar_url", "Picture URL", { type: "url", value: user.avatar_url ?? "", placeholder: "https://…", hint: "Shown by other apps." })}
        ${this.fault("profile")}<div class="buttons end"><button class="primary" ?disabled=${this.busy === "profile"}>Save</button></div></form>
      <form class="screen-card" @submit=${this.submit("password", (data, form) => this.changePassword(data, form), "Changed. Your other devices are signed out.")}>
        <h3>Password</h3><input hidden name="email" autocomplete="username" .value=${user.email}>
        <div class="pair">${field(password, "current_password", "Current password", { type: "password", autocomplete: "current-password", required: true })}
          ${field(password, "new_password", "New password", { type: "password", autocomplete: "new-password", required: true, min: 8, hint: "8 characters or more." })}</div>
        ${this.fault("password")}<div class="buttons end"><button class="primary" ?disabled=${this.busy === "password"}>Change the password</button></div></form>
      <div class="screen-card"><h3>Sign out</h3><p class="note">On this device. Drafts, and what could not be sent, are deleted from it.</p><div class="buttons"><button @click=${this.leave}>Sign out</button></div></div>
      <div class="screen-card danger"><h3>Delete your account</h3><p class="note">What you wrote stays, without your name.</p><div class="buttons"><button class="warn" @click=${this.delete}>Delete my account…</button></div></div>`;
  }
}

const SYSTEMS = /** @type {[RegExp, string][]} */ ([[/iPhone|iPad/, "iOS"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS X|Macintosh/, "macOS"], [/CrOS/, "ChromeOS"], [/Linux/, "Linux"]]);
const PROGRAMS = /** @type {[RegExp, string][]} */ ([[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"]]);

/** "Firefox on Linux", as far as it can be told. @param {string} agent */
function deviceOf(agent) {
  const found = (/** @type {[RegExp, string][]} */ list) => list.find(([test]) => test.test(agent))?.[1];
  const [program, system] = [found(PROGRAMS), found(SYSTEMS)];
  return program ? (system ? `${program} on ${system}` : program) : agent.split(/[ /(]/)[0] || "Unknown device";
}

class Devices extends Part {
  constructor() {
    super();
    /** @type {Pages<any>} */ this.pages = new Pages();
  }

  async load() {
    await this.pages.first("/auth/sessions/");
  }

  /** @param {any} session */
  end(session) {
    this.run("end", async () => {
      await board.request("DELETE", `/auth/sessions/${session.sid}/`);
      await this.pages.first("/auth/sessions/");
    }, "Device signed out.");
  }

  endOthers() {
    ask({
      label: "Sign out everywhere else?", text: html`<p>Every other device has to sign in again.</p>`, action: "Sign out other devices", said: "Signed out everywhere else.",
      call: async () => {
        for (const session of await Array.fromAsync(board.items("/auth/sessions/"))) {
          if (!session.current) await board.request("DELETE", `/auth/sessions/${session.sid}/`);
        }
        await this.reload();
      },
    });
  }

  renderPart() {
    const all = [...this.pages.items].sort((a, b) => Number(b.current) - Number(a.current) || b.last_seen.localeCompare(a.last_seen));
    return html`<div class="screen-top"><div><h2>Devices</h2><p class="screen-intro">Where you are signed in. Don't recognize one? Sign it out, and change your password.</p></div>
      ${all.length > 1 ? html`<button @click=${this.endOthers}>Sign out the others…</button>` : nothing}</div>${this.fault("end")}
      <ul class="rows">${all.map((one) => html`<li><span class="row-text"><b title=${one.user_agent}>${deviceOf(one.user_agent)}</b><small>Last used ${fullTimeOf(one.last_seen)}, signed in ${fullTimeOf(one.created_at)}</small></span>
        <span class="row-end">${one.current ? html`<span class="pill good">This device</span>` : html`<button aria-label=${`Sign out ${deviceOf(one.user_agent)}`} ?disabled=${this.busy === "end"} @click=${() => this.end(one)}>Sign out</button>`}</span></li>`)}</ul>
      ${this.renderMore(this.pages)}`;
  }
}

const ROLES = { ADMIN: "Admin", MANAGER: "Manager", MEMBER: "Member" };

class Organizations extends Part {
  async load() {
    await board.load();
  }

  /** Opens one in the chat. @param {number} id */
  enter(id) {
    this.dispatchEvent(new CustomEvent("org", { bubbles: true, detail: id }));
  }

  /** @param {any} org */
  leave(org) {
    ask({
      label: `Leave ${org.name}?`, text: html`<p>You leave all of its rooms. To come back, you need an invitation.</p>`, action: "Leave", said: `You left ${org.name}.`,
      call: async () => {
        await board.request("DELETE", `/orgs/${org.id}/members/${board.user?.id}/`);
        await this.reload();
      },
    });
  }

  renderPart() {
    return html`<div class="screen-top"><div><h2>Organizations</h2><p class="screen-intro">Each has its own people and rooms.</p></div><a class="button" href="/orgs/new">New organization</a></div>
      ${board.orgs.length ? html`<ul class="rows">${board.orgs.map((org) => html`<li class="stack"><span class="row-text"><b><bdi>${org.name}</bdi></b><small>${ROLES[/** @type {keyof typeof ROLES} */ (org.role)]}</small></span>
          <span class="row-end"><button aria-label=${`Leave ${org.name}`} @click=${() => this.leave(org)}>Leave…</button><a class="button" href=${`/orgs/${org.id}/settings`} aria-label=${`Settings of ${org.name}`}>Settings</a>
            <button aria-label=${`Open ${org.name}`} @click=${() => this.enter(org.id)}>Open</button></span></li>`)}</ul>`
        : html`<p class="nothing">You aren't in an organization yet. Create one, or ask a teammate to invite you (${board.user?.email}).</p>`}`;
  }
}

customElements.define("cb-profile", Profile);
customElements.define("cb-devices", Devices);
customElements.define("cb-organizations", Organizations);
