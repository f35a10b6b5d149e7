// A page in a browser without a head: `node chromium.mjs FILE PROFILE [PICTURE WIDTH light|dark]` waits until the page has
// done its work, and prints what it holds then and what came on its console. It speaks the browser's own protocol, over a
// pipe.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";

const [file, profile, picture, width = "1000", scheme = "light"] = process.argv.slice(2);
const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", `--user-data-dir=${profile}`];
const browser = spawn("chromium", [...flags, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const [to, from] = [browser.stdio[3], browser.stdio[4]];
const waiting = new Map(), said = [];
let id = 0, session, rest = "";

from.on("data", (bytes) => {
  const messages = (rest + bytes).split("\0");
  rest = messages.pop();
  for (const { id, result, error, method, params } of messages.map((text) => JSON.parse(text))) {
    if (id !== undefined) {
      waiting.get(id)(error ? Promise.reject(new Error(error.message)) : result);
    } else if (method === "Runtime.consoleAPICalled") {
      said.push(params.args.map((arg) => arg.value ?? arg.description).join(" "));
    } else if (method === "Runtime.exceptionThrown") {
      said.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    } else if (method === "Log.entryAdded") {
      said.push(params.entry.text);
    }
  }
});
const call = (method, params = {}) =>
  new Promise((resolve) => {
    waiting.set(++id, resolve);
    to.write(JSON.stringify({ id, method, params, ...(session && { sessionId: session }) }) + "\0");
  });
const value = async (expression) => (await call("Runtime.evaluate", { expression, returnByValue: true })).result.value;

setTimeout(() => (console.error("the page does not come to an end"), browser.kill(), process.exit(1)), 90_000);
const { targetId } = await call("Target.createTarget", { url: "about:blank" });
session = (await call("Target.attachToTarget", { targetId, flatten: true })).sessionId;
for (const domain of ["Runtime", "Log", "Page"]) await call(`${domain}.enable`);
const size = { width: Number(width), height: 900, deviceScaleFactor: 1, mobile: Number(width) < 600 };
await call("Emulation.setDeviceMetricsOverride", size);
await call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
await call("Page.navigate", { url: `file://${file}` });
const state = "document.getElementById('page')?.dataset.state";
while (!["ready", "failed", "empty"].includes(await value(state))) await new Promise((done) => setTimeout(done, 50));
if (picture) {
  const { data } = await call("Page.captureScreenshot", { captureBeyondViewport: true });
  writeFileSync(picture, Buffer.from(data, "base64"));
}
const text = (id) => value(`document.getElementById('${id}').textContent`);
const shown = {};
for (const id of ["nll-bits", "scored", "loss", "error", "heat", "model"]) shown[id] = await text(id);
const overflow = await value("document.documentElement.scrollWidth - innerWidth");
console.log(JSON.stringify({ state: await value(state), shown, said, overflow }));
browser.kill();
process.exit(0);
