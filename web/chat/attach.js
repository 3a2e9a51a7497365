// Files that were chosen on this device: pictures are shown before the server has made anything of
// them, and what is wrong with a file is said in words.

import { sizeOf } from "./people.js";

/** Pictures that are kept; the oldest goes first. */
const MOST = 40;

/** By upload, once it has one. @type {Map<string, {url: string, width: number, height: number}>} */
export const local = new Map();

/** Keeps the picture of an upload. @param {string} upload @param {{url: string, width: number, height: number}} picture */
export function keep(upload, picture) {
  local.set(upload, picture);
  for (const [id, { url }] of local) {
    if (local.size <= MOST) break;
    URL.revokeObjectURL(url);
    local.delete(id);
  }
}

/** Reads a file as a picture; null where the browser cannot draw it. @param {File} file @returns {Promise<{url: string, width: number, height: number}|null>} */
export async function pictureOf(file) {
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
export function faultOf(file, error) {
  const { content_type, file_size, ...others } = error.errors ?? {};
  const most = file_size?.[0]?.match(/^must be 1 to (\d+)/)?.[1];
  const left = file_size?.[0]?.match(/more than the (\d+) bytes/)?.[1];
  if (content_type) return "Files of this type aren't allowed here.";
  if (most) return `Files can have ${sizeOf(Number(most))} at most.`;
  if (left) return `You have ${sizeOf(Number(left))} left for files.`;
  if (error.code === "upload_incomplete") return file.type.startsWith("image/") ? "This isn't a picture that can be shown." : "It arrived incomplete.";
  return Object.values({ file_size, ...others }).flat().filter(Boolean).join(" ") || error.message;
}
