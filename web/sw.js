// The service worker: the page opens at once, and without a network.
//
// Every address of the page's files has the hash of its content behind it, so what is kept under one
// never gets old. The page itself, which names them, is asked for first, and kept for when there is
// no answer; a newer one is kept only when all of its files are. Nothing of the API is ever kept.

const KEPT = "chatboard-";
/** How long the network may take before the kept page is shown. */
const PATIENCE_MS = 4000;
/** Versions that are kept: tabs that are open may still load parts of the last one. */
const VERSIONS = 2;
const PAGE = "/";
const OTHERS = /^\/(api|ws|health|\.well-known|pages)\//;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(fetch(PAGE, { cache: "no-cache" }).then(keep));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin || OTHERS.test(url.pathname)) return;
  if (request.mode === "navigate") event.respondWith(page(event));
  else if (/^\?v=[0-9a-f]+$/.test(url.search)) event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)));
});

/** The page from the network; where that is silent, the one that is kept. */
async function page(event) {
  const network = fetch(event.request);
  // Said at once: what comes after the kept page was shown is kept too.
  event.waitUntil(network.then((answer) => {
    // What is no page (a redirect, a download, a refusal) is passed on as it is.
    if (answer.ok && /^text\/html/.test(answer.headers.get("content-type") ?? "")) return keep(answer.clone());
  }).catch(() => {}));
  const kept = await newest();
  if (!kept) return network;
  const late = new Promise((done) => setTimeout(() => done(kept), PATIENCE_MS));
  return Promise.race([network.catch(() => kept), late]);
}

/** Versions that are kept, the oldest first. */
const versions = async () => (await caches.keys()).filter((name) => name.startsWith(KEPT));

async function newest() {
  const name = (await versions()).at(-1);
  return name ? (await caches.open(name)).match(PAGE) : undefined;
}

/** Keeps a page with all files that it names; drops what is older than the last but one. */
async function keep(answer) {
  const tag = answer.headers.get("etag");
  if (!answer.ok || !tag) return;
  const all = await versions();
  if (all.at(-1)?.endsWith(tag)) return;
  const html = await answer.clone().text();
  const addresses = new Set([...html.matchAll(/"(\/[^"\s]+\?v=[0-9a-f]+)"/g)].map(([, address]) => address));
  const files = await Promise.all([...addresses].map(async (address) => [address, (await caches.match(address)) ?? (await fetch(address))]));
  if (files.some(([, file]) => !file.ok)) return;
  const cache = await caches.open(`${KEPT}${String(Date.now()).padStart(15, "0")}-${tag}`);
  await Promise.all(files.map(([address, file]) => cache.put(address, file)));
  await cache.put(PAGE, answer);
  // A server that went back to an older page has that one kept anew.
  const others = all.filter((name) => !name.endsWith(tag));
  const old = [...all.filter((name) => name.endsWith(tag)), ...others.slice(0, Math.max(0, others.length + 1 - VERSIONS))];
  await Promise.all(old.map((name) => caches.delete(name)));
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.path ?? PAGE));
});

/** Shows a path of the page: in a tab that is there, or in a new one. */
async function open(path) {
  const all = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  // Not every address of ours is the page: documentation is none.
  const pages = all.filter(({ url }) => !OTHERS.test(new URL(url).pathname));
  const tab = pages.find(({ visibilityState }) => visibilityState === "visible") ?? pages[0];
  if (!tab) return self.clients.openWindow(path);
  tab.postMessage({ go: path });
  return tab.focus().catch(() => {});
}
