// The page as an app: it opens without a network, it is installable, it tells of what is new and
// only of that.

import { check, eventually, journey, rest, same, stage } from "./stage.mjs";
import { composer, enter, goTo, openRoom, room as roomLink, sees, send, tabOf } from "./ui.mjs";

const shownNotifications = (page) => page.evaluate(async () => {
  const registration = await navigator.serviceWorker.ready;
  return (await registration.getNotifications()).map(({ title, body, tag }) => ({ title, body, tag }));
});

/** Goes to another room; what comes after the first screen is there then. */
async function elsewhere(page, id) {
  await goTo(page, `/r/${id}`);
  await composer(page, "Message elsewhere").waitFor();
  await eventually("everything is loaded", () => page.evaluate(() => Boolean(document.querySelector("cb-chat").alive)));
}

await journey("alive", async (browser, step) => {
  const { alice, bob, room } = stage;
  const other = await rest(alice, "POST", "/rooms/", { org: stage.org, name: "elsewhere" });
  const page = await browser.page(0);
  await page.addInitScript(() => {
    window.asked = 0;
    const ask = Notification.requestPermission.bind(Notification);
    Notification.requestPermission = () => { window.asked += 1; return ask(); };
  });
  // A browser without a window refuses unasked.
  const permissions = await page.context().newCDPSession(page);
  const permit = (setting) => permissions.send("Browser.setPermission", { permission: { name: "notifications" }, setting, origin: page.door.url });
  await permit("prompt");
  await enter(page, alice, room);
  const manifest = await page.evaluate(async () => (await fetch(document.querySelector("link[rel=manifest]").href)).json());
  same([manifest.start_url, manifest.display], ["/", "standalone"], "the manifest");
  for (const { src, sizes } of manifest.icons) {
    const size = await page.evaluate((from) => new Promise((done) => {
      const image = new Image();
      image.onload = () => done(`${image.naturalWidth}x${image.naturalHeight}`);
      image.onerror = () => done("broken");
      image.src = from;
    }), src);
    check(sizes === "any" ? size !== "broken" : size === sizes, `${src} is ${size}`);
  }
  step("it can be installed");

  await eventually("the worker keeps the page", () => page.evaluate(async () => {
    const [name] = await caches.keys();
    return Boolean(name && navigator.serviceWorker.controller && await (await caches.open(name)).match("/"));
  }));
  const kept = await page.evaluate(async () => {
    const all = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
    return all.flat().map(({ url }) => new URL(url)).map(({ pathname, search }) => pathname + search);
  });
  check(kept.some((one) => /^\/app\.js\?v=/.test(one)) && kept.every((one) => one === "/" || /\?v=[0-9a-f]+$/.test(one)), `kept: ${kept}`);
  browser.doors[0].shut();
  await page.context().setOffline(true);
  await page.goto(`${page.door.url}/r/${room}`);
  await page.getByText("You're offline").waitFor();
  browser.doors[0].unshut();
  await page.context().setOffline(false);
  await composer(page).waitFor();
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "welcome back" });
  await sees(page, "welcome back");
  step("it opens without a network, and goes on when there is one");

  browser.doors[0].isSilent = true;
  await page.goto(`${page.door.url}/r/${room}`);
  await page.getByRole("link", { name: /Alice/ }).waitFor({ timeout: 10_000 });
  browser.doors[0].isSilent = false;
  await openRoom(page, room);
  step("it opens while the server says nothing");

  same(await page.evaluate(() => window.asked), 0, "permission asked for at load");
  check(await page.getByRole("complementary", { name: "Notifications" }).count() === 0, "nothing is asked before one writes");
  await send(page, "the first thing that she says");
  await page.getByRole("button", { name: "Not now" }).waitFor();
  await page.context().grantPermissions(["notifications"], { origin: page.door.url });
  await page.getByRole("button", { name: "Turn on" }).click();
  await page.getByRole("button", { name: "Turn on" }).waitFor({ state: "detached" });
  same(await page.evaluate(() => [window.asked, Notification.permission]), [1, "granted"], "permission");
  step("it asks after the first message, once");

  // She is elsewhere: in another room.
  await elsewhere(page, other.id);
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "are you there?" });
  await eventually("a notification is shown", async () => (await shownNotifications(page)).some(({ body }) => body === "are you there?"));
  const [note] = await shownNotifications(page);
  same(note.tag, `room-${room}`, "its tag");
  check(/Bob/.test(note.title), `its title is ${note.title}`);
  check(/icon-unread/.test(await page.locator("link[rel=icon]").getAttribute("href")) || !(await page.title()).startsWith("("), "the icon tells of it");
  const [worker] = page.context().serviceWorkers();
  await worker.evaluate(async () => {
    const [notification] = await self.registration.getNotifications();
    self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
  });
  await page.waitForURL(`**/r/${room}`);
  await sees(page, "are you there?");
  await eventually("it is taken back", async () => (await shownNotifications(page)).length === 0);
  step("a notification leads to the room, and goes when it is read");

  // What is read in another tab, or muted, disturbs nobody.
  await rest(alice, "PATCH", `/rooms/${room}/settings/`, { notify: "none" });
  await elsewhere(page, other.id);
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "muted" });
  await rest(alice, "PATCH", `/rooms/${room}/settings/`, { notify: "mentions" });
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "not for her" });
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: `@${alice.email} **for her**` });
  await eventually("the mention is shown", async () => (await shownNotifications(page)).some(({ body }) => body === "@Alice for her"));
  same((await shownNotifications(page)).length, 1, "notifications");
  await roomLink(page, "general").locator(".badge", { hasText: "1" }).waitFor();
  check((await page.title()).startsWith("(1)"), `the title is ${await page.title()}`);
  await eventually("the icon tells of it", async () => /icon-unread/.test(await page.locator("link[rel=icon]").getAttribute("href")));
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "@here is cake" });
  await eventually("who is here is told", async () => (await shownNotifications(page)).some(({ body }) => body.includes("cake")));
  same(await roomLink(page, "general").locator(".badge").innerText(), "1", "mentions that are counted");
  const tab = await tabOf(page);
  await openRoom(tab, room);
  await sees(tab, "cake");
  await eventually("what is read in another tab is taken back", async () => (await shownNotifications(page)).length === 0);
  step("one is disturbed only by what one asked for");

  // A server that was renewed: its page names other modules than those that run here.
  await page.evaluate(() => { document.querySelector("script[type=importmap]").firstChild.data += " "; });
  browser.doors[0].cut();
  await page.getByText("ChatBoard was updated").waitFor();
  await page.getByRole("button", { name: "Reload" }).click();
  await page.getByText("ChatBoard was updated").waitFor({ state: "detached" });
  await composer(page).waitFor();
  step("it tells of a new version");

  await openRoom(tab, other.id);
  await elsewhere(page, other.id);
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: `@${alice.email} before she goes` });
  await eventually("a last one is shown", async () => (await shownNotifications(page)).length === 1);
  await goTo(page, "/profile");
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForURL(/sign-in/);
  await eventually("nothing is shown of who has gone", async () => (await shownNotifications(page)).length === 0);
  check(/\/icons\/icon\.svg\?v=/.test(await page.locator("link[rel=icon]").getAttribute("href")), "the icon is the usual one");
  step("who signs out leaves no notification behind");
});
