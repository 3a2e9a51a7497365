// A file in a message: a picture is shown in the place it was promised (no layout shift), a sound or a
// film plays, anything else is a card. The signed address is asked for when the file comes into sight.

import { LitElement, html, nothing } from "lit";
import { board } from "/state.js";
import { sizeOf } from "./people.js";

/** Signed addresses by upload, and when they end. @type {Map<string, {until: number, found: Promise<any>}>} */
const known = new Map();

/** When it is looked again for the picture of an image that was just sent. */
const PICTURE_WAITS_MS = [700, 1500, 3000, 6000];
/** How many of these waits are over, by upload: an image drawn anew goes on where it was. @type {Map<string, number>} */
const waited = new Map();

/** @param {string} id @param {boolean} [anew] */
function lookUp(id, anew = false) {
  const one = known.get(id);
  if (one && one.until > Date.now() && !anew) return one.found;
  const found = board.request("GET", `/uploads/${id}/`);
  known.set(id, { until: Date.now() + 45 * 60_000, found });
  found.catch(() => known.delete(id));
  return found;
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    /** @type {ChatFile} */ (entry.target).load();
  }
}, { rootMargin: "400px" });

class ChatFile extends LitElement {
  static properties = { upload: { attribute: false }, uploadId: {}, found: { state: true }, gone: { state: true }, problem: { state: true } };

  constructor() {
    super();
    /** @type {any} */ this.upload = null;
    this.uploadId = "";
    /** @type {any} */ this.found = null;
    /** Whether the server has it no more. */ this.gone = false;
    /** Why it could not be asked for, now. */ this.problem = "";
    /** Whether that was said to who wanted to open it. */ this.asked = false;
  }

  createRenderRoot() {
    return this;
  }

  connectedCallback() {
    super.connectedCallback();
    seen.observe(this);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    seen.unobserve(this);
  }

  async load() {
    const id = this.uploadId;
    this.problem = "";
    try {
      this.found = await lookUp(id);
      // Its size and its picture are made after it was sent.
      while (this.isImage && !this.found.preview_url) {
        const wait = PICTURE_WAITS_MS[waited.get(id) ?? 0];
        if (!wait) return;
        await new Promise((done) => setTimeout(done, wait));
        if (!this.isConnected) return;
        waited.set(id, (waited.get(id) ?? 0) + 1);
        this.found = await lookUp(id, true);
      }
    } catch (error) {
      // What is known of it is shown still.
      if (/** @type {any} */ (error).status === 404 || (this.isImage && !this.found)) this.refused(error);
    }
  }

  /** @param {any} error @param {boolean} [asked] whether somebody asked for it, and is to hear of it */
  refused(error, asked = false) {
    this.asked = asked;
    this.gone = error.status === 404;
    this.problem = this.gone ? "" : error.message;
  }

  get isImage() {
    return Boolean(this.upload?.content_type?.startsWith("image/"));
  }

  /** Pixels, once they are known. */
  get size() {
    const { width, height } = this.upload?.width ? this.upload : this.found ?? {};
    return { width, height };
  }

  /** Downloads with a fresh address: the shown one may have ended. @param {Event} event */
  async open(event) {
    event.preventDefault();
    this.problem = "";
    const found = await lookUp(this.uploadId).catch((error) => this.refused(error, true));
    if (!found) return;
    const link = document.createElement("a");
    link.href = found.download_url;
    link.rel = "noopener";
    link.target = "_blank";
    link.click();
  }

  /** @param {Map<string, unknown>} changed */
  updated(changed) {
    const picture = /** @type {HTMLElement|null} */ (this.querySelector(".picture"));
    if (!picture || !(changed.has("upload") || changed.has("found"))) return;
    const { width, height } = this.size;
    const scale = Math.min(1, 400 / width, 300 / height);
    picture.style.setProperty("--w", `${Math.round(width * scale)}px`);
    picture.style.setProperty("--ratio", `${width} / ${height}`);
  }

  render() {
    const { filename } = this.upload ?? {};
    if (this.gone) return html`<p class="file-gone">${filename ?? "File"} is no longer available.</p>`;
    if (!this.problem) return this.renderFile();
    return html`${this.renderFile()}<p class="failed" role=${this.asked ? "alert" : nothing}>${filename ?? "File"} could not be loaded: ${this.problem}<button class="link" @click=${this.asked ? this.open : this.load}>Try again</button></p>`;
  }

  renderFile() {
    const { filename, file_size } = this.upload ?? {};
    if (this.isImage && this.size.width) {
      return html`<a class="picture" href="#" @click=${this.open} aria-label=${`Open ${filename}`}>
        ${this.found ? html`<img src=${this.found.preview_url ?? this.found.download_url} alt=${filename}>` : nothing}</a>`;
    }
    return html`<a class="file-card" href="#" @click=${this.open} download>
      <span class="file-kind" aria-hidden="true">${filename?.split(".").at(-1)?.slice(0, 4) ?? "?"}</span>
      <span class="file-name"><bdi>${filename}</bdi><small>${sizeOf(file_size ?? 0)}</small></span></a>`;
  }
}

customElements.define("cb-file", ChatFile);
