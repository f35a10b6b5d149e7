"""Trains a small GPT-2 on a text and saves it as a Hugging Face checkpoint.

    python train.py --text TEXT --out FOLDER [--tokenizer FOLDER]

Without --tokenizer every character of the text is a token, and chars.json lists them by id.
The first 90 % of the characters train, the rest validates; the checkpoint with the lowest
validation loss is kept. Needs torch and transformers, and tokenizers for --tokenizer.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

TRAIN_SHARE = 0.9
WARM_UP_STEPS = 100
FINAL_LR_SHARE = 0.1
WEIGHT_DECAY = 0.1
STEPS_PER_VALIDATION = 250


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, help="folder with a tokenizer.json")
    parser.add_argument("--n-layer", type=int, default=4)
    parser.add_argument("--n-head", type=int, default=4)
    parser.add_argument("--n-embd", type=int, default=128)
    parser.add_argument("--n-ctx", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1337)
    return parser.parse_args()


def load_data(args):
    """Token ids of the training and of the validation part, n_vocab, and the characters if those are the tokens."""
    text = args.text.read_text()
    cut = int(TRAIN_SHARE * len(text))
    if args.tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
        train, validation = (torch.tensor(tokenizer.encode(part).ids) for part in (text[:cut], text[cut:]))
        return train, validation, tokenizer.get_vocab_size(), None
    chars = sorted(set(text))
    id_of = {char: i for i, char in enumerate(chars)}
    ids = torch.tensor([id_of[char] for char in text])
    return ids[:cut], ids[cut:], len(chars), chars


def new_model(args, n_vocab):
    config = GPT2Config(
        vocab_size=n_vocab, n_positions=args.n_ctx, n_embd=args.n_embd, n_layer=args.n_layer, n_head=args.n_head,
        resid_pdrop=args.dropout, embd_pdrop=args.dropout, attn_pdrop=args.dropout,
        bos_token_id=None, eos_token_id=None,
    )
    return GPT2LMHeadModel(config)


def new_optimiser(model, lr):
    """AdamW; only matrices decay."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99))


def lr_at(step, args):
    """A linear warm-up, then a cosine down to a tenth."""
    warm_up = min(1.0, (step + 1) / WARM_UP_STEPS)
    cosine = 0.5 * (1 + math.cos(math.pi * step / args.steps))
    return args.lr * warm_up * (FINAL_LR_SHARE + (1 - FINAL_LR_SHARE) * cosine)


def random_batch(ids, args):
    starts = torch.randint(len(ids) - args.n_ctx - 1, (args.batch,))
    rows = torch.stack([ids[start : start + args.n_ctx + 1] for start in starts])
    return rows[:, :-1], rows[:, 1:]


def loss_of(model, inputs, targets):
    logits = model(inputs).logits
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


@torch.no_grad()
def validation_loss(model, ids, n_ctx):
    """Mean loss over disjoint rows of n_ctx + 1 tokens."""
    model.eval()
    n_rows = len(ids) // (n_ctx + 1)
    rows = ids[: n_rows * (n_ctx + 1)].view(n_rows, n_ctx + 1)
    total = sum(loss_of(model, part[:, :-1], part[:, 1:]).item() * len(part) for part in rows.split(64))
    model.train()
    return total / n_rows


def main():
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    train, validation, n_vocab, chars = load_data(args)
    model = new_model(args, n_vocab)
    model.train()
    optimiser = new_optimiser(model, args.lr)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)

    best, started = math.inf, time.monotonic()
    for step in range(args.steps + 1):
        if step % STEPS_PER_VALIDATION == 0:
            loss = validation_loss(model, validation, args.n_ctx)
            print(f"step {step}: validation loss {loss:.4f}, {time.monotonic() - started:.0f} s", flush=True)
            if loss < best:
                best = loss
                model.save_pretrained(args.out)
                if chars:
                    (args.out / "chars.json").write_text(json.dumps(chars))
        for group in optimiser.param_groups:
            group["lr"] = lr_at(step, args)
        loss = loss_of(model, *random_batch(train, args))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    print(f"best validation loss {best:.4f}")


if __name__ == "__main__":
    main()
