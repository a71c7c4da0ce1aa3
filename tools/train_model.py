#!/usr/bin/env python3
"""Trains the LSTM of an exported model in PyTorch, for Foretwin to serve.

    foretwin models export web-1 7 --out model.safetensors
    foretwin models vectors web-1 7 --rows 20000 --out frames.json
    python train_model.py model.safetensors frames.json trained.safetensors --epochs 20
    foretwin models import web-1 trained.safetensors --promote

Goes on with the weights that are there; with --hidden, or for a model that has none, begins anew. The linear part, the
deviations and the threshold stay as they are. Needs torch and safetensors.
"""

import argparse
import copy
import json

import torch
from load_model import Model
from safetensors.torch import save_file

WILD = 4.0  # surprises beyond this many deviations teach nothing
SEGMENT = 32  # frames through which gradients flow
BATCH = 16  # segments side by side


def series(model, vectors):
    """What the network sees of each frame, and what the linear part leaves of the next, in units."""
    outputs = [model.shape["targets"][target] for target in model.network["outputs"]]
    inputs, targets, last = [], [], None
    for time_us, frame in zip(vectors["times_us"], vectors["frames"]):
        linear = model.linear() if model.age >= model.shape["lags"] else None
        age = model.age
        # Without the network: `expect` moves the past on.
        network, model.network = model.network, None
        model.expect(time_us, frame)
        model.network = network
        z = model.past[0]
        if last is not None and linear is not None and model.age == age + 1:
            left = z[outputs] - linear[model.network["outputs"]]
            inputs.append(last)
            targets.append((left / model.tensors["unit"]).clamp(-WILD, WILD))
        last = model.seen(time_us)
    return torch.stack(inputs), torch.stack(targets)


def renew(model, hidden):
    """A network that changes nothing yet, for all targets."""
    width, outputs = len(model.shape["inputs"]), len(model.shape["targets"])
    model.network = {
        "size": {"inputs": width, "hidden": hidden, "outputs": outputs},
        "inputs": model.shape["inputs"],
        "daily": False,
        "outputs": list(range(outputs)),
    }
    model.lstm, model.head = torch.nn.LSTM(width, hidden), torch.nn.Linear(hidden, outputs)
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    model.tensors["unit"] = model.tensors["deviation"].clone()


def error(model, inputs, targets):
    """Mean squared error of the network over a stretch."""
    with torch.no_grad():
        return torch.nn.functional.mse_loss(model.head(model.lstm(inputs)[0]), targets).item()


def train(model, inputs, targets, epochs):
    """Truncated back-propagation through time over parallel segments; keeps the weights of the least held-out error."""
    split = len(inputs) * 4 // 5
    steps = split // BATCH
    x = inputs[: BATCH * steps].view(BATCH, steps, -1).transpose(0, 1)
    y = targets[: BATCH * steps].view(BATCH, steps, -1).transpose(0, 1)
    parameters = [*model.lstm.parameters(), *model.head.parameters()]
    adam = torch.optim.Adam(parameters, lr=4e-3)
    before = best = error(model, inputs[split:], targets[split:])
    kept = copy.deepcopy((model.lstm.state_dict(), model.head.state_dict()))
    for _ in range(epochs):
        memory = None
        for start in range(0, steps, SEGMENT):
            output, memory = model.lstm(x[start : start + SEGMENT], memory)
            loss = torch.nn.functional.mse_loss(model.head(output), y[start : start + SEGMENT])
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            adam.step()
            memory = tuple(part.detach() for part in memory)
        now = error(model, inputs[split:], targets[split:])
        if now < best:
            best, kept = now, copy.deepcopy((model.lstm.state_dict(), model.head.state_dict()))
    model.lstm.load_state_dict(kept[0])
    model.head.load_state_dict(kept[1])
    return before, best


def save(model, path, before, after):
    """Writes the layout that Foretwin imports: torch's names, and the two texts."""
    tensors = {name: t for name, t in model.tensors.items() if not name.startswith(("lstm.", "head."))}
    for name, module in ("lstm.", model.lstm), ("head.", model.head):
        tensors |= {name + key: t.detach().float().contiguous() for key, t in module.state_dict().items()}
    header = model.header | {"recurrent": model.network}
    provenance = json.loads(model.metadata["provenance"])
    provenance["parent"] = header["version"]
    provenance["reason"] = "trained in PyTorch"
    provenance["held_out"] = {"LSTM error before": before, "LSTM error after": after}
    texts = {"header": json.dumps(header), "provenance": json.dumps(provenance)}
    save_file(tensors, path, model.metadata | texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("frames", help="as `foretwin models vectors` writes them")
    parser.add_argument("out")
    parser.add_argument("--hidden", type=int, help="begin anew with this width")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = Model(args.model)
    if args.hidden or not model.network:
        renew(model, args.hidden or 32)
    with open(args.frames) as file:
        inputs, targets = series(model, json.load(file))
    if len(inputs) < BATCH * SEGMENT * 5 // 4:
        raise SystemExit(f"{len(inputs)} usable frames are too few; ask for more with --rows")
    before, after = train(model, inputs, targets, args.epochs)
    save(model, args.out, before, after)
    print(f"held-out error {before:.5f} before, {after:.5f} after; {args.out} can be imported")


if __name__ == "__main__":
    main()
