"""Sends by the OpenTelemetry SDK, and compares what senders have with what is stored, sample by sample."""

import json
import math
import sys
import time
import urllib.parse
import urllib.request

REQUESTS = 300
OUTPUTS = ["foretwin_anomaly_score", "foretwin_failure_probability", "foretwin_risk_probability"]


def query(url, text, at=None):
    """Result of an instant query."""
    form = {"query": text} if at is None else {"query": text, "time": at}
    request = urllib.request.Request(f"{url}/api/v1/query", urllib.parse.urlencode(form).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]["result"]


def value(url, text):
    """The one number that a query finds, or None."""
    found = query(url, text)
    return float(found[0]["value"][1]) if len(found) == 1 else None


def send(url):
    """A counter, an up-down counter, a gauge and a histogram, over both transports."""
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as Grpc
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as Http
    from opentelemetry.metrics import Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from grpc import Compression as GrpcCompression

    exporters = {
        "http": Http(endpoint=f"{url}/v1/metrics", compression=Compression.Gzip),
        "grpc": Grpc(endpoint=url, insecure=True, compression=GrpcCompression.Gzip),
        "grpc-plain": Grpc(endpoint=url, insecure=True),
    }
    for name, exporter in exporters.items():
        resource = Resource({"service.name": f"shop-{name}", "host.name": "otelhost"})
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=600_000)
        provider = MeterProvider(resource=resource, metric_readers=[reader])
        meter = provider.get_meter("test")
        requests = meter.create_counter("requests", unit="{request}")
        active = meter.create_up_down_counter("active")
        duration = meter.create_histogram("duration", unit="s")
        meter.create_observable_gauge("temperature", callbacks=[lambda _: [Observation(21.5)]], unit="Cel")
        for n in range(REQUESTS):
            requests.add(1, {"method": "GET" if n % 3 else "POST"})
            active.add(1 if n % 2 else -1)
            duration.record(n / 100)
            if n % 60 == 59:
                if not provider.force_flush():
                    sys.exit(f"{name}: the exporter says that a flush failed")
                time.sleep(0.6)
        provider.shutdown()


def eventually(seconds, work):
    """Repeats what fails until it does not: a busy machine is late, and what is lost stays lost."""
    deadline = time.time() + seconds
    while True:
        try:
            return work()
        except AssertionError:
            if time.time() > deadline:
                raise
            time.sleep(2)


def check(url, prometheus):
    """Everything arrived."""
    eventually(180, lambda: sent(url))
    compare(url, prometheus)
    eventually(180, lambda: read(url, prometheus))


def sent(url):
    """What the SDK and the line protocol sent."""
    expected = {"active": 0, "temperature": 21.5, "duration_count": REQUESTS, "duration_sum": REQUESTS * (REQUESTS - 1) / 200}
    for name in ["http", "grpc", "grpc-plain"]:
        job = f'{{job="shop-{name}"}}'
        for metric, number in expected.items():
            found = value(url, f"{metric}{job}")
            assert found is not None and abs(found - number) < 1e-6, f"{metric}{job} is {found}, not {number}"
        found = value(url, f"sum(requests{job})")
        assert found == REQUESTS, f"requests of {name}: {found}"
        exports = value(url, f"count_over_time(temperature{job}[5m])")
        assert exports >= REQUESTS / 60, f"{exports} exports of {name}"
        median = value(url, f"histogram_quantile(0.5, duration_bucket{job})")
        assert 0 < median <= 2.5, f"median of {name}: {median}"
    print("OpenTelemetry SDK over HTTP and gRPC: every number is right")
    lines = value(url, 'sum(count_over_time({__name__=~"disk_used|disk_free",host="liner"}[20m]))')
    assert lines == 1000, f"{lines} of 1000 samples by the line protocol"
    assert value(url, "sum(sum_over_time(disk_used[20m]))") == 500 * 501 / 2
    print("line protocol: 1000 samples of 1000")


def read(url, prometheus):
    """What the Prometheus reads and federates; only Foretwin has these."""
    text = 'count(count_over_time(foretwin_anomaly_score{job="foretwin"}[1m]))'
    own, read = value(url, text), value(prometheus, text)
    assert own and read, f"remote read: {read} of {own} series"
    federated = value(prometheus, 'count(foretwin_failure_probability{job="foretwin",horizon="1h"})')
    assert federated, "nothing is federated"
    print(f"remote read: {read:.0f} series; federated: {federated:.0f}")


def samples(url, at):
    """Samples of the last seconds before a moment, without those that are no number."""
    found = set()
    for series in query(url, '{job=~"prometheus|foretwin-node"}[10s]', at):
        if series["metric"]["__name__"] in OUTPUTS and "exported_instance" not in series["metric"]:
            # What Foretwin says of the sender itself, with the sender's labels.
            continue
        labels = tuple(sorted(series["metric"].items()))
        for moment, text in series["values"]:
            if math.isfinite(float(text)):
                found.add((labels, round(moment * 1000), float(text)))
    return found


def compare(url, prometheus, at=None):
    """What the Prometheus scraped, and what it wrote: lately, or in the ten seconds around a moment."""
    if at is None:
        return eventually(180, lambda: same(url, prometheus, time.time() - 4, 1000))
    at = float(at) + 5
    time.sleep(max(0, at + 2 - time.time()))
    return eventually(180, lambda: same(url, prometheus, at, 300))


def same(url, prometheus, at, least):
    """Both have the same samples of the ten seconds before a moment; what was written last may be under way."""
    deadline = time.time() + 30
    while True:
        there, here = samples(prometheus, at), samples(url, at)
        if there and there <= here or time.time() > deadline:
            break
        time.sleep(2)
    assert there <= here, f"{len(there - here)} of {len(there)} samples are missing, such as {sorted(there - here)[:3]}"
    assert here <= there, f"{len(here - there)} samples nobody sent, such as {sorted(here - there)[:3]}"
    assert len(there) >= least, f"only {len(there)} samples are compared"
    print(f"Prometheus: {len(there)} samples scraped in 10 s, all of them stored, and no other")


if __name__ == "__main__":
    {"send": send, "check": check, "compare": compare}[sys.argv[1]](*sys.argv[2:])
