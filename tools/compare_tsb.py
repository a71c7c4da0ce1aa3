#!/usr/bin/env python3
"""Runs TSB-AD's LSTMAD and CNN on the series of the detection contract, beside Foretwin's scores.

    python tools/compare_tsb.py DATA SCORES [--methods LSTMAD,CNN] [--foretwin OUT] [--limit-s 1500]

DATA has `NAME.train.parquet` and `NAME.test.parquet` (`t`, metrics, `label` in the test). Each method learns from the
train file and scores the test file, with TSB-AD's own defaults for several metrics (its `Optimal_Multi_algo_HP_dict`,
up to 50 epochs, early stopping); SCORES/METHOD/NAME.csv gets `label,score`. What lies there already is not run again,
so a run that was cut goes on. After --limit-s seconds of CPU no new series is begun. At last VUS-PR (window 100) of every
series and method is printed, and Foretwin's from OUT/NAME.csv beside it.

Needs TSB-AD (Liu and Paparrizos, "The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection
Benchmark", NeurIPS 2024; PyPI `TSB-AD`, installed with --no-deps), torch, torchinfo, einops, numba, scikit-learn,
statsmodels, pandas, pyarrow.
"""

import argparse
import glob
import os
import time

import numpy as np
import pandas as pd

WINDOW = 100


def series(data, name):
    """Train and test rows x metrics, and the test's labels."""
    train = pd.read_parquet(f"{data}/{name}.train.parquet").drop(columns=["t", "label"], errors="ignore")
    test = pd.read_parquet(f"{data}/{name}.test.parquet")
    label = test["label"].to_numpy().astype(int)
    test = test[train.columns]
    return train.to_numpy(np.float32), test.to_numpy(np.float32), label


def detector(method, metrics, seed):
    import torch
    # TSB-AD was written for numpy 1, which had these names too.
    np.Inf, np.NaN = np.inf, np.nan
    from TSB_AD.HP_list import Optimal_Multi_algo_HP_dict as settings

    torch.manual_seed(seed)
    np.random.seed(seed)
    if method == "LSTMAD":
        from TSB_AD.models.LSTMAD import LSTMAD
        return LSTMAD(pred_len=1, feats=metrics, batch_size=128, **settings["LSTMAD"])
    from TSB_AD.models.CNN import CNN
    return CNN(feats=metrics, batch_size=128, **settings["CNN"])


def run(args, names):
    for method in args.methods.split(","):
        os.makedirs(f"{args.scores}/{method}", exist_ok=True)
        for name in names:
            path = f"{args.scores}/{method}/{name}.csv"
            if os.path.exists(path) or time.process_time() > args.limit_s:
                continue
            train, test, label = series(args.data, name)
            began = time.process_time()
            model = detector(method, train.shape[1], args.seed)
            model.fit(train)
            score = np.asarray(model.decision_function(test)).ravel()
            pd.DataFrame({"label": label, "score": score}).to_csv(path + ".part", index=False)
            os.replace(path + ".part", path)
            print(f"{method} {name}: {time.process_time() - began:.0f} core-seconds", flush=True)


def vus_pr(path, data, name):
    from TSB_AD.evaluation.basic_metrics import generate_curve

    label = pd.read_parquet(f"{data}/{name}.test.parquet", columns=["label"])["label"].to_numpy().astype(int)
    score = pd.read_csv(path)["score"].to_numpy()
    return generate_curve(label, score, WINDOW, "opt", 250)[-1]


def table(args, names):
    columns = {method: f"{args.scores}/{method}" for method in args.methods.split(",")}
    if args.foretwin:
        columns["Foretwin"] = args.foretwin
    print(f"{'':24s}" + "".join(f"{column:>10s}" for column in columns))
    values = {column: [] for column in columns}
    for name in names:
        for column, folder in columns.items():
            path = f"{folder}/{name}.csv"
            values[column].append(vus_pr(path, args.data, name) if os.path.exists(path) else np.nan)
        print(f"{name:24s}" + "".join(f"{values[column][-1]:10.3f}" for column in columns))
    every = np.isfinite(np.array(list(values.values()))).all(axis=0)
    if every.any():
        means = (np.mean(np.array(values[column])[every]) for column in columns)
        print(f"{f'mean of {every.sum()} in common':24s}" + "".join(f"{mean:10.3f}" for mean in means))


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("data")
    ask.add_argument("scores")
    ask.add_argument("--methods", default="LSTMAD,CNN")
    ask.add_argument("--foretwin", help="OUT of `foretwin evaluate detection`")
    ask.add_argument("--limit-s", type=float, default=1500.0)
    ask.add_argument("--seed", type=int, default=1)
    args = ask.parse_args()
    names = sorted(os.path.basename(path)[: -len(".train.parquet")]
                   for path in glob.glob(f"{args.data}/*.train.parquet"))
    run(args, names)
    table(args, names)


if __name__ == "__main__":
    main()
