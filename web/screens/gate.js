// The screens before the chat: signing in, a new account, a forgotten password, and what links in
// mails lead to: `/invite/?token=…`, `/reset/?token=…` and `/verify-email/?token=…`.

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

const HEADINGS = { "sign-in": "Sign in", register: "Create account", invite: "You are invited", reset: "Set a new password", "verify-email": "Verify your e-mail address" };

/** Screens that links in mails lead to, with a token. */
const OF_LINKS = ["invite", "reset", "verify-email"];

/** @typedef {{mode: "open"|"invite"|"closed", domains: string[], email_verification: "required"|"off"}} Rules who may register here */

/** Whether somebody without an invitation may register, whatever their address. @param {Rules|null} rules */
const isByInvitation = (rules) => rules?.mode === "closed" || (rules?.mode === "invite" && !rules.domains.length);

class Gate extends Forms {
  static properties = { path: { attribute: false } };

  constructor() {
    super();
    this.path = "";
    /** Whether who was invited has no account yet. */ this.isNew = true;
    this.follow = new Follow(this, ["user"]);
    /** What a screen ended with. @type {any} */ this.end = null;
    /** Who may register; null until it is known. @type {Rules|null} */ this.rules = null;
  }

  async loadRules() {
    // Without an answer the form is shown: the server says what it does not take.
    this.rules ??= await board.request("GET", "/auth/registration/").catch(() => null);
    if (this.rules?.mode === "closed") this.isNew = false;
    this.requestUpdate();
  }

  /** @param {Map<string, any>} changed */
  willUpdate(changed) {
    if (!changed.has("path")) return;
    this.forms.clear();
    this.end = null;
    const kind = this.path.split("/")[1];
    const heading = this.path === "/sign-in/forgotten" ? "Forgot your password?" : HEADINGS[/** @type {keyof typeof HEADINGS} */ (kind)];
    document.title = `${heading} · ChatBoard`;
    if (kind === "register" || kind === "invite") this.loadRules();
    if (!OF_LINKS.includes(kind)) return;
    const token = tokenOf(this.path);
    if (!token) this.ends("This link is incomplete", html`<p>Open the whole link from the e-mail, or copy all of it.</p><p><a href="/">Open ChatBoard</a></p>`);
    else if (kind === "reset") this.checkReset(token);
  }

  /** Says at once whether a link works: without a password the server looks at the token, and does not use it up. @param {string} token */
  async checkReset(token) {
    const state = this.form("reset");
    const { errors } = await board.request("POST", "/auth/password/reset/confirm/", { token }).catch((error) => error) ?? {};
    if (!errors?.token) return;
    state.errors = { token: errors.token };
    this.requestUpdate();
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
      : kind === "verify-email" ? this.renderVerify()
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
    return html`<div class="pair">${field(state, "first_name", "First name", { autocomplete: "given-name", dir: "auto" })}
      ${field(state, "last_name", "Last name", { autocomplete: "family-name", dir: "auto" })}</div>${this.email(name)}
      ${field(state, "password", "Password", { type: "password", autocomplete: "new-password", required: true, min: 8, hint: "8 characters or more." })}`;
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
      <p><a href=${`/register${location.search}`}>Create account</a> · <a href="/sign-in/forgotten">Forgot your password?</a></p></form>`;
  }

  renderRegister() {
    const toSignIn = html`<p><a href=${`/sign-in${location.search}`}>Sign in instead</a></p>`;
    if (this.rules?.mode === "closed") return html`<h1>Registration is closed</h1><p>No new accounts can be created here. Ask the people who run this ChatBoard.</p>${toSignIn}`;
    if (isByInvitation(this.rules)) return html`<h1>Registration is by invitation</h1><p>Ask someone in the organization to invite you, then open the link in the invitation mail.</p>${toSignIn}`;
    const send = this.saves("register", (data) => this.register(data));
    const domains = this.rules?.domains ?? [];
    return html`<form @submit=${send}><h1>Create account</h1>
      ${domains.length ? html`<p>Use an address at <b>${domains.join(", ")}</b>, or the link in your invitation.</p>` : nothing}
      ${this.fields("register")}${this.button("register", "Create account")}${toSignIn}</form>`;
  }

  /** Creates an account and signs in. @param {FormData} data @param {string} [token] an invite's */
  async register(data, token) {
    try {
      await board.register({ .../** @type {any} */ (Object.fromEntries(data)), ...(token ? { invite_token: token } : {}) });
    } catch (error) {
      const { code } = /** @type {import("/chatboard.js").ApiError} */ (error);
      const words = { email_taken: "There is an account with this address already. Sign in, or reset its password.",
        registration_closed: token ? "This invitation is for another address, or no longer valid." : "Registration is by invitation: open the link in your invitation mail." };
      const word = words[/** @type {keyof typeof words} */ (code)];
      throw word ? new Error(word) : error;
    }
  }

  renderForgotten() {
    const send = this.saves("forgotten", async (data) => {
      await board.request("POST", "/auth/password/reset/", { email: data.get("email") });
      this.ends("Check your e-mail", html`<p>If there is an account for <bdi>${data.get("email")}</bdi>, a link to set a new password is on its way. It works for an hour.</p>
        <p><a href="/sign-in">Back to sign in</a></p>`);
    });
    return html`<form @submit=${send}><h1>Forgot your password?</h1><p>We'll send you a link to set a new one.</p>${this.email("forgotten")}
      ${this.button("forgotten", "Send reset link")}<p><a href="/sign-in">Back</a></p></form>`;
  }

  renderReset() {
    const state = this.form("reset");
    const send = this.saves("reset", async (data) => {
      await board.request("POST", "/auth/password/reset/confirm/", { token: tokenOf(this.path), new_password: data.get("new_password") });
      if (board.user) await board.signOut();
      this.ends("Your new password is set", html`<p>All your devices have been signed out.</p><p><a class="button primary" href="/sign-in">Sign in</a></p>`);
    });
    return html`<form @submit=${send}><h1>Set a new password</h1><p>This signs you out on all your devices.</p>
      ${field(state, "new_password", "New password", { type: "password", autocomplete: "new-password", required: true, min: 8, hint: "8 characters or more." })}
      ${state.errors.token ? html`<p class="failed" role="alert">This link was used before, or is older than an hour. <a href="/sign-in/forgotten">Ask for a new one</a>.</p>` : problemOf(state)}
      <button ?disabled=${state.busy}>Set password</button></form>`;
  }

  renderVerify() {
    const state = this.form("verify");
    const send = this.saves("verify", async () => {
      await board.request("POST", "/auth/verify-email/", { token: tokenOf(this.path) });
      if (board.user) await board.restore();
      this.ends("Your e-mail address is verified", html`<p><a class="button primary" href="/">Open ChatBoard</a></p>`);
    });
    const old = board.user?.email_verified ? html`Your e-mail address is verified already. <a href="/">Open ChatBoard</a>` : html`This link was used before, or is older than 7 days. Sign in and send a new one.`;
    return html`<form @submit=${send}><h1>Verify your e-mail address</h1><p>Only do this if you created the account yourself.</p>
      ${state.errors.token ? html`<p class="failed" role="alert">${old}</p>` : problemOf(state)}<button ?disabled=${state.busy}>Verify e-mail address</button></form>`;
  }

  renderInvite() {
    const choose = (/** @type {boolean} */ isNew) => () => {
      this.isNew = isNew;
      this.requestUpdate();
    };
    const send = this.saves("invite", async (data) => {
      data.delete("account");
      if (this.isNew) await this.register(data, tokenOf(this.path));
      else await board.signIn(String(data.get("email")), String(data.get("password")));
      await this.accept();
    });
    const choice = (/** @type {boolean} */ isNew, /** @type {string} */ label) => html`<label><input type="radio" name="account" .checked=${this.isNew === isNew} @change=${choose(isNew)}>${label}</label>`;
    return html`<form @submit=${send}><h1>You are invited</h1><p>Use the address that the invitation was sent to.</p>
      ${this.rules?.mode === "closed" ? nothing : html`<fieldset class="either"><legend class="hidden">Your account</legend>${choice(true, "I am new")}${choice(false, "I have an account")}</fieldset>`}
      ${this.isNew ? this.fields("invite") : html`${this.email("invite")}
        ${field(this.form("invite"), "password", "Password", { type: "password", autocomplete: "current-password", required: true })}`}
      ${this.button("invite", this.isNew ? "Create account and join" : "Sign in and join")}</form>`;
  }

  /** @param {import("/chatboard.js").User} user */
  renderAccept(user) {
    const send = this.saves("accept", () => this.accept());
    return html`<form @submit=${send}><h1>You are invited</h1><p>You are signed in as <b><bdi>${user.email}</bdi></b>.</p>${this.button("accept", "Accept invitation")}
      ${this.form("accept").problem && user.email_verified === false ? html`<p><button type="button" class="as-link" @click=${() => this.resend(user)}>Send the verification mail again</button></p>` : nothing}
      <p><a href="/">Not now</a> · <button type="button" class="as-link" @click=${() => board.signOut()}>Use another account</button></p></form>`;
  }

  /** @param {import("/chatboard.js").User} user */
  async resend(user) {
    const state = this.form("accept");
    try {
      await board.request("POST", "/auth/verify-email/resend/");
      state.problem = `A new link is on its way to ${user.email}.`;
    } catch (error) {
      state.problem = /** @type {Error} */ (error).message;
    }
    this.requestUpdate();
  }

  async accept() {
    try {
      const { org_id } = await board.request("POST", "/orgs/accept-invite/", { token: tokenOf(this.path) });
      localStorage.setItem("chatboard.org", String(org_id));
      if (board.status === "online" || board.orgs.length) await board.load();
      go("/");
    } catch (error) {
      const { code, status, message } = /** @type {import("/chatboard.js").ApiError} */ (error);
      const words = { invite_email_mismatch: `This invitation is for another address than ${board.user?.email}.`, invite_expired: "This invitation has expired. Ask for a new one.",
        email_unverified: `Verify your e-mail address first: open the link that we sent to ${board.user?.email}, then accept the invitation here.`,
        already_accepted: "This invitation has been accepted before.", not_found: "This invitation was withdrawn, or its link is not complete." };
      const word = words[/** @type {keyof typeof words} */ (code)];
      if (word && status !== 403) return this.ends("This invitation can't be used", html`<p>${word}</p><p><a href="/">Open ChatBoard</a></p>`);
      // Who just signed in is asked on the other form, which this one became.
      this.form("accept").problem = word ?? message;
      this.requestUpdate();
    }
  }
}

customElements.define("cb-gate", Gate);
