"""Trains a byte-level BPE tokeniser on the part of a text that train.py trains on.

    python train_tokenizer.py --text TEXT --out FOLDER [--n-vocab 512]

Writes vocab.json, merges.txt and tokenizer.json. Needs tokenizers.
"""

import argparse
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer

TRAIN_SHARE = 0.9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n-vocab", type=int, default=512)
    args = parser.parse_args()

    text = args.text.read_text()
    train = text[: int(TRAIN_SHARE * len(text))]
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(train.splitlines(keepends=True), vocab_size=args.n_vocab, min_frequency=2)
    tokenizer.save_model(str(args.out))
    tokenizer.save(str(args.out / "tokenizer.json"))
    print(f"{len(tokenizer.encode(text).ids)} tokens for {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
