// Style sheets that come with the parts of the page that need them. The page names their versions in
// `<meta>` elements, so that the service worker keeps them too.

/** @type {Map<string, Promise<void>>} */
const asked = new Map();

/** Applies a style sheet, once. Ends when it is applied, or cannot be had now. @param {"gate-style"|"more-style"|"settings-style"} name of its `<meta>` @returns {Promise<void>} */
export function dress(name) {
  const applied = asked.get(name) ?? new Promise((done) => {
    const href = document.querySelector(`meta[name=${name}]`)?.getAttribute("content") ?? "";
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: () => done(undefined), onerror: () => {
      link.remove();
      asked.delete(name);
      addEventListener("online", () => dress(name), { once: true });
      done(undefined);
    } });
    document.head.append(link);
  });
  asked.set(name, applied);
  return applied;
}
