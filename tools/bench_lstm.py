#!/usr/bin/env python3
"""Foretwin's LSTM beside PyTorch's, on one pinned core, in one run: a table of medians and ratios.

    cargo build --release -p foretwin-learn --example lstm_cost --example seven_days
    python3 tools/bench_lstm.py [--core 0] [--fleet 100000] [--week] [--smd DATA/smd]

38 inputs, hidden 64, 38 outputs. Training: forward, backward and Adam on 64 windows of 100 steps with a loss at every
step (for both), then with batches of 16 x 32. Processor time of one thread, medians; the fleet alone is wall time of
two threads and is not pinned. PyTorch is measured before and after Foretwin and the better of both counts for it.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "target" / "release" / "examples"
REPETITIONS = 7
INPUTS, HIDDEN, OUTPUTS = 38, 64, 38


def median_s(work):
    work()
    times = []
    for _ in range(REPETITIONS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def torch_training(torch, batch, steps):
    lstm, out = torch.nn.LSTM(INPUTS, HIDDEN), torch.nn.Linear(HIDDEN, OUTPUTS)
    adam = torch.optim.Adam([*lstm.parameters(), *out.parameters()], lr=1e-3)
    x, y = torch.randn(steps, batch, INPUTS), torch.randn(steps, batch, OUTPUTS)
    rounds = max(64 * 100 * 5 // (batch * steps), 1)

    def work():
        for _ in range(rounds):
            adam.zero_grad()
            loss = 0.5 * ((out(lstm(x)[0]) - y) ** 2).mean()
            loss.backward()
            adam.step()

    return rounds * batch * steps / 100 / median_s(work)


def torch_step(torch):
    lstm, out, x = torch.nn.LSTM(INPUTS, HIDDEN), torch.nn.Linear(HIDDEN, OUTPUTS), torch.randn(1, 1, INPUTS)
    count = 2000

    def work():
        state = None
        with torch.inference_mode():
            for _ in range(count):
                states, state = lstm(x, state)
                out(states)

    return median_s(work) / count * 1e6


def torch_numbers():
    """Runs in a process of its own, so that ATEN_CPU_CAPABILITY and its like can be set."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(1)
    print("train_64x100", torch_training(torch, 64, 100))
    print("train_16x32", torch_training(torch, 16, 32))
    print("step", torch_step(torch))


def lines(command, **environment):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **environment}
    text = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    return [line.split() for line in text.splitlines()]


def numbers(command, **environment):
    return {words[0]: float(words[1]) for words in lines(command, **environment)}


def row(name, theirs, ours, better):
    ratio = ours / theirs if better == "more" else theirs / ours
    print(f"| {name} | {theirs:.5g} | {ours:.5g} | {ratio:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=int, help="pin to this core (default: the first that is allowed)")
    parser.add_argument("--fleet", type=int, default=0, help="instances with weights of their own (58 KB each)")
    parser.add_argument("--week", action="store_true", help="a simulated week at 1 Hz (two minutes)")
    parser.add_argument("--smd", help="directory of *.train.parquet")
    parser.add_argument("--torch-numbers", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch_numbers:
        return torch_numbers()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {args.core if args.core is not None else min(allowed)})
    torch = [sys.executable, __file__, "--torch-numbers"]
    avx2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
    before, slower = numbers(torch), numbers(torch, **avx2)
    ours = numbers([EXAMPLES / "lstm_cost", "train", "step"])
    after = numbers(torch)
    best = {name: (min if name == "step" else max)(before[name], after[name]) for name in before}
    print("| one core | PyTorch | Foretwin | ratio |\n|---|---|---|---|")
    for name in ["train_64x100", "train_16x32"]:
        for level in ["avx512", "avx2", "portable"]:
            if f"{name}_{level}" in ours:
                row(f"{name}, windows/s, {level}", best[name], ours[f"{name}_{level}"], "more")
        if f"{name}_avx2" in ours:
            row(f"{name}, windows/s, avx2, PyTorch held to it too", slower[name], ours[f"{name}_avx2"], "more")
    for form in ["stored", "packed", "bf16"]:
        for level in ["avx512", "avx2", "portable"]:
            if f"step_{form}_{level}" in ours:
                row(f"step, us, {form}, {level}", best["step"], ours[f"step_{form}_{level}"], "less")
    sys.stdout.flush()
    if args.week:
        subprocess.run([EXAMPLES / "seven_days", "week"], check=True)
    if args.smd:
        subprocess.run([EXAMPLES / "seven_days", args.smd], check=True)
    if args.fleet:
        os.sched_setaffinity(0, allowed)
        subprocess.run([EXAMPLES / "lstm_cost", f"fleet={args.fleet}"], check=True)


if __name__ == "__main__":
    main()
