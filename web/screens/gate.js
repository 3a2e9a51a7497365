// The screens before the chat: signing in, a new account, a forgotten password, and what links in
// mails lead to: `/invite/?token=…` and `/reset/?token=…`.

import { html, nothing } from "lit";
import { Follow, board, go } from "/state.js";
import { Forms, field, problemOf } from "./fields.js";

/** Where someone wanted to go before they had to sign in; never away from here. */
export function destination() {
  const to = new URLSearchParams(location.search).get("to") ?? "/";
  return /^\/(?![/\\])/.test(to) && new URL(to, location.origin).origin === location.origin ? to : "/";
}

/** The token of a link, which may be in its path or its query. @param {string} path */
const tokenOf = (path) => new URLSearchParams(location.search).get("token") ?? decodeURIComponent(path.split("/")[2] ?? "");

const HEADINGS = { "sign-in": "Sign in", register: "Make an account", invite: "You are invited", reset: "A new password" };

class Gate extends Forms {
  static properties = { path: { attribute: false } };

  constructor() {
    super();
    this.path = "";
    /** Whether who was invited has no account yet. */ this.isNew = true;
    this.follow = new Follow(this, ["user"]);
    /** What a screen ended with. @type {any} */ this.end = null;
  }

  /** @param {Map<string, any>} changed */
  willUpdate(changed) {
    if (!changed.has("path")) return;
    this.forms.clear();
    this.end = null;
    const kind = this.path.split("/")[1];
    const heading = this.path === "/sign-in/forgotten" ? "Forgot your password?" : HEADINGS[/** @type {keyof typeof HEADINGS} */ (kind)];
    document.title = `${heading} · ChatBoard`;
  }

  /** @param {Map<string, any>} changed */
  updated(changed) {
    if (changed.has("path")) /** @type {HTMLElement|null} */ (this.querySelector("input:not([type=radio])"))?.focus();
  }

  /** @param {any} heading @param {any} text */
  ends(heading, text) {
    this.end = { heading, text };
    this.requestUpdate();
  }

  render() {
    const kind = this.path.split("/")[1];
    return html`<main class="gate">${this.end ? html`<div role="status"><h1>${this.end.heading}</h1>${this.end.text}</div>`
      : this.path === "/sign-in/forgotten" ? this.renderForgotten()
      : kind === "register" ? this.renderRegister()
      : kind === "reset" ? this.renderReset()
      : kind === "invite" ? (board.user ? this.renderAccept(board.user) : this.renderInvite())
      : this.renderSignIn()}</main>`;
  }

  /** @param {string} name */
  email(name) {
    return field(this.form(name), "email", "E-mail", { type: "email", autocomplete: "username", required: true });
  }

  /** @param {string} name */
  fields(name) {
    const state = this.form(name);
    return html`<div class="pair">${field(state, "first_name", "First name", { autocomplete: "given-name", max: 100, dir: "auto" })}
      ${field(state, "last_name", "Last name", { autocomplete: "family-name", max: 100, dir: "auto" })}</div>${this.email(name)}
      ${field(state, "password", "Password", { type: "password", autocomplete: "new-password", required: true, min: 8, max: 128, hint: "8 characters or more." })}`;
  }

  /** @param {string} name @param {string} label */
  button(name, label) {
    const state = this.form(name);
    return html`${problemOf(state)}<button ?disabled=${state.busy}>${label}</button>`;
  }

  renderSignIn() {
    const state = this.form("sign-in");
    const send = this.saves("sign-in", (data) => board.signIn(String(data.get("email")), String(data.get("password"))));
    return html`<form @submit=${send}><h1>ChatBoard</h1>${this.email("sign-in")}
      ${field(state, "password", "Password", { type: "password", autocomplete: "current-password", required: true })}${this.button("sign-in", "Sign in")}
      <p><a href=${`/register${location.search}`}>Make an account</a> · <a href="/sign-in/forgotten">Forgot your password?</a></p></form>`;
  }

  renderRegister() {
    const send = this.saves("register", (data) => board.register(/** @type {any} */ (Object.fromEntries(data))));
    return html`<form @submit=${send}><h1>Make an account</h1>${this.fields("register")}${this.button("register", "Make the account")}
      <p><a href=${`/sign-in${location.search}`}>Sign in instead</a></p></form>`;
  }

  renderForgotten() {
    const send = this.saves("forgotten", async (data) => {
      await board.request("POST", "/auth/password/reset/", { email: data.get("email") });
      this.ends("Look at your mail", html`<p>If there is an account for <bdi>${data.get("email")}</bdi>, a link that sets a new password is on its way. It works for an hour.</p>
        <p><a href="/sign-in">Back to signing in</a></p>`);
    });
    return html`<form @submit=${send}><h1>Forgot your password?</h1><p>We send you a link that sets a new one.</p>${this.email("forgotten")}
      ${this.button("forgotten", "Send the link")}<p><a href="/sign-in">Back</a></p></form>`;
  }

  renderReset() {
    const state = this.form("reset");
    const send = this.saves("reset", async (data) => {
      await board.request("POST", "/auth/password/reset/confirm/", { token: tokenOf(this.path), new_password: data.get("new_password") });
      if (board.user) await board.signOut();
      this.ends("Your new password is set", html`<p>All your devices have been signed out.</p><p><a class="button primary" href="/sign-in">Sign in</a></p>`);
    });
    return html`<form @submit=${send}><h1>A new password</h1><p>Setting it signs out all your devices.</p>
      ${field(state, "new_password", "New password", { type: "password", autocomplete: "new-password", required: true, min: 8, max: 128, hint: "8 characters or more." })}
      ${state.errors.token ? html`<p class="failed" role="alert">This link was used before, or is older than an hour. <a href="/sign-in/forgotten">Ask for a new one</a>.</p>` : problemOf(state)}
      <button ?disabled=${state.busy}>Set it</button></form>`;
  }

  renderInvite() {
    const choose = (/** @type {boolean} */ isNew) => () => {
      this.isNew = isNew;
      this.requestUpdate();
    };
    const send = this.saves("invite", async (data) => {
      if (this.isNew) await board.register(/** @type {any} */ (Object.fromEntries(data)));
      else await board.signIn(String(data.get("email")), String(data.get("password")));
      await this.accept();
    });
    const choice = (/** @type {boolean} */ isNew, /** @type {string} */ label) => html`<label><input type="radio" name="account" .checked=${this.isNew === isNew} @change=${choose(isNew)}>${label}</label>`;
    return html`<form @submit=${send}><h1>You are invited</h1><p>Use the address that the invite came to.</p>
      <fieldset class="either"><legend class="hidden">Your account</legend>${choice(true, "I am new")}${choice(false, "I have an account")}</fieldset>
      ${this.isNew ? this.fields("invite") : html`${this.email("invite")}
        ${field(this.form("invite"), "password", "Password", { type: "password", autocomplete: "current-password", required: true })}`}
      ${this.button("invite", this.isNew ? "Make the account and join" : "Sign in and join")}</form>`;
  }

  /** @param {import("/chatboard.js").User} user */
  renderAccept(user) {
    const send = this.saves("accept", () => this.accept());
    return html`<form @submit=${send}><h1>You are invited</h1><p>You are signed in as <b><bdi>${user.email}</bdi></b>.</p>${this.button("accept", "Accept the invite")}
      <p><a href="/">Not now</a> · <button type="button" class="as-link" @click=${() => board.signOut()}>Use another account</button></p></form>`;
  }

  async accept() {
    try {
      const { org_id } = await board.request("POST", "/orgs/accept-invite/", { token: tokenOf(this.path) });
      localStorage.setItem("chatboard.org", String(org_id));
      localStorage.removeItem("chatboard.room");
      if (board.status === "online" || board.orgs.length) await board.load();
      go("/");
    } catch (error) {
      const { code, status, message } = /** @type {import("/chatboard.js").ApiError} */ (error);
      const words = { invite_email_mismatch: `This invite is for another address than ${board.user?.email}.`, invite_expired: "This invite has expired: ask for a new one.",
        already_accepted: "This invite has been accepted before.", not_found: "This invite was withdrawn, or its link is not complete." };
      const word = words[/** @type {keyof typeof words} */ (code)];
      if (word && status !== 403) return this.ends("That did not work", html`<p>${word}</p><p><a href="/">To the chat</a></p>`);
      // Who just signed in is asked on the other form, which this one became.
      this.form("accept").problem = word ?? message;
      this.requestUpdate();
    }
  }
}

customElements.define("cb-gate", Gate);
