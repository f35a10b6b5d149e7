// The page's own worker, in Node: `node node.mjs PAGE TEXT` prints, for each type of KV cache, what the page would show.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const [path, text] = process.argv.slice(2);
const html = readFileSync(path, "utf8");
const inside = (id) => html.split(`id="${id}">`)[1].split("</script>")[0];
const bytes = (id) => Uint8Array.from(atob(inside(id).trim()), (c) => c.charCodeAt(0));

let answer, written = "";
const hear = (message) => (message.kind === "written" ? (written += message.text) : answer(message));
const worker = vm.createContext({ WebAssembly, TextEncoder, TextDecoder, performance, postMessage: hear });
vm.runInContext(inside("worker"), worker);
const call = (name, words) =>
  new Promise((resolve) => {
    answer = resolve;
    worker.onmessage({ data: { call: name, id: 1, ...words } });
  });
const done = async (name, words) => {
  const message = await call(name, words);
  if (message.kind !== "done") throw new Error(`${name}: ${message.error}`);
  return message.result;
};

await done("start", { wasm: bytes("wasm") });
const model = await done("open", { blob: bytes("model-blob") });
const kinds = [];
for (const kv of [0, 1, 2]) {
  const session = await done("begin", { kv });
  const { nll_bits, nlls, pieces, scored_bytes } = await done("score", { text });
  kinds.push({ self_test: session.self_test, nll_bits, n: nlls.length, text: pieces.join(""), scored_bytes });
}
await done("begin", { kv: 0 });
const made = await done("generate", { text: text.slice(0, 20), max_tokens: 30, temperature: 0.8, seed: 7 });
const refused = await call("score", { text: "\u{10ffff}" });
console.log(JSON.stringify({ model, kinds, written, n: made.n, refused: refused.error }));
