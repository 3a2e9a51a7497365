// What happens to people in the middle of a sentence: their edge is killed, their network is cut,
// their token expires. Afterwards both have what the server has, in its order, each message once.

import { eventually, history, journey, killEdge, same, stage } from "./stage.mjs";
import { agreesWithServer, openRoom, sees, send, signIn } from "./ui.mjs";

await journey("survival", async (browser, step) => {
  const { alice, bob, room } = stage;
  const [hers, his] = [await browser.page(0), await browser.page(1)];
  await Promise.all([signIn(hers, alice), signIn(his, bob)]);
  await Promise.all([openRoom(hers, room), openRoom(his, room)]);
  const said = [];
  const says = async (page, text) => {
    said.push(text);
    await send(page, text);
  };
  await says(hers, "before anything happens");
  await sees(his, "before anything happens");

  browser.doors[1].shut();
  await says(his, "written offline 1");
  await says(his, "written offline 2");
  await says(hers, "meanwhile, online");
  browser.doors[1].unshut();
  await sees(hers, "written offline 2");
  await sees(his, "meanwhile, online");
  step("a cut network loses nothing");

  killEdge(0);
  await says(hers, "after the kill, from her");
  await says(his, "after the kill, from him");
  await sees(his, "after the kill, from her");
  await sees(hers, "after the kill, from him");
  step("a killed edge loses nothing");

  // Access tokens of this deployment live for seconds: both have expired since.
  browser.doors.forEach((door) => door.cut());
  await says(hers, "with a new token");
  await sees(his, "with a new token");
  step("an expired token is renewed");

  await eventually("everything is on the server", async () => (await history(alice, room)).length >= said.length);
  const bodies = (await history(alice, room)).map(({ body }) => body);
  same([...bodies].sort(), [...said].sort(), "each message is on the server once");
  await agreesWithServer(hers, alice, room, "alice");
  await agreesWithServer(his, bob, room, "bob");
});
