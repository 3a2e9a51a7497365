// `<cb-verify>`: the banner for who has not verified their e-mail address where that is required.

import { LitElement, html, nothing } from "lit";
import { Follow, board } from "/state.js";
import { dress } from "/dress.js";

await dress("more-style");

class VerifyBanner extends LitElement {
  static properties = { isRequired: { state: true }, busy: { state: true }, said: { state: true } };

  constructor() {
    super();
    /** Whether this ChatBoard requires it. */ this.isRequired = false;
    this.busy = false;
    this.said = "";
    this.follow = new Follow(this, ["user"]);
    // The link may have been opened in another tab, or on another device.
    this.onFocus = () => this.isOpen && board.restore().catch(() => {});
  }

  createRenderRoot() {
    return this;
  }

  get isOpen() {
    return this.isRequired && board.user?.email_verified === false;
  }

  connectedCallback() {
    super.connectedCallback();
    addEventListener("focus", this.onFocus);
    if (board.user?.email_verified === false) this.load();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("focus", this.onFocus);
  }

  async load() {
    const rules = await board.request("GET", "/auth/registration/").catch(() => null);
    this.isRequired = rules?.email_verification === "required";
  }

  async resend() {
    this.busy = true;
    try {
      await board.request("POST", "/auth/verify-email/resend/");
      this.said = "A new link is on its way.";
    } catch (error) {
      const { code, message } = /** @type {import("/chatboard.js").ApiError} */ (error);
      this.said = code === "rate_limited" ? "We have sent several links today. Check your e-mail, or try again tomorrow." : message;
    }
    this.busy = false;
  }

  render() {
    if (!this.isOpen) return nothing;
    return html`<aside class="asking" aria-label="Verify your e-mail address"><p>Verify your e-mail address: open the link that we sent to <bdi>${board.user?.email}</bdi>.
      Until then you can't create organizations, join or invite. <span role="status">${this.said}</span></p>
      <button ?disabled=${this.busy} @click=${this.resend}>Resend</button></aside>`;
  }
}

customElements.define("cb-verify", VerifyBanner);
