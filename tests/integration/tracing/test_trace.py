"""One message is one trace, from the callback to WeChat's acceptance."""

from queqiao_common.testing import eventually
from queqiao_common.topology import (
    CHANNEL,
    CONSUMERS,
    DELIVERED,
    MISSED,
    SUBJECT_OF,
    SUBJECTS,
    SUMMARIES,
    TIMEOUTS,
)
from queqiao_testbed.collector import collecting
from queqiao_testbed.configuration import Options
from queqiao_testbed.ports import free_ports
from queqiao_testbed.system import running

FETCHED = {subject for subject in SUBJECTS if subject.stream is CHANNEL}
NOT_ON_THE_WAY = {MISSED, TIMEOUTS, SUMMARIES} | FETCHED
"""Typing, deadlines, summaries and media are beside the way of a text that is answered at once."""


def expected_hops():
    """The hops that one answered message takes, computed from the topology."""
    return {
        (consumer.service, f"process {consumer.reads.template}")
        for consumer in CONSUMERS
        if consumer.reads not in NOT_ON_THE_WAY
    }


async def test_one_message_is_one_complete_trace(own_broker, tmp_path):
    [port] = free_ports(1)
    async with collecting(port) as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        options = Options(variables=variables)
        async with running(tmp_path, broker_url=own_broker.url, options=options) as system:
            await system.say("active", "t1", "你好")
            await eventually(lambda: _closed(collector), within=60)

    [last] = _closed(collector)
    spans = collector.trace(last.trace_id)
    # WeChat comes again where a busy machine made ingress refuse: in a trace of its own.
    roots = [span for span in spans if span.name == "POST /wechat/{account}"]
    assert len(roots) == 1
    assert expected_hops() <= {(span.service, span.name) for span in spans}
    known = {span.span_id for span in spans}
    assert all(span.parent_id in known for span in spans if span is not roots[0])
    assert not roots[0].parent_id
    assert {span.trace_id for span in collector.spans if "process" in span.name} == {
        roots[0].trace_id
    }
    assert SUBJECT_OF[DELIVERED.event] is DELIVERED
    assert any(span.name.startswith("chat ") for span in spans)


def _closed(collector):
    """Whether the last hop of the message has been reported."""
    return [
        span
        for span in collector.spans
        if (span.service, span.name) == ("context", "process reply.delivered")
    ]
