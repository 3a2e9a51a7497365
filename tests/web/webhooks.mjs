// An admin makes a webhook, sees what was delivered and what was not, sends it again, gives it a new
// secret and deletes it; who is no admin sees nothing of it. The receiver is this process.

import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { check, eventually, isAccessible, journey, rest, same, stage } from "./stage.mjs";
import { signIn } from "./ui.mjs";

/** A receiver that keeps what it gets, and answers as it is told. */
async function receiver() {
  const heard = { got: [], status: 200 };
  const server = createServer((ask, answer) => {
    let body = "";
    ask.on("data", (part) => (body += part));
    ask.on("end", () => {
      heard.got.push({ headers: ask.headers, body, event: JSON.parse(body) });
      answer.writeHead(heard.status).end();
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  heard.url = `http://127.0.0.1:${server.address().port}/hook`;
  heard.of = (type) => heard.got.filter(({ event }) => event.type === type);
  return heard;
}

/** Whether a delivery bears the signature of a secret. */
function isSigned({ headers, body }, secret) {
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const signature = createHmac("sha256", key).update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`).digest("base64");
  return headers["webhook-signature"].split(" ").includes(`v1,${signature}`);
}

await journey("webhooks", async (browser, step) => {
  const { alice, bob, org, room } = stage;
  const heard = await receiver();
  const page = await browser.page(0);
  await signIn(page, alice);
  await page.getByRole("link", { name: "Organization settings" }).click();
  await page.getByRole("link", { name: "Webhooks", exact: true }).click();
  await page.getByText("No webhooks yet.").waitFor();
  await isAccessible(page, "no webhooks");

  await page.getByRole("link", { name: "New webhook" }).click();
  await page.getByLabel("URL").fill("http://10.0.0.1/");
  await page.getByRole("button", { name: "Create webhook" }).click();
  await page.getByRole("alert").first().waitFor();
  await isAccessible(page, "a new webhook that is refused");
  await page.getByLabel("URL").fill(heard.url);
  await page.getByLabel("Someone joins").check();
  await page.getByRole("button", { name: "Create webhook" }).click();
  const secret = await page.getByLabel("Secret", { exact: true }).inputValue();
  check(/^whsec_[\w+/=]{32,}$/.test(secret), `the secret is ${secret}`);
  await isAccessible(page, "a webhook with its secret");
  const [hook] = (await rest(alice, "GET", `/webhooks/?org=${org}`)).results;
  same([hook.url, [...hook.events].sort()], [heard.url, ["member.joined", "message.created"]], "what the server has");
  await page.reload();
  await page.getByRole("heading", { name: "Deliveries" }).waitFor();
  check(await page.getByLabel("Secret", { exact: true }).count() === 0, "the secret is shown again");
  step("made, and its secret is shown once");

  await page.getByRole("button", { name: "Send a test event" }).click();
  const row = (type) => page.getByRole("list", { name: /Deliveries/ }).getByRole("listitem").filter({ hasText: type });
  await row("webhook.test").getByText("Delivered").waitFor();
  check(isSigned(heard.of("webhook.test")[0], secret), "the test event is not signed with the secret that was shown");
  step("the test event arrives, signed");

  heard.status = 500;
  await rest(bob, "POST", `/messages/rooms/${room}/`, { body: "Does it hear me?" });
  await eventually("the receiver hears the message", () => heard.of("message.created").length > 0);
  await page.getByRole("button", { name: "Refresh" }).click();
  await row("message.created").getByText(/Retrying|Failed/).waitFor();
  await row("message.created").getByText(/500/).waitFor();
  await row("message.created").getByRole("button", { name: /^Payload/ }).click();
  await row("message.created").getByText('"body": "Does it hear me?"').waitFor();
  await isAccessible(page, "a delivery that failed");
  heard.status = 204;
  await row("message.created").getByRole("button", { name: /^Send again/ }).click();
  await row("message.created").getByText("Delivered").waitFor();
  same(heard.of("message.created").at(-1).event.data.message.body, "Does it hear me?", "what was sent again");
  step("what failed is sent again");

  await page.getByRole("button", { name: "Send failed again…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  await page.getByText(/^Sending \d+ deliver(y|ies) again\.$/).waitFor();

  await page.getByRole("button", { name: "Create a new secret…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Create secret" }).click();
  const fresh = await page.getByLabel("Secret", { exact: true }).inputValue();
  check(fresh !== secret, "the secret is the old one");
  await page.getByRole("button", { name: "Send a test event" }).click();
  await eventually("the second test event", () => heard.of("webhook.test").length === 2);
  check([secret, fresh].every((one) => isSigned(heard.of("webhook.test")[1], one)), "both secrets sign");
  step("a new secret signs beside the old one");

  await page.getByLabel("A message is sent").uncheck();
  await page.getByLabel(/^Active/).uncheck();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  const changed = await rest(alice, "GET", `/webhooks/${hook.id}/`);
  same([changed.is_active, changed.events], [false, ["member.joined"]], "what the server has after the change");
  await page.getByText("Paused", { exact: true }).waitFor();

  const his = await browser.page(1);
  await signIn(his, bob);
  await his.goto(`${his.door.url}/orgs/${org}/settings/webhooks`);
  await his.getByText("You don't have access to this page.").waitFor();
  step("a member is shown nothing");

  await page.getByRole("button", { name: "Delete this webhook…" }).click();
  await isAccessible(page, "the question before deleting");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("No webhooks yet.").waitFor();
  same((await rest(alice, "GET", `/webhooks/?org=${org}`)).results, [], "webhooks that are left");
  step("deleted");
});
