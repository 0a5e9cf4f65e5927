"""What a worker counts, for Prometheus; with several workers, one page has the sum of all."""

import os
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from .worker import ServedVersions

SHARED = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The counters of one worker."""

    def __init__(self) -> None:
        """Begin at zero, in the folder that the workers share if there is one."""
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("mlops_requests", "Requests by path and status", ["path", "status"], registry=registry)
        self.seconds = Histogram(
            "mlops_request_seconds",
            "Seconds until a request was answered",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self._rows = Counter(
            "mlops_predictions", "Rows answered, by role and version", ["role", "version"], registry=registry
        )
        self._failed = Counter(
            "mlops_failures", "Rows that a model failed on, by role and version", ["role", "version"], registry=registry
        )
        self._model = Histogram(
            "mlops_model_seconds", "Seconds that a model took", ["role", "version"], buckets=SECONDS, registry=registry
        )
        self._role = Gauge(
            "mlops_served", "1 for the version in a role", ["role", "version"], registry=registry,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self._cut = Gauge(
            "mlops_canary_cut_off", "1 when the canary is cut off", registry=registry, multiprocess_mode="livemax"
        )
        self._lost = Gauge(
            "mlops_log_lost", "Rows that the prediction log lost", registry=registry, multiprocess_mode="livesum"
        )
        self._aside = Gauge(
            "mlops_log_set_aside", "Files of what the prediction log could not read", registry=registry,
            multiprocess_mode="mostrecent",
        )  # fmt: skip
        self._missed = Gauge(
            "mlops_shadow_missed", "Rows that the shadow missed", registry=registry, multiprocess_mode="livesum"
        )
        self._shown: set[tuple[str, str]] = set()
        self._children: dict[tuple[str, str], tuple[Counter, Counter, Histogram]] = {}
        self._ended: dict[tuple[str, int], Counter] = {}
        self._paths: dict[str, Histogram] = {}

    def answered(self, role: str, version: str, rows: int, seconds: float, failed: bool) -> None:
        """Count rows that a model answered, or failed on."""
        kept = self._children.get((role, version))
        if kept is None:
            kept = (
                self._rows.labels(role, version),
                self._failed.labels(role, version),
                self._model.labels(role, version),
            )
            self._children[role, version] = kept
        answers, failures, model = kept
        (failures if failed else answers).inc(rows)
        model.observe(seconds)

    def ended(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        counter = self._ended.get((path, status))
        if counter is None:
            counter = self._ended[path, status] = self.requests.labels(path, status)
            self._paths.setdefault(path, self.seconds.labels(path))
        counter.inc()
        self._paths[path].observe(seconds)

    def show_roles(self, engine: "ServedVersions") -> None:
        """Show which versions are served."""
        roles = set(engine.roles().items())
        for role, version in self._shown | roles:
            self._role.labels(role, version).set(int((role, version) in roles))
        self._shown |= roles
        self._cut.set(int(engine.canary is not None and engine.canary.cut_off is not None))

    def page(self, engine: "ServedVersions") -> bytes:
        """Return the page that Prometheus reads."""
        self._lost.set(engine.journal.lost if engine.journal else 0)
        self._aside.set(engine.journal.count_aside() if engine.journal else 0)
        self._missed.set(engine.shadow.missed if engine.shadow else 0)
        registry = self._registry
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)
