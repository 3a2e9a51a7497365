// Pictures in full size, over the page. The arrow keys lead through the pictures of the room that are
// loaded, `+`, `-` and `0` zoom, Escape closes, and the focus returns to where it was.

import { html, nothing } from "lit";
import { board } from "/state.js";
import { copied, copyText } from "./clipboard.js";
import { isPicture, download, lookUp } from "./file.js";
import { problemOf } from "./faults.js";
import { icon } from "./icons-more.js";
import { Modal, show } from "./modal.js";
import { fullTimeOf } from "./people.js";

/** Sizes of a picture: fitted into the window, then by these factors of its own. */
const ZOOMS = [0, 1, 2, 4];
/** Pixels that a finger moves to see the next picture. */
const SWIPE = 60;

/** @typedef {{message: number, id: string, upload: any, sender: number, at: string}} Picture */

/** The pictures of the room on screen, oldest first. @returns {Picture[]} */
function picturesOf() {
  const room = board.rooms.get(Number(location.pathname.match(/^\/r\/(\d+)/)?.[1]));
  return (room?.timeline.messages ?? []).filter((one) => !one.is_deleted && one.upload_id && isPicture(one.upload))
    .map((one) => ({ message: one.id, id: /** @type {string} */ (one.upload_id), upload: one.upload, sender: one.sender, at: one.created_at }));
}

class Lightbox extends Modal {
  static properties = { at: { state: true }, zoom: { state: true }, found: { state: true }, problem: { state: true }, said: { state: true } };

  constructor() {
    super();
    /** @type {Picture[]} */ this.all = [];
    this.at = 0;
    this.zoom = 0;
    /** The addresses of the picture that is shown. @type {any} */ this.found = null;
    this.problem = this.said = "";
    /** Where a finger came down. */ this.downAt = 0;
  }

  get picture() {
    return this.all[this.at];
  }

  opened() {
    this.load();
  }

  async load() {
    const { id } = this.picture;
    this.found = null;
    this.problem = this.said = "";
    this.zoom = 0;
    const found = await lookUp(id).catch((error) => {
      if (id === this.picture.id) this.problem = error.status === 404 ? "This picture is no longer available." : problemOf(error);
    });
    if (id === this.picture.id && found) this.found = found;
  }

  /** @param {number} by */
  step(by) {
    if (!this.all[this.at + by]) return;
    this.at += by;
    this.load();
  }

  /** @param {number} to a place in the sizes */
  zoomTo(to) {
    this.zoom = Math.max(0, Math.min(ZOOMS.length - 1, to));
  }

  /** @param {Map<string, unknown>} changed */
  updated(changed) {
    if (!changed.has("zoom") && !changed.has("found")) return;
    const image = /** @type {HTMLImageElement|null} */ (this.querySelector("img"));
    if (!image) return;
    const factor = ZOOMS[this.zoom];
    image.style.inlineSize = factor ? `${(image.naturalWidth || this.found.width) * factor}px` : "";
  }

  /** @param {KeyboardEvent} event */
  keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A picture larger than the window is moved by the arrows.
    const step = this.zoom ? 0 : { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) this.step(step);
    else if (event.key === "+" || event.key === "=") this.zoomTo(this.zoom + 1);
    else if (event.key === "-") this.zoomTo(this.zoom - 1);
    else if (event.key === "0") this.zoomTo(0);
    else return;
    event.preventDefault();
  }

  async copyLink() {
    const room = location.pathname.match(/^\/r\/(\d+)/)?.[1];
    this.said = copied("Link", await copyText(`${location.origin}/r/${room}/m/${this.picture.message}`));
  }

  async save() {
    await download(this.picture.id).catch((error) => (this.problem = problemOf(error)));
  }

  /** A click beside the picture closes, one on it zooms. @param {MouseEvent} event */
  clicked(event) {
    const target = /** @type {Element} */ (event.target);
    if (target.localName === "img") this.zoomTo(this.zoom ? 0 : 1);
    else if (target.matches(".lightbox-view")) this.close();
  }

  render() {
    const { picture, found } = this;
    const button = (/** @type {any} */ name, /** @type {string} */ label, /** @type {string} */ title, /** @type {() => void} */ run, off = false) => html`<button class="icon-button" aria-label=${label} title=${title} ?disabled=${off} @click=${run}>${icon(name)}</button>`;
    return html`<dialog class="lightbox" aria-label=${picture.upload.filename} @keydown=${this.keys}>
      <header><div class="lightbox-title"><h2><bdi>${picture.upload.filename}</bdi></h2>
          <p><bdi>${picture.sender ? board.nameOf(picture.sender) : ""}</bdi>${picture.at ? ` · ${fullTimeOf(picture.at)}` : ""}${this.all.length > 1 ? ` · ${this.at + 1} of ${this.all.length}` : ""}</p></div>
        ${button("minus", "Zoom out", "Zoom out (-)", () => this.zoomTo(this.zoom - 1), this.zoom === 0)}
        ${button("plus", "Zoom in", "Zoom in (+)", () => this.zoomTo(this.zoom + 1), this.zoom === ZOOMS.length - 1)}
        ${picture.message ? button("link", "Copy link", "Copy link to message", () => this.copyLink()) : nothing}
        ${button("download", "Download", "Download", () => this.save())}
        ${button("close", "Close", "Close (Esc)", () => this.close())}</header>
      <div class=${this.zoom ? "lightbox-view zoomed" : "lightbox-view"} tabindex=${this.zoom ? 0 : -1} role="group" aria-label="Picture" @click=${this.clicked}
          @touchstart=${(/** @type {TouchEvent} */ event) => (this.downAt = event.touches.length === 1 ? event.touches[0].clientX : NaN)}
          @touchend=${(/** @type {TouchEvent} */ event) => { const moved = event.changedTouches[0].clientX - this.downAt; if (!this.zoom && Math.abs(moved) > SWIPE) this.step(moved < 0 ? 1 : -1); }}>
        ${this.problem ? html`<p class="lightbox-problem" role="alert">${this.problem}</p>`
          : found ? html`<img src=${found.download_url} alt=${picture.upload.filename} draggable="false">` : html`<p role="status">Loading…</p>`}</div>
      ${this.all.length > 1 ? html`<div class="lightbox-steps">${button("left", "Previous picture", "Previous (←)", () => this.step(-1), this.at === 0)}
        ${button("right", "Next picture", "Next (→)", () => this.step(1), this.at === this.all.length - 1)}</div>` : nothing}
      <p class="lightbox-said" role="status">${this.said}</p></dialog>`;
  }
}

customElements.define("cb-lightbox", Lightbox);

/** Shows a picture in full size. @param {number} message that it is in @param {string} id of its upload @param {any} upload what the message says of it */
export function openLightbox(message, id, upload) {
  const found = picturesOf();
  const at = found.findIndex((one) => one.message === message);
  const all = at < 0 ? [{ message, id, upload, sender: 0, at: "" }] : found;
  show("cb-lightbox", { all, at: Math.max(0, at) });
}
