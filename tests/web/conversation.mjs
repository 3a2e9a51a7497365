// Two people in two browsers, on two edges: what a day of chatting is made of.

import { isAccessible, journey, rest, stage } from "./stage.mjs";
import { agreesWithServer, message, openRoom, sees, send, signIn } from "./ui.mjs";

await journey("conversation", async (browser, step) => {
  const { alice, bob, room } = stage;
  const [hers, his] = [await browser.page(0), await browser.page(1)];
  await Promise.all([signIn(hers, alice), signIn(his, bob)]);
  await Promise.all([openRoom(hers, room), openRoom(his, room)]);
  step("both are in the room");

  await send(hers, "Good morning, *Bob*");
  await sees(his, "Good morning");
  await send(his, "Morning! `x = 1`");
  await sees(hers, "Morning!");
  step("each sees what the other writes");

  const [first] = (await rest(alice, "GET", `/messages/rooms/${room}/?limit=10`)).results.slice(-1);
  await rest(alice, "PATCH", `/messages/${first.id}/`, { body: "Good morning, Robert" });
  await sees(his, "Robert");
  await rest(bob, "POST", `/messages/${first.id}/reactions/`, { emoji: "👋" });
  await message(hers, "Robert").getByText("👋").waitFor();
  step("edits and reactions arrive");

  await isAccessible(hers, "the room");
  for (const [page, person, name] of [[hers, alice, "alice"], [his, bob, "bob"]]) {
    await agreesWithServer(page, person, room, name);
  }
});
