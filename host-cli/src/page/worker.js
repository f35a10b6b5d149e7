// The model: a module with memory of its own, which this worker hands out, and whose calls it makes.
"use strict";
const OK = 0, TOKEN_MAJOR = 1;
const utf8 = new TextEncoder();
let api, base, top, session, model, hear;

const view = () => new DataView(api.memory.buffer);
const bytes = (at, n) => new Uint8Array(api.memory.buffer, at, n);

// A place for n bytes; what lies behind `mark` is given back by `top = mark`.
function room(n) {
  const at = (top + 15) & ~15;
  top = at + n;
  const pages = Math.ceil((top - api.memory.buffer.byteLength) / 65536);
  if (pages > 0) api.memory.grow(pages);
  return at;
}

function text_at(at) {
  const all = new Uint8Array(api.memory.buffer, at);
  return new TextDecoder().decode(all.slice(0, all.indexOf(0)));
}

function check(status) {
  if (status !== OK) throw new Error(text_at(api.emberlm_status_text(status)));
}

async function start(wasm) {
  const imports = {
    hear_nll: (nll) => hear.nll(nll),
    hear_token: (token, nll) => hear.token(token, nll),
    hear_text: (at, n) => hear.text(bytes(at, n).slice()),
  };
  api = (await WebAssembly.instantiate(wasm, { emberlm: imports })).instance.exports;
  base = top = api.__heap_base.value;
}

// Takes a blob in the place of the one before. Its session comes with the kind of KV cache.
function open(blob) {
  top = base;
  session = undefined;
  const at = room(blob.length);
  bytes(at, blob.length).set(blob);
  const out = room(64);
  check(api.emberlm_inspect(at, blob.length, out));
  const word = (i) => view().getUint32(out + 4 * i, true);
  const names = ["blob_bytes", "n_vocab", "pruned_from", "n_ctx", "n_embd", "n_layer", "n_head", "n_kv_head", "head_dim", "n_ff", "bos"];
  model = Object.fromEntries(names.map((name, i) => [name, word(i)]));
  model.adds_bos = bytes(out + 44, 1)[0] !== 0;
  model.has_tokenizer = bytes(out + 45, 1)[0] !== 0;
  model.at = at;
  model.end = top;
}

// A session with that kind of KV cache; the passes of a text go through in batches.
function begin(kv) {
  top = model.end;
  const [run, out] = [room(16), room(16)];
  const batch = Math.min(16, model.n_ctx);
  [TOKEN_MAJOR, kv, model.n_ctx, batch].forEach((word, i) => view().setUint32(run + 4 * i, word, true));
  check(api.emberlm_session_bytes(model.at, model.blob_bytes, run, out));
  const need = view().getUint32(out, true);
  const memory = room(need);
  check(api.emberlm_open(model.at, model.blob_bytes, run, memory, need, out));
  session = view().getUint32(out, true);
  const status = api.emberlm_self_test(session);
  return { session_bytes: need, memory_bytes: api.memory.buffer.byteLength, self_test: text_at(api.emberlm_status_text(status)) };
}

// The text's tokens, in the module's memory.
function encode(text) {
  const encoded = utf8.encode(text);
  const [at, n, capacity] = [room(encoded.length), room(16), encoded.length + 2];
  const tokens = room(4 * capacity);
  bytes(at, encoded.length).set(encoded);
  check(api.emberlm_encode(session, at, encoded.length, tokens, capacity, n));
  return { tokens, n: view().getUint32(n, true) };
}

function decode(tokens, n) {
  const [out, capacity] = [room(16), 4096 + 64 * n];
  const text = room(capacity);
  check(api.emberlm_decode(session, tokens, n, text, capacity, out));
  return bytes(text, view().getUint32(out, true)).slice();
}

const hex = (sum) => {
  const eight = new DataView(new ArrayBuffer(8));
  eight.setFloat64(0, sum);
  return eight.getBigUint64(0).toString(16).padStart(16, "0");
};

// The losses of a text in disjoint windows, as `emberlm eval` has them: the sum of f32 losses, in f64, in their order.
function score(text) {
  const mark = top;
  try {
    const { tokens, n } = encode(text);
    const nlls = [], out = room(16), started = performance.now();
    hear = { nll: (nll) => nlls.push(nll) };
    for (let first = 0; first + 1 < n; first += model.n_ctx) {
      check(api.web_nll(session, tokens + 4 * first, Math.min(model.n_ctx + 1, n - first), out));
    }
    const seconds = (performance.now() - started) / 1000;
    // Each token's own text: what it adds to that of those before it, once its last character is whole.
    const pieces = [], inner = top;
    let before = "", first_bytes = 0, all_bytes = 0;
    for (let i = 0; i < n; i++) {
      const spelt = decode(tokens, i + 1), text = new TextDecoder().decode(spelt);
      top = inner;
      const is_whole = i + 1 === n || !text.endsWith("\ufffd");
      pieces.push(is_whole ? text.slice(before.length) : "");
      if (is_whole) before = text;
      if (i === 0) first_bytes = spelt.length;
      all_bytes = spelt.length;
    }
    const sum = nlls.reduce((sum, nll) => sum + nll, 0);
    // A space that stands before a text and is not shown counts with the token that it belongs to.
    let hidden = 0;
    if (model.adds_bos && n > 1) {
      const [twice, first] = [room(8), view().getUint32(tokens + 4, true)];
      [0, 4].forEach((at) => view().setUint32(twice + at, first, true));
      hidden = decode(twice, 2).length - 2 * decode(twice, 1).length;
    }
    const scored_bytes = all_bytes - first_bytes + hidden;
    return { pieces, nlls, sum, nll_bits: hex(sum), scored_bytes, seconds };
  } finally {
    top = mark;
  }
}

function generate({ text, max_tokens, temperature, seed }) {
  const mark = top;
  try {
    const { tokens, n } = encode(text);
    const settings = room(32), spell = new TextDecoder(), nlls = [];
    const started = performance.now();
    check(api.emberlm_default_settings(settings));
    view().setFloat32(settings, temperature, true);
    view().setBigUint64(settings + 24, BigInt(seed), true);
    hear = {
      token: (_, nll) => nlls.push(nll),
      text: (piece) => postMessage({ kind: "written", text: spell.decode(piece, { stream: true }) }),
    };
    check(api.web_generate(session, tokens, n, settings, max_tokens));
    return { n: nlls.length, nll: nlls.reduce((sum, nll) => sum + nll, 0), seconds: (performance.now() - started) / 1000 };
  } finally {
    top = mark;
  }
}

const calls = {
  start: ({ wasm }) => start(wasm),
  open: ({ blob }) => (open(blob), model),
  begin: ({ kv }) => begin(kv),
  score: ({ text }) => score(text),
  generate,
};

// One call after another, also where one waits.
let queue = Promise.resolve();
onmessage = ({ data }) => {
  queue = queue.then(async () => {
    try {
      postMessage({ kind: "done", id: data.id, result: await calls[data.call](data) });
    } catch (error) {
      postMessage({ kind: "failed", id: data.id, error: String(error.message || error) });
    }
  });
};
