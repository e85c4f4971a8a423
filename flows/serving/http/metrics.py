"""What Prometheus reads at /metrics: requests, rows, seconds, words that no model has seen, and what is live."""

import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.serving.engine.live import Answered, Live, Served
from flows.serving.engine.live_file import Beside
from flows.serving.log.writer import Log
from flows.serving.trial.counts import Outcome

MEDIA = b"text/plain; version=0.0.4; charset=utf-8"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where the library keeps the counts of several processes together
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
OTHER = ""  # the model of a request that names none that is served: what clients send is no label


class Metrics:
    def __init__(self, served: Served, log: Log | None):
        """Several processes count together if PROMETHEUS_MULTIPROC_DIR was set before this module was imported."""
        self._together = bool(os.environ.get(FOLDER))
        self._own = CollectorRegistry()
        self._now = _Now(served, log)
        self._requests = Counter(
            "ratchet_requests",
            "Requests, by model, route and status.",
            ("model", "route", "status"),
            registry=self._own,
        )
        self._seconds = Histogram(
            "ratchet_request_seconds", "Seconds from a request's headers to its answer.", ("model", "route"),
            registry=self._own, buckets=SECONDS,
        )  # fmt: skip
        self._rows = Counter("ratchet_rows", "Rows that were answered.", ("model", "logged"), registry=self._own)
        self._unknown = Counter(
            "ratchet_unknown_words", "Words that the model has never seen.", ("model", "column"), registry=self._own
        )
        self._trials = Counter(
            "ratchet_trial_rows",
            "Rows that a version beside the champion answered, had no answer to, or was not asked.",
            ("model", "version", "role", "outcome"),
            registry=self._own,
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._known_rows: dict[tuple[str, bool], Counter] = {}

    def request(self, model: str, route: str, status: int, seconds: float) -> None:
        """Count a request. model: one that is served, or OTHER."""
        found = self._known.get((model, route, status))
        if found is None:
            found = self._requests.labels(model, route, str(status)), self._seconds.labels(model, route)
            self._known[model, route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def answered(self, found: Answered, logged: bool) -> None:
        """Count rows, and the words that are unknown in them."""
        model = found.version.model
        rows = self._known_rows.get((model, logged))
        if rows is None:
            rows = self._known_rows[model, logged] = self._rows.labels(model, "yes" if logged else "no")
        rows.inc(found.batch.size)
        for columns in found.batch.unknown:
            for column in columns:
                self._unknown.labels(model, column).inc()

    def tried(self, trial: Beside, outcome: Outcome, rows: int) -> None:
        """Count rows of a version beside a champion."""
        version = trial.version
        self._trials.labels(version.model, str(version.number), trial.role, outcome).inc(rows)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        if not self._together:
            return generate_latest(self._own) + generate_latest(_only(self._now))
        counted = CollectorRegistry()
        multiprocess.MultiProcessCollector(counted)
        return generate_latest(counted) + generate_latest(_only(self._now))


class _Now(Collector):
    """What is live, as this process sees it when it is asked."""

    def __init__(self, served: Served, log: Log | None):
        self._served, self._log = served, log

    def collect(self) -> Iterator[Metric]:
        models = dict(self._served.models)
        yield _info(models)
        problems = GaugeMetricFamily(
            "ratchet_model_problem", "1 if the newest version is not served, or none is.", labels=["model"]
        )
        for name, live in models.items():
            problems.add_metric([name], bool(live.problem))
        yield problems
        stopped = GaugeMetricFamily("ratchet_log_problem", "1 if answers cannot be logged now.", labels=["model"])
        told = self._log.problem if self._log else {}
        for name in models if self._log else ():
            stopped.add_metric([name], bool(told.get(name)))
        yield stopped
        yield from _trials(models)


def _info(models: dict[str, Live]) -> Metric:
    labels = ["model", "version", "model_hash", "serving_hash", "served_as", "runtime", "since"]
    found = GaugeMetricFamily("ratchet_model_info", "The version that answers: always 1.", labels=labels)
    for name, live in models.items():
        if (version := live.version) is not None:
            hashes = [version.model_hash, version.serving_hash or ""]
            found.add_metric([name, str(version.number), *hashes, version.variant, version.runtime, version.since], 1)
    return found


def _trials(models: dict[str, Live]) -> Iterator[Metric]:
    """What answers beside the champion; nothing where nothing does."""
    found = {name: live for name, live in models.items() if live.on_trial}
    if not found:
        return
    info = GaugeMetricFamily(
        "ratchet_trial_problem", "1 if the version beside the champion does not answer.",
        labels=["model", "version", "role"],
    )  # fmt: skip
    for name, live in found.items():
        if (told := live.on_trial) is not None:
            info.add_metric([name, str(told.version.number), told.role], bool(live.trial_problem))
    yield info


def _only(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry
