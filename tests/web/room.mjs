// A room as its keeper and its people set it: name, topic and level reach everyone at once; who is added
// and removed sees it come and go; what is one's own stays one's own.

import { check, eventually, isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { composer, enter, goTo } from "./ui.mjs";

await journey("room", async (browser, step) => {
  const { alice, bob, carol, org, room } = stage;
  const [hers, his] = [await browser.page(0), await browser.page(1)];
  const other = await rest(alice, "POST", "/rooms/", { org, name: "elsewhere" });
  await rest(bob, "POST", `/rooms/${other.id}/join/`);
  await Promise.all([enter(hers, alice, room), enter(his, bob, room)]);
  const dialog = hers.getByRole("dialog");
  const parts = (page, part) => page.getByRole("navigation", { name: "Settings" }).getByRole("link", { name: part, exact: true }).click();

  await hers.getByRole("button", { name: "Room options" }).click();
  await hers.getByRole("menuitem", { name: "Room settings…" }).click();
  await hers.getByRole("textbox", { name: "Name", exact: true }).fill("launch");
  await hers.getByLabel("Topic").fill("Ten, nine, <i>eight</i>");
  await hers.getByRole("button", { name: "Save" }).first().click();
  await hers.getByText("Saved.").waitFor();
  await his.getByRole("heading", { level: 1, name: "launch" }).waitFor();
  await his.getByText("Ten, nine, <i>eight</i>").waitFor();
  await isAccessible(hers, "a room's settings");
  step("a new name and topic are there at once, for the other too");

  await hers.getByLabel(/^Add everyone/).check();
  await hers.getByRole("combobox", { name: "Visibility" }).selectOption("PRIVATE");
  await hers.getByRole("button", { name: "Save" }).first().click();
  await hers.getByRole("alert").filter({ hasText: "Private rooms can't add everyone automatically." }).waitFor();
  await hers.getByLabel(/^Add everyone/).uncheck();
  await hers.getByRole("button", { name: "Save" }).first().click();
  await eventually("the server has the room as she set it", async () => {
    const info = await rest(bob, "GET", `/rooms/${room}/`);
    return info.name === "launch" && info.access_level === "PRIVATE" && !info.auto_join;
  });
  step("its level is private now");

  await parts(hers, "Members");
  await hers.locator(`[data-user="${carol.id}"]`).getByRole("button", { name: /^Remove/ }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await hers.locator(`[data-user="${carol.id}"]`).waitFor({ state: "detached" });
  await isAccessible(hers, "a room's members");
  await hers.getByRole("button", { name: "Add people" }).click();
  await hers.getByRole("option", { name: /carol/i }).waitFor();
  await isAccessible(hers, "adding people");
  await hers.keyboard.press("Enter");
  await hers.getByText(/ was added\.$/).waitFor();
  await hers.keyboard.press("Escape");
  await hers.locator(`[data-user="${carol.id}"]`).waitFor();
  const ids = (await rest(alice, "GET", `/rooms/${room}/members/`)).results.map(({ user }) => user).sort();
  same(ids, [alice.id, bob.id, carol.id].sort(), "who is in the room");
  step("people go and come");

  await goTo(his, `/r/${room}/settings`);
  await his.getByRole("radio", { name: /^Mentions/ }).check();
  await his.getByText("Saved.").waitFor();
  check(await his.getByLabel("Topic").count() === 0, "a member may change the topic");
  check(await his.getByRole("button", { name: "Delete this room…" }).count() === 0, "a member may delete the room");
  await his.getByRole("checkbox", { name: /^Starred/ }).check();
  await his.getByRole("region", { name: "Starred" }).getByRole("link", { name: "launch" }).waitFor();
  await his.getByRole("checkbox", { name: /^Starred/ }).uncheck();
  await his.getByLabel("Section").fill("Rockets");
  await his.getByRole("button", { name: "Save" }).click();
  await his.getByRole("region", { name: "Rockets" }).getByRole("link", { name: "launch" }).waitFor();
  const expected = JSON.stringify({ notify: "mentions", section: "Rockets", starred: false });
  await eventually("the server has his settings", async () => JSON.stringify(await rest(bob, "GET", `/rooms/${room}/settings/`)) === expected);
  same(await rest(alice, "GET", `/rooms/${room}/settings/`), { notify: "all", section: null, starred: false }, "her settings");
  await isAccessible(his, "a room's settings, for a member");
  step("what is one's own stays one's own");

  await his.keyboard.press("Escape");
  await his.getByRole("link", { name: "Close" }).click();
  await composer(his).waitFor();
  await goTo(his, `/r/${other.id}/settings`);
  await his.getByRole("button", { name: "Leave this room…" }).click();
  await his.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await eventually("he is no member any more", async () =>
    (await rest(bob, "GET", "/rooms/")).results.every(({ id }) => id !== other.id));
  step("he left another");

  await parts(hers, "Settings");
  await hers.getByRole("button", { name: "Delete this room…" }).click();
  await dialog.getByRole("textbox").fill("launch");
  await dialog.getByRole("button", { name: "Delete room" }).click();
  await his.locator(`a[href="/r/${room}"]`).waitFor({ state: "detached" });
  same((await rest(bob, "GET", "/rooms/")).results.filter(({ id }) => id === room), [], "the room");
  step("it is deleted, for the other too");
});
