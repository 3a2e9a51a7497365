// A file in a message: a picture is shown in the place it was promised (no layout shift), a sound or a
// film plays, anything else is a card. The signed address is asked for when the file comes into sight.

import { LitElement, html, nothing } from "lit";
import { board } from "/state.js";
import { sizeOf } from "./people.js";

/** Signed addresses by upload, and when they end. @type {Map<string, {until: number, found: Promise<any>}>} */
const known = new Map();

/** When it is looked again for the picture of an image that was just sent. */
const PICTURE_WAITS_MS = [700, 1500, 3000, 6000];

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
  static properties = { upload: { attribute: false }, uploadId: {}, found: { state: true }, failed: { state: true } };

  constructor() {
    super();
    /** @type {any} */ this.upload = null;
    this.uploadId = "";
    /** @type {any} */ this.found = null;
    this.failed = false;
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
    try {
      this.found = await lookUp(this.uploadId);
      // Its size and its picture are made after it was sent.
      for (const wait of this.isImage ? PICTURE_WAITS_MS : []) {
        if (this.found.preview_url || !this.isConnected) return;
        await new Promise((done) => setTimeout(done, wait));
        this.found = await lookUp(this.uploadId, true);
      }
    } catch {
      this.failed = true;
    }
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
    const { download_url } = await lookUp(this.uploadId);
    const link = document.createElement("a");
    link.href = download_url;
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
    const { filename, file_size } = this.upload ?? {};
    if (this.failed) return html`<p class="file-gone">${filename ?? "File"} is no longer available.</p>`;
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
