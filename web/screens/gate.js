// The screens before the chat: signing in, a new account, a forgotten password. Where links in mails lead
// is in links.js.

import { html, nothing } from "lit";
import { dress } from "/dress.js";
import { Follow, board, go } from "/state.js";
import { Forms, field, problemOf } from "./fields.js";

// Nothing is drawn before it has its look.
await dress("gate-style");

/** Where someone wanted to go before they had to sign in; never away from here. */
export function destination() {
  const to = new URLSearchParams(location.search).get("to") ?? "/";
  return /^\/(?![/\\])/.test(to) && new URL(to, location.origin).origin === location.origin ? to : "/";
}

const HEADINGS = { "sign-in": "Sign in", register: "Create account", invite: "You're invited", reset: "Choose a new password", "verify-email": "Verify your e-mail address" };

/** Why one has to sign in again. */
const ENDINGS = { elsewhere: "You were signed out from another device, or your password was changed. Sign in again.", tab: "You signed out in another tab." };

/** @typedef {{mode: "open"|"invite"|"closed", domains: string[], email_verification: "required"|"off"}} Rules who may register here */

/** Whether somebody without an invitation may register, whatever their address. @param {Rules|null} rules */
const isByInvitation = (rules) => rules?.mode === "closed" || (rules?.mode === "invite" && !rules.domains.length);

export class Gate extends Forms {
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
    this.opens(kind);
  }

  /** A screen is opened. @param {string} kind */
  opens(kind) {
    if (kind === "register") this.loadRules();
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
      : this.renderKind(kind)}</main>`;
  }

  /** @param {string} kind @returns {any} */
  renderKind(kind) {
    return this.path === "/sign-in/forgotten" ? this.renderForgotten() : kind === "register" ? this.renderRegister() : this.renderSignIn();
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
    const { ending } = board.rest;
    const send = this.saves("sign-in", (data) => board.signIn(String(data.get("email")), String(data.get("password"))));
    return html`<form @submit=${send}><h1>ChatBoard</h1>${ending ? html`<p role="status">${ENDINGS[ending]}</p>` : nothing}${this.email("sign-in")}
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
      const words = { email_taken: "There's already an account for this e-mail. Sign in, or reset its password.",
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


}

customElements.define("cb-gate", Gate);
