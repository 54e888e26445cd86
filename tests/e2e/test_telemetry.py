"""Metrics and traces for an OpenTelemetry collector, read by the protocol's own schema."""

import json
import signal
import time

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from harness.collector import Collector, attributes, hung
from harness.deadline import Deadline
from harness.peer import V5, V311, Peer, fresh_id
from harness.pki import Authority
from harness.steer import Steer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
CONTEXT = f"00-{TRACE}-{SPAN}-01"
HONORED = "traces = true\nhonor_traceparent = true\nclient_messages_per_second = 1000"


@pytest.fixture
def running(own_server):
    def make(url, more="", before=""):
        config = f'{before}\n[telemetry]\nendpoint = "{url}"\n{more}\n'
        server = own_server(config=config).start()
        server.until_events("serving")
        return server

    return make


def users(message):
    return dict(getattr(message.properties, "UserProperty", []))


def names(span):
    return [event.name for event in span.events]


def one(spans, name, client=None):
    found = [
        span
        for span in spans
        if span.name == name
        and (client is None or attributes(span.attributes).get("messaging.client.id") == client)
    ]
    assert len(found) == 1, found
    return found[0]


def test_a_messages_way_is_told_as_spans_and_its_context_goes_on(running):
    with Collector() as collector:
        server = running(collector.url, HONORED)
        with (
            Peer(server, V5, "by") as by,
            Peer(server, V5, "to") as to,
            Peer(server, V311, "old") as old,
        ):
            to.subscribe("plant/#", qos=2)
            old.subscribe("plant/#", qos=1)
            by.publish(
                "plant/7",
                b"s3cret",
                1,
                UserProperty=[("a", "b"), ("traceparent", CONTEXT), ("tracestate", "x=y")],
            )
            message = to.message()
            assert old.message().payload == b"s3cret"
            spans = collector.trace(TRACE, 3)
    received = one(spans, "receive")
    assert received.parent_span_id.hex() == SPAN
    assert received.kind == Span.SPAN_KIND_CONSUMER
    assert received.trace_state == "x=y"
    assert names(received) == ["authorized", "matched"]
    told = attributes(received.attributes)
    assert told["messaging.system"] == "mqtt"
    assert told["messaging.destination.name"] == "plant/7"
    assert told["messaging.operation.type"] == "receive"
    assert told["messaging.client.id"] == "by"
    assert told["messaging.message.body.size"] == 6
    assert told["network.peer.address"] == "127.0.0.1"
    assert (told["nightjar.recipients"], told["nightjar.qos"]) == (2, 1)
    assert told["nightjar.reason"] == "success"
    assert received.status.code == Status.STATUS_CODE_UNSET
    # What is delivered carries our span, and all else as it came.
    ours = f"00-{TRACE}-{received.span_id.hex()}-01"
    assert getattr(message.properties, "UserProperty") == [
        ("a", "b"),
        ("traceparent", ours),
        ("tracestate", "x=y"),
    ]
    for client in ("to", "old"):
        sent = one(spans, "send", client)
        assert sent.parent_span_id == received.span_id
        assert sent.kind == Span.SPAN_KIND_PRODUCER
        assert names(sent) == ["sent", "acknowledged"]
        assert received.start_time_unix_nano <= sent.start_time_unix_nano <= sent.end_time_unix_nano
        assert attributes(sent.attributes)["nightjar.qos"] == 1
    # Payloads and user properties are in no span.
    assert "s3cret" not in str(spans) and collector.resource["service.name"] == "nightjar"
    assert collector.resource["service.version"]


def test_clients_do_not_decide_what_is_followed_unless_they_may(running):
    with Collector() as collector:
        server = running(collector.url, "traces = true\nmetrics_interval = 0")
        with Peer(server, V5) as by, Peer(server, V5) as to:
            to.subscribe("t", qos=1)
            by.publish("t", b"", 1, UserProperty=[("traceparent", CONTEXT)])
            assert users(to.message()) == {"traceparent": CONTEXT}
        metrics = Steer(server).text("metrics")
        assert "nightjar_telemetry_unfollowed_total 0" in metrics
        server.stop()
        assert collector.spans == []


def test_only_what_is_sampled_is_followed_and_all_else_passes_untouched(running):
    with Collector() as collector:
        server = running(collector.url, HONORED)
        with Peer(server, V5) as by, Peer(server, V5) as to:
            to.subscribe("t", qos=0)
            for pairs in (
                [],
                [("a", "b")],
                [("traceparent", CONTEXT[:-1] + "0"), ("tracestate", "x=y")],
                [("traceparent", "00-nonsense-01")],
                [("traceparent", CONTEXT), ("traceparent", CONTEXT)],
            ):
                by.publish("t", b"", 1, UserProperty=pairs)
                assert getattr(to.message().properties, "UserProperty", []) == pairs
            by.publish("t", b"", 1, UserProperty=[("traceparent", CONTEXT)])
            collector.trace(TRACE, 2)
            assert len(collector.spans) == 2


def test_without_traces_contexts_pass_as_they_came(running):
    with Collector() as collector:
        server = running(collector.url, 'metrics_interval = "1s"')
        with Peer(server, V5) as by, Peer(server, V5) as to:
            to.subscribe("t", qos=1)
            by.publish("t", b"", 1, UserProperty=[("traceparent", CONTEXT)])
            assert users(to.message()) == {"traceparent": CONTEXT}

            def received(it):
                metric = it.metrics.get("nightjar_messages_received_total")
                return metric and sum(point.as_int for point in metric.sum.data_points) == 1

            collector.until(received)
        assert collector.spans == []


def test_one_of_so_many_is_sampled_whoever_published_it(running):
    with Collector() as collector:
        server = running(collector.url, "traces = true\nsample_one_in = 1")
        with Peer(server, V311) as by, Peer(server, V5) as to:
            to.subscribe("t", qos=0)
            by.publish("t", b"", 0)
            context = users(to.message())["traceparent"]
            _, trace, span, flags = context.split("-")
            assert flags == "01"
            spans = collector.trace(trace, 2)
        received = one(spans, "receive")
        assert (received.span_id.hex(), received.parent_span_id) == (span, b"")
        assert names(one(spans, "send")) == ["sent"]


def test_a_message_that_waits_and_comes_again_keeps_its_context(running):
    with Collector() as collector:
        server = running(collector.url, HONORED)
        away = fresh_id()
        with Peer(server, V5, away, clean=True, expiry=3600) as to:
            to.subscribe("t", qos=2)
        with Peer(server, V5) as by:
            by.publish("t", b"", 2, UserProperty=[("traceparent", CONTEXT)])
        with Peer(server, V5, away, clean=False, expiry=3600) as to:
            context = users(to.message())["traceparent"]
            spans = collector.trace(TRACE, 2)
        received, sent = one(spans, "receive"), one(spans, "send")
        assert context == f"00-{TRACE}-{received.span_id.hex()}-01"
        assert names(sent) == ["queued", "sent", "received", "acknowledged"]
        assert attributes(sent.attributes)["messaging.client.id"] == away


def test_what_is_refused_or_dropped_fails_its_span(running):
    rule = '[[rule]]\ndeny = "publish"\ntopics = ["no"]\n[[rule]]\nallow = "all"\ntopics = ["#"]\n'
    with Collector() as collector:
        server = running(collector.url, f"{HONORED}\nsample_one_in = 1", rule)
        with Peer(server, V5) as by, Peer(server, V5, ReceiveMaximum=5, MaximumPacketSize=64) as to:
            to.subscribe("big", qos=0)
            by.publish("no", b"", 1, UserProperty=[("traceparent", CONTEXT)])
            refused = one(collector.trace(TRACE, 1), "receive")
            other = CONTEXT.replace("4bf9", "5bf9")
            by.publish("big", bytes(100), 1, UserProperty=[("traceparent", other)])
            spans = collector.trace("5bf9" + TRACE[4:], 2)
        assert refused.status.code == Status.STATUS_CODE_ERROR
        assert refused.status.message == "not authorized"
        assert names(refused) == []
        dropped = one(spans, "send")
        assert dropped.status.code == Status.STATUS_CODE_ERROR
        assert dropped.status.message == "too_large"
        assert one(spans, "receive").status.code == Status.STATUS_CODE_UNSET


def test_of_a_large_fan_out_only_so_many_deliveries_are_told(running):
    with Collector() as collector:
        server = running(collector.url, HONORED, before="workers = 1")
        peers = [Peer(server, V311) for _ in range(70)]
        try:
            for peer in peers:
                peer.connect()
                peer.subscribe("wide", qos=0)
            with Peer(server, V5) as by:
                by.publish("wide", b"", 1, UserProperty=[("traceparent", CONTEXT)])
                for peer in peers:
                    peer.message()
                spans = collector.trace(TRACE, 65)
                # The next one comes behind all of these.
                other = CONTEXT.replace("4bf9", "5bf9")
                by.publish("none", b"", 1, UserProperty=[("traceparent", other)])
                collector.trace("5bf9" + TRACE[4:], 1)
                assert len(collector.trace(TRACE, 65)) == 65
        finally:
            for peer in peers:
                peer.disconnect()
        assert attributes(one(spans, "receive").attributes)["nightjar.recipients"] == 70


def test_all_metrics_are_sent_as_what_they_are(running):
    more = 'metrics_interval = "1s"\nheaders = ["x-token: t0ken"]\nservice_name = "mqtt"\n'
    more += 'attributes = ["deployment.environment.name=plant"]'
    with Collector() as collector:
        server = running(collector.url, more)
        with Peer(server, V5) as by:
            for number in range(3):
                # What is retained is stored, and so committed.
                by.publish(f"t/{number}", b"12345", 1, retain=True)

            def counted(it):
                metric = it.metrics.get("nightjar_messages_received_total")
                points = metric.sum.data_points if metric else []
                return [
                    point
                    for point in points
                    if attributes(point.attributes)["qos"] == "1" and point.as_int == 3
                ]

            def all_known(it):
                # What the server looks at once a second may be of the second before.
                connections = it.metrics.get("nightjar_connections")
                commits = it.metrics.get("nightjar_store_commit_seconds")
                known = connections and connections.gauge.data_points[0].as_int == 1
                known = known and commits and commits.histogram.data_points[0].count > 0
                return known and counted(it) and (it.metrics, counted(it))

            metrics, (point,) = collector.until(all_known)
        head = dict(collector.heads)["/v1/metrics"]
        assert head["x-token"] == "t0ken" and head["content-type"] == "application/json"
        assert 0 < point.start_time_unix_nano < point.time_unix_nano
        counter = metrics["nightjar_messages_received_total"].sum
        assert counter.is_monotonic
        assert counter.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        histogram = metrics["nightjar_store_commit_seconds"].histogram.data_points[0]
        assert len(histogram.bucket_counts) == len(histogram.explicit_bounds) + 1
        assert sum(histogram.bucket_counts) == histogram.count
        assert metrics["nightjar_store_commit_seconds"].unit == "s"
        assert metrics["nightjar_api_requests_total"].sum.data_points
        assert collector.resource["service.name"] == "mqtt"
        assert collector.resource["deployment.environment.name"] == "plant"
        # The same as others are told.
        lines = Steer(server).text("metrics").splitlines()
        told = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
        assert set(metrics) == told


def test_a_collector_that_is_busy_is_asked_again(running):
    busy = [(503, {"Retry-After": "0"}), (429, {"Retry-After": "0"})]
    with Collector(busy) as collector:
        server = running(collector.url, f"{HONORED}\nmetrics_interval = 0")
        with Peer(server, V5) as by:
            by.publish("t", b"", 1, UserProperty=[("traceparent", CONTEXT)])
            assert len(collector.trace(TRACE, 1)) == 1
        assert len(collector.heads) == 3
        (failed,) = server.until_events("telemetry does not reach the collector")
        assert (failed["signal"], failed["why"]) == ("traces", "status 503")
        server.until_events("telemetry reaches the collector again")
        metrics = Steer(server).text("metrics")
        assert 'nightjar_telemetry_failures_total{signal="traces"} 2' in metrics
        assert 'nightjar_telemetry_sent_total{signal="traces"} 1' in metrics
        assert 'nightjar_telemetry_failing{signal="traces"} 0' in metrics


def test_a_collector_that_says_nothing_holds_nobody_up(running):
    with hung() as url:
        server = running(url, f'{HONORED}\nmetrics_interval = "1s"\ntimeout = "500ms"')
        with Peer(server, V5) as by:
            for number in range(200):
                context = f"00-{TRACE}-{number + 1:016x}-01"
                by.publish("t", b"", 1, UserProperty=[("traceparent", context)])
        server.until_events("telemetry does not reach the collector")
        # The end waits for two seconds in all, and not for all that is left.
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 8


def reloaded(server, old, new):
    path = server.directory / "nightjar.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    before = len(server.events("configuration taken over"))
    server.signal(signal.SIGHUP)
    server.until_events("configuration taken over", before + 1)


def test_a_reload_waits_for_nothing_that_is_still_to_be_sent(running):
    # What is left at a change are all metrics, and those ask whoever is reloading.
    with Collector() as collector, hung() as nobody:
        server = running(collector.url, f'{HONORED}\nservice_name = "a"')
        for old, new in [
            ('"a"', '"b"'),
            (collector.url, nobody),
            ('"b"', '"c"'),
            (nobody, collector.url),
        ]:
            reloaded(server, old, new)
            assert "nightjar_connections" in Steer(server).text("metrics")
        assert collector.until(lambda it: it.resource).get("service.name")
        with Peer(server, V5) as by:
            deadline = Deadline()
            while not [span for span in collector.spans if span.trace_id.hex() == TRACE]:
                assert not deadline.passed()
                # Workers hear of it by mail.
                by.publish("t", b"", 1, UserProperty=[("traceparent", CONTEXT)])
        assert collector.resource["service.name"] == "c"


def test_a_change_that_is_taken_back_leaves_no_alarm(running, tmp_path):
    (tmp_path / "pki").mkdir()
    authority = Authority(tmp_path / "pki")
    issued = authority.issue("collector", names=["127.0.0.1"])
    with Collector(issued=issued) as collector:
        more = f'{HONORED}\nmetrics_interval = 0\nca = "{authority.file}"'
        server = running(collector.url, more)

        def alarms():
            return [alarm["name"] for alarm in Steer(server)("alarms")]

        good = authority.file.read_text()
        for text, told in [("nothing", ["telemetry_down"]), (good, [])]:
            # The same name, and another content.
            authority.file.write_text(text)
            server.signal(signal.SIGHUP)
            deadline = Deadline()
            while alarms() != told:
                assert not deadline.passed(), alarms()


def test_a_reload_begins_and_ends_what_is_sent(running):
    with Collector() as collector:
        more = "honor_traceparent = true\ntraces = false\nmetrics_interval = 0"
        server = running(collector.url, more)

        with Peer(server, V5) as by, Peer(server, V5) as to:
            to.subscribe("t", qos=1)

            def context():
                by.publish("t", b"", 1, UserProperty=[("traceparent", CONTEXT)])
                return users(to.message())["traceparent"]

            assert context() == CONTEXT
            reloaded(server, "traces = false", "traces = true")
            deadline = Deadline()
            # Workers hear of it by mail.
            while context() == CONTEXT:
                assert not deadline.passed()
            collector.trace(TRACE, 2)
            reloaded(server, "traces = true", "traces = false")
            deadline = Deadline()
            while context() != CONTEXT:
                assert not deadline.passed()


def test_a_collector_by_tls_is_known_by_its_authority(running, tmp_path):
    (tmp_path / "pki").mkdir()
    authority = Authority(tmp_path / "pki")
    issued = authority.issue("collector", names=["127.0.0.1"])
    with Collector(issued=issued) as collector:
        more = f'{HONORED}\nmetrics_interval = 0\nca = "{authority.file}"'
        server = running(collector.url, more)
        with Peer(server, V5) as by:
            by.publish("t", b"", 1, UserProperty=[("traceparent", CONTEXT)])
            collector.trace(TRACE, 1)
        # Without the authority nothing goes there (S79).
        stranger = running(collector.url, f"{HONORED}\nmetrics_interval = 0")
        with Peer(stranger, V5) as by:
            by.publish("t", b"", 1, UserProperty=[("traceparent", CONTEXT)])
        (failed,) = stranger.until_events("telemetry does not reach the collector")
        assert "certificate" in failed["why"].lower()
        assert len(collector.spans) == 1


def test_s71_tokens_of_a_collector_are_told_to_nobody(running):
    with Collector() as collector:
        url = collector.url.replace("http://", "http://user:pa55@")
        server = running(url, 'metrics_interval = "1s"\nheaders = ["x-token: t0ken"]')
        collector.until(lambda it: it.metrics)
        head = dict(collector.heads)["/v1/metrics"]
        assert head["authorization"].startswith("Basic ") and head["x-token"] == "t0ken"
        shown = json.dumps(Steer(server)("config", "show")) + server.log()
        assert "pa55" not in shown and "t0ken" not in shown
