// A file in a message: a picture stands in the place it was promised (no layout shift) and opens in
// full size, sound and video play in place, anything else is a card. The signed address is asked for
// when the file comes into sight.

import { LitElement, html, nothing } from "lit";
import { board } from "/state.js";
import { dress } from "/dress.js";
import { icon } from "./icons-more.js";
import { local, sizeOf } from "./attach.js";
import { problemOf } from "./faults.js";

await dress("more-style");

/** Signed addresses by upload, and when they end. @type {Map<string, {until: number, found: Promise<any>}>} */
const known = new Map();

/** Pixels of the largest place of a picture in the timeline. */
const PLACE = { width: 400, height: 300 };
/** Bytes of an animated picture that is shown moving; a larger one stands still until it is opened. */
const MOVING_MAX = 8 * 1024 * 1024;

/** Types that are shown as pictures, and what a browser plays. */
const IMAGE = /^image\/(jpeg|png|gif|webp)$/;
const MEDIA = /^(audio|video)\/(mpeg|mp4|webm|ogg|wav|flac|quicktime)$/;

/** Whether an upload is shown as a picture. @param {any} upload */
export const isPicture = (upload) => IMAGE.test(upload?.content_type ?? "");

/** The upload with its signed addresses. @param {string} id @param {boolean} [anew] @returns {Promise<any>} */
export function lookUp(id, anew = false) {
  const one = known.get(id);
  if (one && one.until > Date.now() && !anew) return one.found;
  const found = board.request("GET", `/uploads/${id}/`);
  known.set(id, { until: Date.now() + 45 * 60_000, found });
  found.catch(() => known.delete(id));
  return found;
}

/** Saves a file under its name: its address says that it is to be saved. @param {string} id of an upload */
export async function download(id) {
  const link = document.createElement("a");
  link.href = (await lookUp(id)).download_url;
  link.rel = "noopener";
  link.target = "_blank";
  link.click();
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    /** @type {ChatFile} */ (entry.target).load();
  }
}, { rootMargin: "400px" });

class ChatFile extends LitElement {
  static properties = { upload: { attribute: false }, uploadId: {}, message: { type: Number }, found: { state: true }, gone: { state: true }, problem: { state: true } };

  constructor() {
    super();
    /** @type {any} */ this.upload = null;
    this.uploadId = "";
    /** The message that it is in. */ this.message = 0;
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
      if (this.lacksPreview) this.found = await lookUp(id, true);
    } catch (error) {
      // What is known of it is shown still.
      if (/** @type {any} */ (error).status === 404 || (this.isImage && !this.found)) this.refused(error);
    }
  }

  /** @param {any} error @param {boolean} [asked] whether somebody asked for it, and is to hear of it */
  refused(error, asked = false) {
    this.asked = asked;
    this.gone = error.status === 404;
    this.problem = this.gone ? "" : problemOf(error);
  }

  /** Whether its preview was made after its addresses were asked for: the message says so. */
  get lacksPreview() {
    return this.isImage && this.upload.has_preview && this.found && !this.found.preview_url;
  }

  get isImage() {
    return isPicture(this.upload);
  }

  /** Pixels, once they are known. */
  get size() {
    const one = [this.upload, local.get(this.uploadId), this.found].find((from) => from?.width);
    return { width: one?.width, height: one?.height };
  }

  /** The address of what is shown of a picture. */
  get picture() {
    const { found } = this;
    const moves = this.upload.content_type === "image/gif" && this.upload.file_size <= MOVING_MAX && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    return local.get(this.uploadId)?.url ?? (moves ? found?.download_url : found?.preview_url ?? found?.download_url);
  }

  /** Saves it, with a fresh address: the shown one may have ended. @param {Event} [event] */
  async save(event) {
    event?.preventDefault();
    this.problem = "";
    await download(this.uploadId).catch((error) => this.refused(error, true));
  }

  /** Shows the picture in full size. */
  async open() {
    this.problem = "";
    try {
      const { openLightbox } = await import("./lightbox.js");
      openLightbox(this.message, this.uploadId, this.upload);
    } catch (error) {
      this.refused(error, true);
    }
  }

  /** Its address may have ended while it was shown. */
  async playAgain() {
    if (this.renewed) return;
    this.renewed = true;
    this.found = await lookUp(this.uploadId, true).catch(() => this.found);
  }

  /** @param {Map<string, unknown>} changed */
  updated(changed) {
    if (changed.has("upload") && this.lacksPreview) this.load();
    const picture = /** @type {HTMLElement|null} */ (this.querySelector(".picture"));
    if (!picture || !(changed.has("upload") || changed.has("found"))) return;
    const { width, height } = this.size;
    const scale = Math.min(1, PLACE.width / width, PLACE.height / height);
    picture.style.setProperty("--w", `${Math.round(width * scale)}px`);
    picture.style.setProperty("--ratio", `${width} / ${height}`);
  }

  render() {
    const { filename } = this.upload ?? {};
    if (this.gone) return html`<p class="file-gone"><bdi>${filename ?? "File"}</bdi> is no longer available.</p>`;
    if (!this.problem) return this.renderFile();
    return html`${this.renderFile()}<p class="failed" role=${this.asked ? "alert" : nothing}>Couldn't load ${filename ?? "the file"}: ${this.problem}<button class="link" @click=${this.asked ? () => this.save() : this.load}>Try again</button></p>`;
  }

  renderFile() {
    const { filename } = this.upload ?? {};
    const kind = this.upload?.content_type ?? "";
    if (this.isImage && this.size.width) {
      return html`<div class="picture"><button class="picture-open" aria-label=${`Open ${filename}`} @click=${this.open}>
          ${this.picture ? html`<img src=${this.picture} alt=${filename}>` : nothing}</button>
        <button class="icon-button picture-save" aria-label=${`Download ${filename}`} title="Download" @click=${this.save}>${icon("download")}</button></div>`;
    }
    if (MEDIA.test(kind) && this.found) return this.renderMedia(kind.startsWith("video"));
    return this.renderCard();
  }

  /** @param {boolean} isVideo */
  renderMedia(isVideo) {
    const { filename } = this.upload;
    const { download_url: from } = this.found;
    return html`${isVideo ? html`<video class="video" controls playsinline preload="metadata" src=${from} aria-label=${filename} @error=${this.playAgain}></video>` : nothing}
      ${this.renderCard()}
      ${isVideo ? nothing : html`<audio class="audio" controls preload="none" src=${from} aria-label=${filename} @error=${this.playAgain}></audio>`}`;
  }

  renderCard() {
    const { filename, file_size } = this.upload ?? {};
    return html`<a class="file-card" href="#" @click=${this.save} download>
      <span class="file-kind" aria-hidden="true">${filename?.split(".").at(-1)?.slice(0, 4) ?? "?"}</span>
      <span class="file-name"><bdi>${filename}</bdi><small>${sizeOf(file_size ?? 0)}</small></span></a>`;
  }
}

customElements.define("cb-file", ChatFile);
