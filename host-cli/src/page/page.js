"use strict";
const $ = (id) => document.getElementById(id);
const unbase64 = (text) => Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
const page = $("page");
const wasm = unbase64($("wasm").textContent);
let blob = unbase64($("model-blob").textContent);
let blob_name = "";
let worker, calls, next, writing = false;

// Every model gets a worker of its own, so that one at work can be ended.
function fresh() {
  if (worker) worker.terminate();
  [calls, next] = [new Map(), 0];
  const url = URL.createObjectURL(new Blob([$("worker").textContent], { type: "text/javascript" }));
  worker = new Worker(url);
  URL.revokeObjectURL(url);
  worker.onmessage = ({ data }) => {
    if (data.kind === "written") return $("written").append(data.text);
    const { resolve, reject } = calls.get(data.id);
    calls.delete(data.id);
    data.kind === "done" ? resolve(data.result) : reject(new Error(data.error));
  };
  worker.onerror = (event) => say(event.message);
}

const call = (name, words = {}) =>
  new Promise((resolve, reject) => {
    calls.set(++next, { resolve, reject });
    worker.postMessage({ call: name, id: next, ...words });
  });

const say = (message) => { $("error").textContent = message; };
const number = (x) => x.toLocaleString("en");
const rate = (n, seconds) => (n > 0 && seconds > 0 ? (n / seconds).toFixed(n / seconds < 10 ? 1 : 0) : "–");

function rows(list, entries) {
  list.replaceChildren(...entries.map(([name, value]) => {
    const [row, term, what] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    [term.textContent, what.textContent] = [name, value];
    row.append(term, what);
    return row;
  }));
}

async function load() {
  say("");
  page.dataset.state = "loading";
  $("generate").disabled = true;
  fresh();
  try {
    await call("start", { wasm });
    const model = await call("open", { blob });
    const session = await call("begin", { kv: Number($("kv").value) });
    if (blob_name) document.title = $("name").textContent = blob_name;
    rows($("model"), [
      ["blob, bytes", number(model.blob_bytes)],
      ["memory of a session, bytes", number(session.session_bytes)],
      ["memory of the module, bytes", number(session.memory_bytes)],
      ["vocabulary", number(model.n_vocab) + (model.pruned_from ? ` of ${number(model.pruned_from)}` : "")],
      ["context", number(model.n_ctx)],
      ["layers", number(model.n_layer)],
      ["width", number(model.n_embd)],
      ["heads", `${model.n_head} of ${model.head_dim}` + (model.n_kv_head === model.n_head ? "" : `, ${model.n_kv_head} of keys`)],
      ["self-test", session.self_test],
    ]);
    if (!model.has_tokenizer) return fail("This blob has no tokenizer: it takes no text.");
    $("generate").disabled = false;
    await score();
  } catch (error) {
    fail(error.message);
  }
}

function fail(message) {
  say(message);
  page.dataset.state = "failed";
}

const bounds = [1, 2, 4, 6, 8, 10];
const shade = (bits) => "b" + bounds.filter((bound) => bits >= bound).length;

async function score() {
  const text = $("text").value;
  page.dataset.state = "scoring";
  let result;
  try {
    result = await call("score", { text });
  } catch (error) {
    $("heat").textContent = text;
    return fail(error.message);
  }
  if (text !== $("text").value) return;
  say("");
  $("heat").replaceChildren(...result.pieces.map((piece, i) => {
    const span = document.createElement("span");
    span.textContent = piece;
    const nll = i > 0 ? result.nlls[i - 1] : undefined;
    if (nll !== undefined) {
      span.className = shade(nll / Math.LN2);
      span.title = `${(nll / Math.LN2).toFixed(2)} bits`;
    }
    return span;
  }));
  const n = result.nlls.length;
  $("scored").textContent = number(n);
  $("loss").textContent = n ? (result.sum / n).toFixed(6) : "–";
  $("perplexity").textContent = n ? Math.exp(result.sum / n).toFixed(3) : "–";
  $("bits-per-byte").textContent = result.scored_bytes ? (result.sum / Math.LN2 / result.scored_bytes).toFixed(4) : "–";
  $("nll-bits").textContent = n ? result.nll_bits : "–";
  $("score-rate").textContent = rate(n, result.seconds);
  page.dataset.state = "ready";
}

let typing;
$("text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => writing || score(), 250);
});

$("generate").addEventListener("click", async () => {
  const text = $("text").value;
  const [max_tokens, temperature, seed] = ["max-tokens", "temperature", "seed"].map((id) => Number($(id).value));
  $("written").textContent = text;
  $("written-rate").textContent = "";
  say("");
  [writing, $("generate").disabled, $("stop").disabled] = [true, true, false];
  page.dataset.state = "writing";
  try {
    const { n, nll, seconds } = await call("generate", { text, max_tokens, temperature, seed });
    const bits = n ? `, ${(nll / n / Math.LN2).toFixed(2)} bits a token` : "";
    $("written-rate").textContent = `${number(n)} tokens, ${rate(n, seconds)} a second${bits}`;
    page.dataset.state = "ready";
  } catch (error) {
    fail(error.message);
  }
  [writing, $("generate").disabled, $("stop").disabled] = [false, false, true];
});

$("stop").addEventListener("click", () => {
  [writing, $("stop").disabled] = [false, true];
  load();
});

async function take(file) {
  [blob, blob_name] = [new Uint8Array(await file.arrayBuffer()), file.name];
  load();
}

$("blob").addEventListener("change", ({ target }) => target.files[0] && take(target.files[0]));
$("kv").addEventListener("change", () => load());
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
addEventListener("dragleave", () => document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
});

if (blob.length > 0) load();
else { say(""); page.dataset.state = "empty"; $("about").textContent = "Drop a blob of emberlm's here: it runs inside this page, and nothing leaves it."; }
