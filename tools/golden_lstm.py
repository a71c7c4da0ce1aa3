#!/usr/bin/env python3
"""Prints what PyTorch computes for one LSTM layer with a linear read-out, as JSON: golden vectors for crates/learn.

    python3 tools/golden_lstm.py > crates/learn/tests/golden/lstm.json          # the committed file (seed 1)
    python3 tools/golden_lstm.py --seed 5 --inputs 38 --hidden 64 --outputs 38  # what the live comparison asks for

Tensors are flat, in the order of torch; `bias` is bias_ih_l0 + bias_hh_l0, and its gradient that of either. Inputs and
targets are steps x batch x width. The loss is half the mean squared error over all outputs. Needs torch (CPU).
"""
import argparse
import json

import torch


def flat(tensor):
    # Nine digits bring every f32 back bit for bit.
    return [float(f"{x:.9g}") for x in tensor.detach().flatten().tolist()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in [("seed", 1), ("inputs", 5), ("hidden", 20), ("outputs", 3), ("steps", 8), ("batch", 3)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    lstm = torch.nn.LSTM(args.inputs, args.hidden)
    out = torch.nn.Linear(args.hidden, args.outputs)
    inputs = torch.randn(args.steps, args.batch, args.inputs)
    targets = torch.randn(args.steps, args.batch, args.outputs)
    states, (hidden, cell) = lstm(inputs)
    outputs = out(states)
    loss = 0.5 * ((outputs - targets) ** 2).mean()
    loss.backward()
    tensors = [lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, out.weight, out.bias]
    values = [t.detach() for t in tensors]
    values[2] = values[2] + lstm.bias_hh_l0.detach()
    names = ["weight_ih_l0", "weight_hh_l0", "bias", "out_weight", "out_bias"]
    print(json.dumps({
        "torch": torch.__version__,
        "inputs": args.inputs, "hidden": args.hidden, "outputs": args.outputs,
        "steps": args.steps, "batch": args.batch,
        "weights": {name: flat(value) for name, value in zip(names, values)},
        "gradients": {name: flat(tensor.grad) for name, tensor in zip(names, tensors)},
        "x": flat(inputs), "targets": flat(targets), "y": flat(outputs),
        "hidden_state": flat(hidden), "cell_state": flat(cell), "loss": float(loss.detach()),
    }))


if __name__ == "__main__":
    main()
