#!/usr/bin/env python3
"""Scores detectors on the files of the Numenta Anomaly Benchmark that are at hand, by NAB's published definition.

    python tools/score_nab.py RESULTS --labels NAB/labels/combined_windows.json [--detectors a,b] [--files all]

RESULTS is a directory of results in NAB's layout, `DETECTOR/GROUP/DETECTOR_FILE.csv`, with the columns `timestamp`
and `anomaly_score`; or, with --name DETECTOR, the directory of one detector, `GROUP/DETECTOR_FILE.csv`. Several
RESULTS may be given. All detectors are scored on the same files: those that every one of them has (with --data DIR,
only those that lie there).

The definition (Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark",
ICMLA 2015; constants as in NAB 1.1):

- the first 15 % of a file, at most 750 rows, are probationary and not scored;
- a window that is detected earns the weight of its earliest detection, sigma(y) / sigma(-1), where y is the position
  from -1 at its first row to 0 behind its last, and sigma(y) = 2 / (1 + exp(5 y)) - 1; one that is missed costs A_FN;
- every detected row outside costs A_FP, less where it closely follows a window (by sigma again, y counted in widths of
  that window);
- one threshold for all files and each profile, chosen to give the detector its best total (NAB tunes it on its labels);
- 100 (total - null) / (perfect - null): null detects nothing, perfect detects every window at its first row.

Besides that `fixed` is the score at a threshold given by --threshold, and `held out` chooses the threshold for each
group of files on the other groups. Needs numpy only.
"""

import argparse
import csv
import json
import math
import os
import sys

import numpy as np

PROFILES = {"standard": (0.11, 1.0), "reward_low_FP_rate": (0.22, 1.0), "reward_low_FN_rate": (0.11, 2.0)}


def sigma(y):
    """The scaled sigmoid; far behind a window every row costs the same."""
    return -1.0 if y > 3.0 else 2.0 / (1.0 + math.exp(5.0 * y)) - 1.0


def read(path):
    """Timestamps without fractions of seconds, and scores."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    times = [row["timestamp"].split(".")[0] for row in rows]
    return times, np.array([float(row["anomaly_score"]) for row in rows])


def geometry(times, windows):
    """Of each row: its window (-1 outside, -2 on probation), and its unweighted worth."""
    rows = len(times)
    place, worth = np.full(rows, -1), np.full(rows, -1.0)
    first = {}
    for row, time in enumerate(times):
        first.setdefault(time, row)
    ends = []
    for number, (start, end) in enumerate(windows):
        left, right = first[start.split(".")[0]], first[end.split(".")[0]]
        width = right - left + 1
        for row in range(left, right + 1):
            place[row], worth[row] = number, sigma(-(right - row + 1) / width) / sigma(-1.0)
        ends.append((right, width))
    for number, (right, width) in enumerate(ends):
        until = first[windows[number + 1][0].split(".")[0]] if number + 1 < len(ends) else rows
        for row in range(right + 1, until):
            worth[row] = sigma((row - right) / max(width - 1.0, 1.0))
    place[: math.ceil(min(math.floor(0.15 * rows), 0.15 * 5000))] = -2
    return place, worth


class Sweep:
    """Totals of pooled files at every threshold."""

    def __init__(self, files, fp_weight, fn_weight):
        """`files`: (scores, place, worth) each."""
        self.windows = sum(max(0, int(place.max()) + 1) for _, place, _ in files)
        self.null = -fn_weight * self.windows
        scores, gains = [], []
        for score, place, worth in files:
            outside = place == -1
            scores.append(score[outside])
            gains.append(worth[outside] * fp_weight)
            for window in range(int(place.max()) + 1):
                inside = np.flatnonzero(place == window)
                inside = inside[np.argsort(-score[inside], kind="stable")]
                best = np.maximum.accumulate(np.maximum(worth[inside], -fn_weight))
                scores.append(score[inside])
                gains.append(np.diff(best, prepend=-fn_weight))
        scores, gains = np.concatenate(scores), np.concatenate(gains)
        order = np.argsort(-scores, kind="stable")
        scores, total = scores[order], self.null + np.cumsum(gains[order])
        last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
        self.thresholds, self.totals = scores[last], total[last]

    def best(self):
        """The threshold with the largest total; infinite where it is best to be silent."""
        at = int(np.argmax(self.totals))
        return self.thresholds[at] if self.totals[at] > self.null else math.inf

    def total(self, threshold):
        """The total where scores of `threshold` and above are detections."""
        below = np.searchsorted(-self.thresholds, -threshold, side="right")
        return self.totals[below - 1] if below else self.null

    def normalised(self, total):
        return 100.0 * (total - self.null) / (self.windows - self.null)


def held_out(files, groups, weights):
    """The normalised score with the threshold of each group chosen on the other groups."""
    total = 0.0
    for group in sorted(set(groups)):
        others = [file for file, g in zip(files, groups) if g != group]
        own = [file for file, g in zip(files, groups) if g == group]
        total += Sweep(own, *weights).total(Sweep(others, *weights).best())
    everything = Sweep(files, *weights)
    return everything.normalised(total)


def gather(results, name):
    """{detector: {GROUP/FILE.csv: path}} below a directory of results."""
    found = {}
    for folder, _, files in os.walk(results):
        parts = os.path.relpath(folder, results).split(os.sep)
        detector, group = (name, parts[-1]) if name else (parts[0], parts[-1])
        for file in files:
            prefix = detector + "_"
            if group not in (".", detector) and file.startswith(prefix) and file.endswith(".csv"):
                found.setdefault(detector, {})[f"{group}/{file[len(prefix):]}"] = os.path.join(folder, file)
    return found


def load(paths, names, windows):
    return [(scores, *geometry(times, windows[name])) for name in names for times, scores in [read(paths[name])]]


def report(detector, names, files, threshold):
    """One line per detector."""
    groups = [name.split("/")[0] for name in names]
    cells = []
    for profile, weights in PROFILES.items():
        sweep = Sweep(files, *weights)
        best = sweep.best()
        cells.append(sweep.normalised(sweep.total(best)))
        cells.append(held_out(files, groups, weights))
        if profile == "standard":
            at = best
            fixed = sweep.normalised(sweep.total(threshold)) if threshold is not None else math.nan
    numbers = " ".join(f"{cell:9.2f}" for cell in cells)
    print(f"{detector:18s} {numbers} {at:10.6f} {fixed:9.2f}")


def per_file(names, files):
    """Every file at the threshold that is best for all, standard profile."""
    at = Sweep(files, *PROFILES["standard"]).best()
    for name, (score, place, worth) in zip(names, files):
        found = score >= at
        caught = sum(found[place == n].any() for n in range(int(place.max()) + 1))
        sweep = Sweep([(score, place, worth)], *PROFILES["standard"])
        print(f"  {name:60s} {sweep.total(at):7.2f}  {caught} of {int(place.max()) + 1} windows, "
              f"{int((found & (place == -1)).sum())} rows outside")


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("results", nargs="+")
    ask.add_argument("--labels", required=True, help="combined_windows.json of NAB")
    ask.add_argument("--name", help="RESULTS (the last) is the directory of this one detector")
    ask.add_argument("--detectors", help="only these, separated by commas")
    ask.add_argument("--data", help="NAB's data directory: only files that are there")
    ask.add_argument("--threshold", type=float, help="also score at this threshold")
    ask.add_argument("--per-file", action="store_true")
    args = ask.parse_args()
    with open(args.labels) as file:
        windows = json.load(file)
    found = {}
    for number, results in enumerate(args.results):
        found.update(gather(results, args.name if number + 1 == len(args.results) else None))
    if args.detectors:
        found = {name: found[name] for name in args.detectors.split(",") if name in found}
    if not found:
        sys.exit("no results in NAB's layout")
    names = sorted(set.intersection(*(set(paths) for paths in found.values())) & set(windows))
    if args.data:
        names = [name for name in names if os.path.isfile(os.path.join(args.data, name))]
    print(f"{len(names)} files, {sum(len(windows[name]) for name in names)} windows")
    print(f"{'':18s} {'standard':>9s} {'held out':>9s} {'low FP':>9s} {'held out':>9s} {'low FN':>9s} "
          f"{'held out':>9s} {'threshold':>10s} {'fixed':>9s}")
    for detector in sorted(found):
        files = load(found[detector], names, windows)
        report(detector, names, files, args.threshold)
        if args.per_file:
            per_file(names, files)


if __name__ == "__main__":
    main()
