"""Runs Emberlm and llama.cpp in turn on the same targets, and prints medians of the ratios."""

import argparse
import json
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

import models

# Windows of the model's context that are scored, in llama.cpp's way: the second half of each.
WINDOWS = 4

FORMATS = {"q8": "Q8_0", "q4": "Q4_0"}


def run(command):
    """Seconds, peak MiB and output of a whole process."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.stdout.read()
    # Its own usage: getrusage would give the greatest of all children's.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if status != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{output[-2000:]}")
    return seconds, usage.ru_maxrss / 1024, output


def prepare(name, args):
    folder = args.work / name
    shape = models.SHAPES[name]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "f32.gguf").exists():
        print(f"writing {name}", flush=True)
        models.write(name, folder)
        models.text(WINDOWS * shape.n_ctx, folder / "text", folder / "ids.json")
    for weights, other in FORMATS.items():
        if not (folder / f"{other}.gguf").exists():
            # Every matrix in the one format, as in the blobs.
            run([args.llama / "llama-quantize", "--pure", folder / "f32.gguf", folder / f"{other}.gguf", other])
        for activations in ["i16", "i8"]:
            blob = folder / f"{weights}-{activations}.blob"
            if not blob.exists():
                run([args.emberlm, "convert", folder / "checkpoint", "-o", blob, "--weights", weights,
                     "--activations", activations, "--calibrate", "none"])
    return folder, shape


def losses(folder, shape, args):
    """The same targets by both, in turn."""
    for weights, other in FORMATS.items():
        theirs = [args.llama / "llama-perplexity", "-m", folder / f"{other}.gguf", "-f", folder / "text",
                  "-c", str(shape.n_ctx), "-t", str(args.threads)]
        ours = {
            activations: [args.emberlm, "eval", folder / f"{weights}-{activations}.blob", "--tokens", folder / "ids.json",
                          "--convention", "llamacpp", "--threads", str(args.threads), *args.kernel]
            for activations in ["i16", "i8"]
        }
        seconds, memory, ppl = {}, {}, {}
        for round in range(args.rounds + 1):
            for who, command in [("llama.cpp", theirs), *ours.items()]:
                taken, peak, output = run(command)
                # The first round reads the files.
                if round > 0:
                    seconds.setdefault(who, []).append(taken)
                    memory[who] = max(peak, memory.get(who, 0))
                found = re.search(r"PPL = ([0-9.]+)|perplexity +([0-9.]+)", output)
                ppl[who] = float(found.group(1) or found.group(2))
        median = statistics.median
        print(f"  {other:5} llama.cpp        {median(seconds['llama.cpp']):7.2f} s  {memory['llama.cpp']:6.0f} MiB"
              f"                       perplexity {ppl['llama.cpp']:.0f}")
        for activations in ours:
            ratio = median(a / b for a, b in zip(seconds["llama.cpp"], seconds[activations]))
            print(f"  {weights:5} {activations} activations {median(seconds[activations]):7.2f} s"
                  f"  {memory[activations]:6.0f} MiB  {ratio:5.2f} times as fast  perplexity {ppl[activations]:.0f}", flush=True)


def decoding(folder, shape, args):
    """Tokens one after another behind half a context of up to 128."""
    behind = min(128, shape.n_ctx // 2)
    count = min(64, shape.n_ctx - behind)
    for weights, other in FORMATS.items():
        rates = {}
        for _ in range(args.rounds):
            _, _, output = run([args.llama / "llama-bench", "-m", folder / f"{other}.gguf", "-t", str(args.threads), "-p", "0",
                                "-n", str(count), "-d", str(behind), "-r", "3", "-o", "json"])
            rates.setdefault("llama.cpp", []).append(json.loads(output[output.index("["):])[0]["avg_ts"])
            for activations in ["i16", "i8"]:
                _, _, output = run([args.emberlm, "bench", folder / f"{weights}-{activations}.blob", "--prompt", str(behind),
                                    "--generate", str(count), "--rounds", "3", "--threads", str(args.threads), "--json",
                                    *args.kernel])
                report = json.loads(output)
                rates.setdefault(activations, []).append(report["generate"]["tokens_per_second"])
                rates.setdefault("reading", []).append(report["generate"]["share_of_reading"])
        median = statistics.median
        print(f"  {other:5} llama.cpp        {median(rates['llama.cpp']):7.1f} tokens/s")
        for activations in ["i16", "i8"]:
            ratio = median(b / a for a, b in zip(rates["llama.cpp"], rates[activations]))
            print(f"  {weights:5} {activations} activations {median(rates[activations]):7.1f} tokens/s  {ratio:5.2f} times as fast,"
                  f" {100 * median(rates['reading']):.0f} % of the rate of reading", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--llama", type=Path, required=True)
    parser.add_argument("--emberlm", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--avx2", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("models", nargs="*", default=[])
    args = parser.parse_args()
    args.kernel = ["--kernel", "avx2"] if args.avx2 else []
    for name in args.models or models.SHAPES:
        folder, shape = prepare(name, args)
        print(f"{name}, {args.threads} threads: {WINDOWS} windows of {shape.n_ctx} tokens, second halves scored", flush=True)
        losses(folder, shape, args)
        print(f"{name}, {args.threads} threads: tokens one by one", flush=True)
        decoding(folder, shape, args)


if __name__ == "__main__":
    main()
