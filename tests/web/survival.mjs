// What happens to people in the middle of a sentence: their network is cut, their edge is killed,
// the api starts again, their token expires, the tab with the socket is closed. Afterwards both have
// what the server has, in its order, each message once.

import { Door, check, crash, eventually, history, journey, killEdge, rest, same, stage } from "./stage.mjs";
import { agreesWithServer, composer, enter, openRoom, sees, send, tabOf } from "./ui.mjs";

await journey("survival", async (browser, step) => {
  const { alice, bob, carol, room } = stage;
  const [hers, his] = [await browser.page(0), await browser.page(1)];
  await Promise.all([enter(hers, alice, room), enter(his, bob, room)]);
  // Something takes a third one's line, and never answers.
  const silent = await Door.open(1);
  silent.isMute = true;
  const carols = await browser.page(browser.doors.push(silent) - 1);
  await enter(carols, carol, room);
  const said = [];
  const says = async (page, text) => {
    said.push(text);
    await send(page, text);
  };
  const agree = () => Promise.all([agreesWithServer(hers, alice, room, "alice"), agreesWithServer(his, bob, room, "bob")]);
  await says(hers, "before anything happens");
  await sees(his, "before anything happens");

  // A cut network: told once it lasts, and what is written waits.
  browser.doors[1].shut();
  await his.context().setOffline(true);
  await says(his, "written offline 1");
  await says(his, "written offline 2");
  await his.getByText("You're offline. 2 messages will be sent when you reconnect.").waitFor();
  await his.getByText("written offline 2").waitFor();
  const star = his.getByRole("button", { name: "Star", exact: true });
  await star.click();
  await his.getByText("Couldn't save this").waitFor();
  await his.getByRole("button", { name: "Star", exact: true, pressed: false }).waitFor();
  await says(hers, "meanwhile, online");
  browser.doors[1].unshut();
  await his.context().setOffline(false);
  await sees(hers, "written offline 2");
  await sees(his, "meanwhile, online");
  await his.getByText("You're offline").waitFor({ state: "detached" });
  await agree();
  step("a cut network loses nothing");

  // Much is said while one is away: the gap is filled in order.
  browser.doors[1].shut();
  for (let n = 0; n < 60; n += 1) {
    said.push(`while he was away ${n}`);
    await rest(alice, "POST", `/messages/rooms/${room}/`, { body: `while he was away ${n}` });
  }
  browser.doors[1].unshut();
  await sees(his, "while he was away 59");
  await agree();
  step("a gap is filled");

  await carols.getByText("Reconnecting…").waitFor();
  await eventually("the third gives up that line, and tries another", () => silent.unanswered > 1);
  silent.isMute = false;
  step("a line that is never answered is given up");

  killEdge(0);
  await says(hers, "after the kill, from her");
  await says(his, "after the kill, from him");
  await sees(his, "after the kill, from her");
  await sees(hers, "after the kill, from him");
  await agree();
  step("a killed edge loses nothing");

  // The api goes away in the middle of a burst.
  const burst = (async () => {
    for (let n = 0; n < 12; n += 1) await says(n % 2 ? hers : his, `through a restart ${n}`);
  })();
  await crash(stage.processes.api);
  await burst;
  await sees(hers, "through a restart 10");
  await sees(his, "through a restart 11");
  await agree();
  step("an api that starts again loses nothing");

  // Access tokens of this deployment live for seconds: both have expired since.
  browser.doors.forEach((door) => door.cut());
  await says(hers, "with a new token");
  await sees(his, "with a new token");
  await agree();
  step("an expired token is renewed");

  // Two tabs share one socket; when the one that has it is closed, the other takes over.
  const second = await tabOf(hers);
  const sockets = [];
  second.on("websocket", (socket) => sockets.push(socket));
  await openRoom(second, room);
  await sees(second, "with a new token");
  await says(second, "from the second tab");
  await Promise.all([sees(second, "from the second tab"), sees(hers, "from the second tab"), sees(his, "from the second tab")]);
  same(sockets.length, 0, "sockets of the second tab");
  await says(his, "to both tabs");
  await Promise.all([sees(second, "to both tabs"), sees(hers, "to both tabs")]);
  await agreesWithServer(second, alice, room, "the second tab");
  await composer(hers).fill("half a sen");
  await hers.close();
  await says(his, "when the first tab was closed");
  await says(second, "the second tab goes on");
  await sees(second, "when the first tab was closed");
  await sees(his, "the second tab goes on");
  await eventually("the second tab has a socket", () => sockets.length > 0);
  same(await composer(second).inputValue(), "", "another tab's draft disturbs nobody");
  await agreesWithServer(second, alice, room, "the second tab");
  await agreesWithServer(his, bob, room, "bob");
  step("two tabs share a socket, and one takes it over");

  // What was sent a moment before the tab goes is sent by the next one.
  browser.doors[0].shut();
  await says(second, "sent, and the tab closed");
  await second.getByText("sent, and the tab closed").waitFor();
  await second.close();
  browser.doors[0].unshut();
  const third = await tabOf(second);
  await openRoom(third, room);
  await sees(third, "sent, and the tab closed");
  await sees(his, "sent, and the tab closed");
  step("what waited in a closed tab is sent by the next");

  await eventually("everything is on the server", async () => (await history(bob, room)).length >= said.length);
  const bodies = (await history(bob, room)).map(({ body }) => body);
  same([...bodies].sort(), [...said].sort(), "each message is on the server once");
  for (const author of [alice, bob]) {
    const own = (await history(bob, room)).filter(({ sender }) => sender === author.id).map(({ body }) => body);
    same(own, said.filter((body) => own.includes(body)), `${author.name}'s messages are in the order of writing`);
  }
  await agreesWithServer(third, alice, room, "alice");
  await agreesWithServer(his, bob, room, "bob");
  await agreesWithServer(carols, carol, room, "carol");
  check(await third.getByText("Reconnecting").count() === 0, "no banner is left");
});
