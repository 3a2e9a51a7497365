// What links in mails lead to: `/invite/?token=…`, `/reset/?token=…` and `/verify-email/?token=…`.

import { html, nothing } from "lit";
import { board, go } from "/state.js";
import { problemOf as wordsOf } from "/chat/faults.js";
import { field, problemOf } from "./fields.js";
import { Gate } from "./gate.js";

/** The token of a link, which may be in its path or its query. @param {string} path */
const tokenOf = (path) => new URLSearchParams(location.search).get("token") ?? decodeURIComponent(path.split("/")[2] ?? "");

/** @typedef {{org_name: string, invited_by: string, email: string}} Invite */

/** Why nobody can use an invite any more. */
const UNUSABLE = { invite_expired: "This invitation has expired. Ask for a new one.", already_accepted: "This invitation has been accepted before.",
  not_found: "This invitation was withdrawn, or its link is not complete." };

class LinkGate extends Gate {
  /** @param {string} kind */
  opens(kind) {
    /** Whether it is asked if one really wants to sign out. */ this.sure = false;
    /** What a good invite is for; null until it is known. @type {Invite|null} */ this.invite = null;
    if (kind === "invite") this.loadRules();
    const token = tokenOf(this.path);
    if (!token) this.ends("This link is incomplete", html`<p>Open the whole link from the e-mail, or copy all of it.</p><p><a href="/">Open ChatBoard</a></p>`);
    else if (kind === "reset") this.checkReset(token);
    else if (kind === "invite") this.checkInvite(token);
  }

  /** Says at once what an invite is for, or that it cannot be used. @param {string} token */
  async checkInvite(token) {
    try {
      this.invite = await board.request("POST", "/orgs/check-invite/", { token });
      this.requestUpdate();
    } catch (error) {
      // Without an answer the form is shown: accepting says what is wrong.
      this.endsUnusable(/** @type {import("/chatboard.js").ApiError} */ (error).code);
    }
  }

  /** @param {Map<string, unknown>} changed */
  updated(changed) {
    super.updated(changed);
    this.fillIn();
  }

  /** Fills in the invited address where the field is new and nothing was typed. */
  fillIn() {
    const input = /** @type {HTMLInputElement|null} */ (this.querySelector("input[name=email]:not([data-filled])"));
    if (!input || !this.invite) return;
    input.dataset.filled = "";
    input.value ||= this.invite.email;
  }

  /** Ends the screen of an invite that nobody can use any more. @param {string} code @returns {boolean} whether the code says so */
  endsUnusable(code) {
    const word = UNUSABLE[/** @type {keyof typeof UNUSABLE} */ (code)];
    if (word) this.ends("This invitation can't be used", html`<p>${word}</p><p><a href="/">Open ChatBoard</a></p>`);
    return Boolean(word);
  }

  /** What a good invite is for. */
  renderPurpose() {
    const { invited_by: by, org_name: org, email } = this.invite ?? {};
    return this.invite ? html`<p><bdi>${by}</bdi> invited <b><bdi>${email}</bdi></b> to join <b><bdi>${org}</bdi></b>.</p>` : nothing;
  }

  /** Says at once whether a link works: without a password the server looks at the token, and does not use it up. @param {string} token */
  async checkReset(token) {
    const state = this.form("reset");
    const { errors } = await board.request("POST", "/auth/password/reset/confirm/", { token }).catch((error) => error) ?? {};
    if (!errors?.token) return;
    state.errors = { token: errors.token };
    this.requestUpdate();
  }

  /** @param {string} kind */
  renderKind(kind) {
    if (kind === "invite") return board.user ? this.renderAccept(board.user) : this.renderInvite();
    return kind === "reset" ? this.renderReset() : this.renderVerify();
  }

  renderReset() {
    const state = this.form("reset");
    const send = this.saves("reset", async (data) => {
      await board.request("POST", "/auth/password/reset/confirm/", { token: tokenOf(this.path), new_password: data.get("new_password") });
      if (board.user) await board.signOut();
      this.ends("Password changed", html`<p>All your devices have been signed out.</p><p><a class="button primary" href="/sign-in">Sign in</a></p>`);
    });
    return html`<form @submit=${send}><h1>Choose a new password</h1><p>This signs you out on all your devices.</p>
      ${field(state, "new_password", "New password", { type: "password", autocomplete: "new-password", required: true, min: 8, hint: "8 characters or more." })}
      ${state.errors.token ? html`<p class="failed" role="alert">This link was used before, or is older than an hour. <a href="/sign-in/forgotten">Ask for a new one</a>.</p>` : problemOf(state)}
      <button ?disabled=${state.busy}>Save password</button></form>`;
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
    return html`<form @submit=${send}><h1>You're invited</h1>${this.renderPurpose()}
      ${this.rules?.mode === "closed" ? nothing : html`<fieldset class="either"><legend class="hidden">Your account</legend>${choice(true, "Create account")}${choice(false, "Sign in")}</fieldset>`}
      ${this.isNew ? this.fields("invite") : html`${this.email("invite")}
        ${field(this.form("invite"), "password", "Password", { type: "password", autocomplete: "current-password", required: true })}<p><a href="/sign-in/forgotten">Forgot your password?</a></p>`}
      ${this.button("invite", this.isNew ? "Create account and join" : "Sign in and join")}</form>`;
  }

  /** Signing out is asked first: it ends every tab's login. @param {boolean} sure */
  ask(sure) {
    this.sure = sure;
    this.requestUpdate();
  }

  /** @param {import("/chatboard.js").User} user */
  renderAccept(user) {
    const send = this.saves("accept", () => this.accept());
    const isAnothers = this.invite && this.invite.email.toLowerCase() !== user.email.toLowerCase();
    return html`<form @submit=${send}><h1>You're invited</h1>${this.renderPurpose()}<p>You are signed in as <b><bdi>${user.email}</bdi></b>.</p>
      ${isAnothers ? html`<p class="failed" role="alert">This invitation is for another address.</p>` : this.button("accept", "Accept invitation")}
      ${this.form("accept").problem && user.email_verified === false ? html`<p><button type="button" class="as-link" @click=${() => this.resend(user)}>Send the verification mail again</button></p>` : nothing}
      <p><a href="/">Not now</a> · ${this.sure ? html`<span role="alert">This signs <bdi>${user.email}</bdi> out in all tabs of this browser.</span>
        <button type="button" class="as-link" @click=${() => board.signOut()}>Sign out</button> · <button type="button" class="as-link" @click=${() => this.ask(false)}>Cancel</button>`
        : html`<button type="button" class="as-link" @click=${() => this.ask(true)}>Use another account</button>`}</p></form>`;
  }

  /** @param {import("/chatboard.js").User} user */
  async resend(user) {
    const state = this.form("accept");
    try {
      await board.request("POST", "/auth/verify-email/resend/");
      state.problem = `A new link is on its way to ${user.email}.`;
    } catch (error) {
      state.problem = wordsOf(error);
    }
    this.requestUpdate();
  }

  /** Marks the notification of an invitation that was accepted as read. @param {number} org */
  async readInvitation(org) {
    const { results } = await board.request("GET", "/notifications/?is_read=false&limit=50");
    const about = results.filter((/** @type {any} */ one) => one.notification_type === "org_invite" && one.data.org === org);
    for (const { id } of about) await board.request("PATCH", `/notifications/${id}/`, { is_read: true });
    if (about.length) await board.countNotifications();
  }

  async accept() {
    try {
      const { org_id } = await board.request("POST", "/orgs/accept-invite/", { token: tokenOf(this.path) });
      localStorage.setItem("chatboard.org", String(org_id));
      const isLoaded = board.status === "online" || board.orgs.length;
      await Promise.all([isLoaded && board.load(), this.readInvitation(org_id).catch(() => {})]);
      // Back does not lead to an invitation that was used.
      go("/", { replace: true });
      const name = this.invite?.org_name ?? board.orgs.find(({ id }) => id === org_id)?.name;
      import("/chat/toast.js").then(({ toast }) => toast(name ? `You joined ${name}.` : "You joined the organization."), () => {});
    } catch (error) {
      const { code } = /** @type {import("/chatboard.js").ApiError} */ (error);
      if (this.endsUnusable(code)) return;
      const words = { invite_email_mismatch: `This invitation is for another address than ${board.user?.email}.`,
        email_unverified: `Verify your e-mail address first: open the link that we sent to ${board.user?.email}, then accept the invitation here.` };
      const word = words[/** @type {keyof typeof words} */ (code)];
      // Who just signed in is asked on the other form, which this one became.
      this.form("accept").problem = word ?? wordsOf(error);
      this.requestUpdate();
    }
  }
}

customElements.define("cb-link-gate", LinkGate);
