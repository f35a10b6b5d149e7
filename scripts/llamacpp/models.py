"""Random models, each as a safetensors checkpoint for Emberlm and as a GGUF file for llama.cpp, of the same weights."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np


@dataclass(frozen=True)
class Shape:
    family: str  # "gpt2" or "llama"
    n_layer: int
    n_embd: int
    n_head: int
    n_kv_head: int
    n_ff: int
    n_ctx: int
    n_vocab: int

    @property
    def head_dim(self):
        return self.n_embd // self.n_head


SHAPES = {
    "gpt2-124m": Shape("gpt2", 12, 768, 12, 12, 3072, 1024, 50257),
    "6x384": Shape("gpt2", 6, 384, 6, 6, 1536, 256, 256),
    "smollm2-135m": Shape("llama", 30, 576, 9, 3, 1536, 1024, 49152),
}

EPSILON = 1e-5
ROPE_THETA = 100000.0


def write(name, folder):
    """Writes `folder/checkpoint` and `folder/f32.gguf`."""
    shape = SHAPES[name]
    make = gpt2 if shape.family == "gpt2" else llama
    config, tensors, writer = make(shape, np.random.default_rng(0), folder / "f32.gguf")
    checkpoint = folder / "checkpoint"
    checkpoint.mkdir(parents=True, exist_ok=True)
    (checkpoint / "config.json").write_text(json.dumps(config, indent=1))
    save_safetensors(checkpoint / "model.safetensors", tensors)
    vocabulary(writer, shape.n_vocab)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def save_safetensors(path, tensors):
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).tobytes())


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)


def start(path, arch, shape):
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(shape.n_ctx)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layer)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_head)
    writer.add_head_count_kv(shape.n_kv_head)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    return writer


def gpt2(shape, rng, path):
    """GPT-2 with a head of its own, in Hugging Face's names; its matrices are `[in, out]` there."""
    writer = start(path, "gpt2", shape)
    writer.add_layer_norm_eps(EPSILON)
    tensors = {}

    def put(name, other, tensor, transposed=False):
        tensors[name] = tensor.T if transposed else tensor
        writer.add_tensor(other, tensor)

    def norm(name, other):
        put(f"{name}.weight", f"{other}.weight", 1 + normal(rng, shape.n_embd))
        put(f"{name}.bias", f"{other}.bias", normal(rng, shape.n_embd))

    def linear(name, other, n_out, n_in):
        put(f"{name}.weight", f"{other}.weight", normal(rng, n_out, n_in), transposed=True)
        put(f"{name}.bias", f"{other}.bias", normal(rng, n_out))

    put("transformer.wte.weight", "token_embd.weight", normal(rng, shape.n_vocab, shape.n_embd))
    put("transformer.wpe.weight", "position_embd.weight", normal(rng, shape.n_ctx, shape.n_embd))
    for layer in range(shape.n_layer):
        block, other = f"transformer.h.{layer}", f"blk.{layer}"
        norm(f"{block}.ln_1", f"{other}.attn_norm")
        linear(f"{block}.attn.c_attn", f"{other}.attn_qkv", 3 * shape.n_embd, shape.n_embd)
        linear(f"{block}.attn.c_proj", f"{other}.attn_output", shape.n_embd, shape.n_embd)
        norm(f"{block}.ln_2", f"{other}.ffn_norm")
        linear(f"{block}.mlp.c_fc", f"{other}.ffn_up", shape.n_ff, shape.n_embd)
        linear(f"{block}.mlp.c_proj", f"{other}.ffn_down", shape.n_embd, shape.n_ff)
    norm("transformer.ln_f", "output_norm")
    put("lm_head.weight", "output.weight", normal(rng, shape.n_vocab, shape.n_embd))
    config = {
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "layer_norm_epsilon": EPSILON,
        "n_ctx": shape.n_ctx,
        "n_positions": shape.n_ctx,
        "n_embd": shape.n_embd,
        "n_head": shape.n_head,
        "n_layer": shape.n_layer,
        "n_inner": shape.n_ff,
        "vocab_size": shape.n_vocab,
        "tie_word_embeddings": False,
    }
    return config, tensors, writer


def llama(shape, rng, path):
    """Llama with a tied head. GGUF has the rows of queries and keys in pairs that turn together."""
    writer = start(path, "llama", shape)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_rope_freq_base(ROPE_THETA)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_vocab_size(shape.n_vocab)
    tensors = {}

    def put(name, other, tensor, gguf_tensor=None):
        tensors[name] = tensor
        writer.add_tensor(other, tensor if gguf_tensor is None else gguf_tensor)

    def paired(tensor, heads):
        halves = tensor.reshape(heads, 2, shape.head_dim // 2, shape.n_embd)
        return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))

    put("model.embed_tokens.weight", "token_embd.weight", normal(rng, shape.n_vocab, shape.n_embd))
    for layer in range(shape.n_layer):
        block, other = f"model.layers.{layer}", f"blk.{layer}"
        put(f"{block}.input_layernorm.weight", f"{other}.attn_norm.weight", 1 + normal(rng, shape.n_embd))
        for name, gguf_name, heads in [("q", "q", shape.n_head), ("k", "k", shape.n_kv_head), ("v", "v", shape.n_kv_head)]:
            tensor = normal(rng, heads * shape.head_dim, shape.n_embd)
            turned = tensor if name == "v" else paired(tensor, heads)
            put(f"{block}.self_attn.{name}_proj.weight", f"{other}.attn_{gguf_name}.weight", tensor, turned)
        put(f"{block}.self_attn.o_proj.weight", f"{other}.attn_output.weight", normal(rng, shape.n_embd, shape.n_embd))
        put(f"{block}.post_attention_layernorm.weight", f"{other}.ffn_norm.weight", 1 + normal(rng, shape.n_embd))
        put(f"{block}.mlp.gate_proj.weight", f"{other}.ffn_gate.weight", normal(rng, shape.n_ff, shape.n_embd))
        put(f"{block}.mlp.up_proj.weight", f"{other}.ffn_up.weight", normal(rng, shape.n_ff, shape.n_embd))
        put(f"{block}.mlp.down_proj.weight", f"{other}.ffn_down.weight", normal(rng, shape.n_embd, shape.n_ff))
    put("model.norm.weight", "output_norm.weight", 1 + normal(rng, shape.n_embd))
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": shape.n_embd,
        "intermediate_size": shape.n_ff,
        "max_position_embeddings": shape.n_ctx,
        "num_attention_heads": shape.n_head,
        "num_hidden_layers": shape.n_layer,
        "num_key_value_heads": shape.n_kv_head,
        "rms_norm_eps": EPSILON,
        "rope_theta": ROPE_THETA,
        "tie_word_embeddings": True,
        "vocab_size": shape.n_vocab,
    }
    return config, tensors, writer


def byte_letters():
    """The letters that stand for the 256 bytes in byte-level vocabularies: the printable ones for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def vocabulary(writer, n_vocab):
    """A token for every byte, its id the byte; the others are there to be scored, and no text has them."""
    tokens = byte_letters() + [f"<|{i}|>" for i in range(256, n_vocab)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * n_vocab)
    writer.add_token_merges(["! !"] if n_vocab == 256 else ["< |"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)


def text(n_tokens, path, ids_path):
    """Random letters: as many tokens."""
    letters = np.random.default_rng(1).integers(ord("a"), ord("z") + 1, n_tokens)
    Path(path).write_bytes(bytes(letters.tolist()))
    Path(ids_path).write_text(json.dumps(letters.tolist()))
