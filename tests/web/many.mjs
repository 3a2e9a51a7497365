// Many rooms on one line, with the limits of the contract on: all are heard of, and it is not closed.

import { eventually, journey, rest, same, stage } from "./stage.mjs";
import { enter, sees } from "./ui.mjs";

await journey("many", async (browser, step) => {
  const { alice, bob, room } = stage;
  const page = await browser.page(0);
  const heard = new Set();
  const [lines, refusals] = [[], []];
  page.on("websocket", (line) => {
    lines.push(line);
    line.on("framereceived", ({ payload }) => {
      const frame = JSON.parse(String(payload));
      if (frame.type === "subscribed") heard.add(frame.room);
      if (frame.type === "error") refusals.push(frame);
    });
  });
  await enter(page, alice, room);
  await eventually("every room is heard of", () => heard.size >= 30);
  same([lines.length, lines[0].isClosed(), refusals], [1, false, []], "lines, and what was refused");
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "still there?" });
  await sees(page, "still there?");
  step(`${heard.size} rooms by one line`);
});
