"""Figures for Prometheus, counted when asked: how much is due and for how long, what is in doubt, who is paused. No
names.

https://prometheus.io/docs/instrumenting/writing_exporters/. Behind a token, since a campaign's size is nobody
else's business.
"""

import hmac
from collections.abc import Iterable

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from passaparola.operations import health
from passaparola.settings import get_settings
from passaparola.store.database import utc_now
from passaparola.web.link_context import store

router = APIRouter()
registry = CollectorRegistry()
BODIES = Counter("passaparola_webhook_bodies", "Bodies that came in", ["channel", "status"], registry=registry)
SECONDS = Histogram(
    "passaparola_request_seconds",
    "From request to answer",
    ["route"],
    registry=registry,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


class StoreCollector(Collector):
    """The store's figures, queried once a scrape."""

    def collect(self) -> Iterable[Metric]:
        now = utc_now()
        snapshot = health.take_snapshot(store(), now)
        heaps = {
            "intake": snapshot.inbound,
            "enrolments": snapshot.enrolments,
            "batches": snapshot.batches,
            "calls": snapshot.calls,
            "unknown": snapshot.unknown,
        }
        due = GaugeMetricFamily("passaparola_due", "What is due and not done, by heap", labels=["heap"])
        oldest = GaugeMetricFamily(
            "passaparola_due_oldest_seconds", "For how long the oldest has been due", labels=["heap"]
        )
        for name, heap in heaps.items():
            due.add_metric([name], heap.count)
            oldest.add_metric([name], heap.oldest)
        launches = GaugeMetricFamily("passaparola_launches", "Launches by state", labels=["state"])
        for state, count in snapshot.launches.items():
            launches.add_metric([state], count)
        paused = GaugeMetricFamily("passaparola_channel_paused", "1: it must be mended first", labels=["channel"])
        for name in snapshot.paused:
            paused.add_metric([name], 1)
        resting = GaugeMetricFamily(
            "passaparola_channel_resting", "1: its provider asked to be left alone", labels=["channel"]
        )
        for name in snapshot.backoffs:
            resting.add_metric([name], 1)
        yield from (due, oldest, launches, paused, resting)
        yield GaugeMetricFamily("passaparola_messages_due", "Messages in the batches that are due", snapshot.messages)
        yield GaugeMetricFamily("passaparola_bodies_odd", "Bodies that were not understood", snapshot.invalid_bodies)


registry.register(StoreCollector())


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Serve the figures to whoever holds PASSAPAROLA_METRICS_TOKEN, as a bearer token; to anybody else there is no
    such page."""
    token = get_settings().metrics_token
    given = request.headers.get("authorization", "")
    if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return Response(status_code=404)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
