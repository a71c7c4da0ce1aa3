#!/usr/bin/env python3
"""Loads a model that Foretwin exported, in PyTorch, and predicts the same numbers.

    foretwin models export web-1 7 --out model.safetensors
    foretwin models vectors web-1 7 --out vectors.json
    python load_model.py model.safetensors vectors.json     # says how far both are apart

Needs torch and safetensors. Stands for docs/methods.md: what is done with a frame, in one page.
"""

import json
import math
import sys

import torch
from safetensors import safe_open

GAP_STEPS = 3.5  # a longer pause ends the past
ABSENT_FADE = 0.9  # what stays of a value, each frame that its metric is missing
LARGEST = 1e6  # standardised numbers beyond this say nothing more
DAY_US = 86_400_000_000
DEBIAS = 0.001  # weight of the newest frame in how far an expectation has been off lately
ORDINARY = 3.0  # surprises beyond this many deviations teach the bias no more than one of this size


class Model:
    """A forecaster of one schema. `expect` takes frames one by one."""

    def __init__(self, path):
        with safe_open(path, "pt") as file:
            self.metadata = file.metadata()
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}
        assert self.metadata["format"] == "foretwin.model" and self.metadata["format_version"] == "2"
        self.header = json.loads(self.metadata["header"])
        self.features = self.header["recipe"]["features"]
        self.shape = self.header["shape"]  # lags, targets, inputs, joint: columns of the schema
        self.network = self.header["recurrent"]  # size, inputs, daily, outputs; None: linear only
        if self.network:
            size = self.network["size"]
            self.lstm = torch.nn.LSTM(size["inputs"], size["hidden"])
            self.head = torch.nn.Linear(size["hidden"], size["outputs"])
            for name, module in ("lstm.", self.lstm), ("head.", self.head):
                own = {key.removeprefix(name): t for key, t in self.tensors.items() if key.startswith(name)}
                module.load_state_dict(own)  # the names are torch's
        self.start()

    def start(self):
        """Forgets everything."""
        self.newest, self.readings = None, [None] * len(self.features)
        self.past = [torch.zeros(len(self.features)) for _ in range(self.shape["lags"])]
        self.bias = torch.zeros(len(self.shape["targets"]))
        self.forget()

    def forget(self):
        """What came before a gap explains nothing after it."""
        self.age, self.memory, self.correction = 0, None, None

    def standardised(self, time_us, frame):
        """A frame on the common scale, NaN where missing: counters as rates, levels as shares of their limits."""
        z = []
        for column, feature in enumerate(self.features):
            kind, value = kind_of(feature["transform"]), frame[column]
            number = math.nan if value is None else float(value)
            if kind == "ratio":
                limit = frame[feature["transform"]["ratio"]["limit"]]
                number = number / limit if limit is not None and limit > 0 else math.nan
            elif kind in ("rate", "log_rate"):
                number = self.rate(column, time_us, value)
                if kind == "log_rate":
                    number = math.log1p(number / feature["transform"]["log_rate"]["unit"])
            number = (number - feature["center"]) / feature["scale"]
            z.append(min(max(number, -LARGEST), LARGEST) if math.isfinite(number) else math.nan)
        return torch.tensor(z, dtype=torch.float32)

    def rate(self, column, time_us, value):
        """A counter's growth per second since it was last read. A fall is a reset, and says nothing."""
        if value is None:
            return math.nan
        last, self.readings[column] = self.readings[column], (time_us, value)
        if last is None or time_us <= last[0] or value < last[1]:
            return math.nan
        return (value - last[1]) / ((time_us - last[0]) / 1e6)

    def linear(self):
        """What the linear part expects next, per target."""
        lags, targets = self.shape["lags"], self.shape["targets"]
        own = torch.stack([row[targets] for row in self.past] + [torch.ones(len(targets))], 1)
        mean = self.past[0][targets] + (own * self.tensors["skip.own"]).sum(1)
        if self.shape["joint"]:
            inputs = torch.cat([row[self.shape["inputs"]] for row in self.past] + [torch.ones(1)])
            mean[self.shape["joint"]] += inputs @ self.tensors["skip.others"]
        return mean

    def repeating(self, time_us):
        """What repeats, as a day does, per column at a moment: it is taken from every sample before all else."""
        offset, cycle = torch.zeros(len(self.features)), self.header.get("cycle")
        if cycle:
            bins, period_us = cycle["bins"], cycle["period_s"] * 1e6
            place = time_us % period_us / period_us * bins - 0.5
            before = math.floor(place)
            a, b = (self.tensors["cycle"][n % bins] for n in (before, before + 1))
            offset[cycle["columns"]] = a + (b - a) * (place - before)
        return offset

    def usual(self, time_us):
        """Shift and widening of surprises by the clock, per target; of day and week the wider."""
        shift, widening = torch.zeros(len(self.bias)), torch.ones(len(self.bias))
        for cycle in (self.header.get("rhythm") or {"cycles": []})["cycles"]:
            interval = time_us % cycle["length_us"] // max(cycle["length_us"] // cycle["intervals"], 1)
            for effect in dict(cycle["effects"]).get(interval, []):
                if effect["widening"] >= widening[effect["target"]]:
                    shift[effect["target"]] = effect["shift"]
                    widening[effect["target"]] = effect["widening"]
        return shift, widening

    def seen(self, time_us):
        """What the network sees of the newest row."""
        seen = self.past[0][self.network["inputs"]].clamp(-4, 4)
        if self.network["daily"]:
            turn = 2 * math.pi * (time_us % DAY_US) / DAY_US
            seen = torch.cat([seen, torch.tensor([math.sin(turn), math.cos(turn)], dtype=torch.float32)])
        return seen

    def expect(self, time_us, frame):
        """What was expected of this frame by those before, per target, on the common scale; None while there are too few.
        Then takes the frame."""
        if self.newest is None or (time_us - self.newest) / 1e6 / self.header["step_s"] > GAP_STEPS:
            self.forget()
        self.newest = time_us
        offset, mean = self.repeating(time_us), None
        z, targets = self.standardised(time_us, frame) - offset, self.shape["targets"]
        if self.age >= self.shape["lags"]:
            mean = self.linear() + self.bias
            if self.correction is not None:
                # An output that serves no metric stands at the first one, and is worth nothing.
                mean.index_add_(0, torch.tensor(self.network["outputs"]), self.correction * self.tensors["unit"])
            (shift, widening), deviation = self.usual(time_us), self.tensors["deviation"]
            surprise = ((z[targets] - mean) / deviation - shift) / widening
            self.bias = self.bias + DEBIAS * surprise.clamp(-ORDINARY, ORDINARY).nan_to_num(0.0) * deviation
            mean = mean + offset[targets] + shift * deviation
        self.past = [torch.where(z.isnan(), ABSENT_FADE * self.past[0], z)] + self.past[:-1]
        self.age += 1
        if self.network:
            with torch.no_grad():
                output, self.memory = self.lstm(self.seen(time_us)[None], self.memory)
                self.correction = self.head(output[0])
        return mean

    def in_unit(self, column, z, frame):
        """A number of the common scale in the metric's own unit, per second for counters."""
        feature = self.features[column]
        kind, number = kind_of(feature["transform"]), feature["center"] + z * feature["scale"]
        if kind == "ratio":
            limit = frame[feature["transform"]["ratio"]["limit"]]
            return math.nan if limit is None else number * limit
        if kind == "rate":
            return max(number, 0.0)
        if kind == "log_rate":
            return feature["transform"]["log_rate"]["unit"] * math.expm1(min(max(number, 0.0), 60.0))
        return number

    def from_unit(self, column, value, frame):
        """The way back: differences are compared on the common scale, where one is ordinary."""
        feature = self.features[column]
        kind = kind_of(feature["transform"])
        if kind == "ratio":
            value = value / frame[feature["transform"]["ratio"]["limit"]]
        if kind == "log_rate":
            value = math.log1p(value / feature["transform"]["log_rate"]["unit"])
        return (value - feature["center"]) / feature["scale"]


def kind_of(transform):
    """A transform is a name, or a name with a setting."""
    return transform if isinstance(transform, str) else next(iter(transform))


def difference(model, vectors):
    """The largest difference to what Foretwin expected of the same frames, on the common scale, and of how many numbers."""
    largest, count = 0.0, 0
    for time_us, frame, expected in zip(vectors["times_us"], vectors["frames"], vectors["expected"]):
        mean = model.expect(time_us, frame)
        for target, column in enumerate(model.shape["targets"]):
            if (mean is None) != (expected[column] is None):
                raise SystemExit(f"only one of both expects metric {column} at {time_us}")
            if mean is not None:
                ours = model.in_unit(column, mean[target].item(), frame)
                ours, theirs = (model.from_unit(column, x, frame) for x in (ours, expected[column]))
                largest, count = max(largest, abs(ours - theirs)), count + 1
    return largest, count


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with open(sys.argv[2]) as file:
        largest, count = difference(Model(sys.argv[1]), json.load(file))
    print(f"{count} expectations, largest difference {largest:.2e}")
    raise SystemExit(0 if count and largest < 1e-5 else 1)
