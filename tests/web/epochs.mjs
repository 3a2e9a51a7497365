// A restore that lost messages: their numbers are given again, and yet whoever has the page open, or
// comes back, sees what there is now, and nothing of what is gone.

import { check, eventually, journey, rest, stage } from "./stage.mjs";
import { agreesWithServer, enter, goTo, openRoom, sees, send, tabOf, timeline } from "./ui.mjs";

const { alice, bob, room } = stage;

async function epoch() {
  const headers = { Authorization: `Bearer ${alice.token}` };
  return (await fetch(`${stage.api}/api/v1/rooms/${room}/events/?limit=1`, { headers })).headers.get("chat-epoch");
}

/** Loses every message that begins with "lost", as a restore of an older backup does. */
async function restore() {
  const before = await epoch();
  console.log("@restore");
  await eventually("a new epoch", async () => ![before, null].includes(await epoch()));
}

const posts = (text) => rest(alice, "POST", `/messages/rooms/${room}/`, { body: text });

await journey("epochs", async (browser, step) => {
  const [hers, his] = [await browser.page(0), await browser.page(1)];
  await Promise.all([enter(hers, alice, room), enter(his, bob, room)]);
  const second = await tabOf(hers);
  await openRoom(second, room);
  const pages = [[hers, alice, "alice"], [second, alice, "alice's second tab"], [his, bob, "bob"]];
  const seen = (text) => Promise.all(pages.map(([page]) => sees(page, text)));
  const agree = async () => {
    for (const [page, person, name] of pages) {
      await agreesWithServer(page, person, room, name);
      check(await timeline(page).getByText(/^lost/).count() === 0, `${name} still sees what was lost`);
    }
  };
  await send(hers, "kept");
  for (const n of [1, 2, 3]) await send(hers, `lost ${n}`);
  await seen("lost 3");
  await restore();
  await send(his, "first of what is new");
  await seen("first of what is new");
  await agree();
  await send(hers, "and second");
  await seen("and second");
  step("open pages show what there is after a restore");

  for (const n of [4, 5, 6]) await send(hers, `lost ${n}`);
  await seen("lost 6");
  browser.doors[1].shut();
  await restore();
  // More than was lost: the room has passed the place where he goes on.
  for (const n of [1, 2, 3, 4, 5]) await posts(`new ${n}`);
  browser.doors[1].unshut();
  await seen("new 5");
  await agree();
  step("who was away comes back to what there is");

  await goTo(his, "/notifications");
  for (const n of [7, 8]) await posts(`lost ${n}`);
  await his.locator(`a[href="/r/${room}"] .count`, { hasText: /^2$/ }).waitFor();
  await restore();
  await posts("one");
  await his.locator(`a[href="/r/${room}"] .count`, { hasText: /^1$/ }).waitFor();
  step("what is unread is counted anew");
});
