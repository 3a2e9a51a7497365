// Files that were chosen on this device: pictures are shown before the server has made anything of
// them, and what is wrong with a file is said in words.

import { html, nothing } from "lit";
import { board } from "/state.js";
import { dress } from "/dress.js";
import { problemOf } from "./faults.js";
import { icon } from "./icons-more.js";

await dress("more-style");

/** @param {number} bytes */
export function sizeOf(bytes) {
  const units = ["B", "KB", "MB"];
  const step = Math.min(2, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 1024 ** step).toFixed(step && bytes / 1024 ** step < 10 ? 1 : 0)} ${units[step]}`;
}

/** Pictures that are kept; the oldest goes first. */
const MOST = 40;

/** By upload, once it has one. @type {Map<string, {url: string, width: number, height: number}>} */
export const local = new Map();

/** Keeps the picture of an upload. @param {string} upload @param {{url: string, width: number, height: number}} picture */
function keep(upload, picture) {
  local.set(upload, picture);
  for (const [id, { url }] of local) {
    if (local.size <= MOST) break;
    URL.revokeObjectURL(url);
    local.delete(id);
  }
}

/** Reads a file as a picture; null where the browser cannot draw it. @param {File} file @returns {Promise<{url: string, width: number, height: number}|null>} */
async function pictureOf(file) {
  if (!/^image\/(jpeg|png|gif|webp)$/.test(file.type)) return null;
  const image = Object.assign(new Image(), { src: URL.createObjectURL(file) });
  try {
    await image.decode();
    return { url: image.src, width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    URL.revokeObjectURL(image.src);
    return null;
  }
}

/** Why a file was not stored. @param {File} file @param {any} error an ApiError */
function faultOf(file, error) {
  const { content_type, file_size } = error.errors ?? {};
  const most = file_size?.[0]?.match(/^must be 1 to (\d+)/)?.[1];
  const left = file_size?.[0]?.match(/more than the (\d+) bytes/)?.[1];
  if (content_type) return "Files of this type aren't allowed here.";
  if (most) return `Files can have ${sizeOf(Number(most))} at most.`;
  if (left) return `You have ${sizeOf(Number(left))} left for files.`;
  if (error.code === "upload_incomplete") return file.type.startsWith("image/") ? "This isn't a picture that can be shown." : "It arrived incomplete.";
  return problemOf(error);
}

/** @typedef {{file: File, part: number, upload: any, picture: {url: string, width: number, height: number}|null, problem: string, again: boolean, stop: AbortController}} Entry */

/** Adds files to what is begun in a room, and stores them. @param {File[]} files @param {import("./composer.js").Begun} begun @param {() => void} redraw */
export function attach(files, begun, redraw) {
  for (const file of files) {
    const entry = { file, part: 0, upload: null, picture: null, problem: "", again: false, stop: new AbortController() };
    begun.files = [...begun.files, entry];
    store(entry, redraw);
  }
}

/** Uploads that failed for want of a network: they are tried again when there is one. @type {Map<Entry, () => void>} */
const failed = new Map();

addEventListener("online", () => {
  for (const [entry, redraw] of [...failed]) store(entry, redraw);
});

/** @param {Entry} entry @param {() => void} redraw */
async function store(entry, redraw) {
  failed.delete(entry);
  const { file } = entry;
  Object.assign(entry, { part: 0, problem: "", again: false });
  redraw();
  try {
    if (!file.size) throw new Error("This file is empty.");
    entry.picture ??= await pictureOf(file);
    redraw();
    const upload = await board.upload(file, { signal: entry.stop.signal, onProgress: (part) => { entry.part = Math.min(part, 0.99); redraw(); } });
    if (entry.picture) keep(upload.id, entry.picture);
    entry.upload = { ...upload, width: entry.picture?.width ?? null, height: entry.picture?.height ?? null };
    entry.part = 1;
  } catch (error) {
    const { status } = /** @type {any} */ (error);
    entry.problem = faultOf(file, error);
    // What was refused for what it is would be again.
    entry.again = Boolean(file.size) && (!status || status === 429 || status >= 500);
    if (entry.again && !status && !entry.stop.signal.aborted) failed.set(entry, redraw);
  }
  redraw();
}

/** @param {Entry} entry @param {import("./composer.js").Begun} begun */
function detach(entry, begun) {
  entry.stop.abort();
  failed.delete(entry);
  if (entry.picture && !entry.upload) URL.revokeObjectURL(entry.picture.url);
  begun.files = begun.files.filter((one) => one !== entry);
}

/** @param {import("./composer.js").Begun} begun @param {() => void} changed when one is removed or tried again @param {() => void} redraw */
export const renderFiles = (begun, changed, redraw) => html`<ul class="attachments" aria-label="Files">${begun.files.map((/** @type {Entry} */ entry) => html`
  <li class=${entry.problem ? "attachment bad" : "attachment"}>${entry.picture ? html`<img class="thumb" src=${entry.picture.url} alt="">` : icon("file")}<bdi>${entry.file.name}</bdi>
    <small>${entry.problem || sizeOf(entry.file.size)}</small>
    ${entry.problem || entry.upload ? nothing : html`<progress max="1" .value=${entry.part} aria-label=${`Uploading ${entry.file.name}`}></progress>`}
    ${entry.again ? html`<button type="button" class="link" aria-label=${`Try again: ${entry.file.name}`} @click=${() => { store(entry, redraw); changed(); }}>Try again</button>` : nothing}
    <button type="button" class="icon-button" aria-label=${`Remove ${entry.file.name}`} @click=${() => { detach(entry, begun); changed(); }}>${icon("close")}</button></li>`)}</ul>`;
