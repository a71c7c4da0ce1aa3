"""Sends telemetry of simulated instances by the Influx line protocol, one frame a second each, and says how late it was.

    python tools/send_fleet.py http://127.0.0.1:7878 --instances 1000 --metrics 20 --seconds 300

Load for measuring a node that is asked while it takes telemetry in: docs/measurements.md, "Reads under ingest".
"""

import argparse
import http.client
import math
import time
import urllib.parse

PARTS = 10  # requests a second


def line(instance, metrics, second):
    """One frame: waves of a few minutes with a little noise that needs no generator."""
    fields = ",".join(
        f"m{k}={50 + 20 * math.sin(second / (90 + 7 * k) + instance) + ((second * 7919 + instance * 31 + k) % 13) / 10:.3f}"
        for k in range(metrics)
    )
    return f"app,host=load-{instance:05d} {fields} {second}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--metrics", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=300)
    args = parser.parse_args()
    server = urllib.parse.urlsplit(args.url)
    connection = http.client.HTTPConnection(server.hostname, server.port, timeout=60)
    begin, took = math.ceil(time.time()), []
    for second in range(begin, begin + args.seconds):
        for part in range(PARTS):
            due = second + part / PARTS
            time.sleep(max(0.0, due - time.time()))
            lines = [line(instance, args.metrics, second) for instance in range(part, args.instances, PARTS)]
            sent = time.time()
            connection.request("POST", "/write?precision=s", "\n".join(lines))
            answer = connection.getresponse()
            body = answer.read()
            if answer.status >= 300:
                raise SystemExit(f"{answer.status}: {body[:500]!r}")
            took.append(time.time() - sent)
    took.sort()
    at = lambda share: 1000 * took[min(len(took) - 1, int(share * len(took)))]
    frames = args.instances * args.seconds
    print(f"{frames} frames of {args.metrics} metrics, all acknowledged, behind by {time.time() - begin - args.seconds:.1f} s; "
          f"acknowledged in {at(0.5):.0f} ms (median), {at(0.99):.0f} ms (99th percentile), {took[-1] * 1000:.0f} ms (longest)")


if __name__ == "__main__":
    main()
