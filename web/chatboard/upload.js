// Files: a signed address from the API, the bytes straight to the store, then "complete".

import { ApiError } from "./rest.js";

/**
 * @param {import("./rest.js").Rest} rest
 * @param {File} file
 * @param {{onProgress?: (part: number) => void, signal?: AbortSignal}} [options] `part`: 0..1 of the bytes sent
 * @returns {Promise<any>} the completed upload
 */
export async function upload(rest, file, { onProgress, signal } = {}) {
  const signed = await rest.request("POST", "/uploads/presign/", {
    filename: file.name, content_type: file.type, file_size: file.size,
  }, { signal });
  await put(signed, file, onProgress, signal);
  return rest.request("POST", `/uploads/${signed.id}/complete/`, undefined, { signal });
}

/**
 * fetch() cannot tell how far an upload is; XMLHttpRequest can.
 * @param {any} signed @param {File} file @param {((part: number) => void)|undefined} onProgress @param {AbortSignal|undefined} signal
 * @returns {Promise<void>}
 */
function put(signed, file, onProgress, signal) {
  return new Promise((done, fail) => {
    const call = new XMLHttpRequest();
    const lost = () => fail(new ApiError(0, { code: "offline", detail: "The file could not be sent." }));
    call.open(signed.method, signed.upload_url);
    for (const [name, value] of Object.entries(signed.headers)) {
      // The browser sets these itself, to the same values.
      if (!/^(content-length|host)$/i.test(name)) call.setRequestHeader(name, String(value));
    }
    call.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    call.onload = () => (call.status < 300 ? done() : fail(new ApiError(call.status, { detail: "The file was refused." })));
    call.onerror = lost;
    call.onabort = lost;
    signal?.addEventListener("abort", () => call.abort());
    call.send(file);
  });
}
