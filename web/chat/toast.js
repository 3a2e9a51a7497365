// Something short that is said to everyone, sighted or not, wherever they are in the page.

import { dress } from "/dress.js";

await dress("more-style");

const SHOWN_MS = 4000;

const place = Object.assign(document.createElement("p"), { className: "toast" });
place.setAttribute("role", "status");
/** @type {any} */
let timer;

/** @param {string} text */
export async function toast(text) {
  clearTimeout(timer);
  // Screen readers hear what changes in a place that was there before.
  if (!place.isConnected) {
    document.body.append(place);
    await new Promise((done) => setTimeout(done, 100));
  }
  place.textContent = text;
  place.classList.add("shown");
  timer = setTimeout(() => {
    place.textContent = "";
    place.classList.remove("shown");
  }, SHOWN_MS);
}
