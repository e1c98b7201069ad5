"""Three NATS servers that keep every stream on all of them, each to be killed."""

from pathlib import Path
from typing import Any

import httpx
from queqiao_common.topology import BUCKETS, STREAMS

from queqiao_testbed.brokers import ProcessBroker, wait_until_ready
from queqiao_testbed.ports import free_ports

SIZE = 3

CLUSTER = """\
server_name: "{name}"
cluster {{
  name: "queqiao"
  listen: "127.0.0.1:{port}"
  routes: [{routes}]
}}
"""


class Cluster:
    """A cluster on loopback; node numbers count from 0."""

    def __init__(self, folder: Path) -> None:
        ports = [port for _ in range(SIZE) for port in free_ports()][:SIZE]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        self.nodes: list[ProcessBroker] = []
        for number, port in enumerate(ports):
            own = folder / f"n{number}"
            own.mkdir()
            more = CLUSTER.format(name=f"n{number}", port=port, routes=routes)
            self.nodes.append(ProcessBroker(own, more=more))

    @property
    def url(self) -> str:
        """All nodes' addresses."""
        return ",".join(node.url for node in self.nodes)

    def start(self) -> None:
        """Start all nodes, and return once each of them answers."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            wait_until_ready(node.monitor_url)

    def stop(self) -> None:
        """Stop all nodes for good."""
        for node in self.nodes:
            node.stop()

    def led_by(self, stream: str) -> ProcessBroker | None:
        """Return the node that leads a stream; None where none does, right now."""
        for number, node in enumerate(self.nodes):
            if stream in self._led(number):
                return node
        return None

    def is_whole(self) -> bool:
        """Whether every stream has a leader, and all its replicas are up to date."""
        led = [self._led(number) for number in range(SIZE)]
        wanted = {stream.name for stream in STREAMS} | {bucket.stream for bucket in BUCKETS}
        return wanted <= set().union(*led) and all(
            one.get("current") for streams in led for own in streams.values() for one in own
        )

    def _led(self, number: int) -> dict[str, list[dict[str, Any]]]:
        """Return the streams that a node leads, with what it says of their other replicas."""
        try:
            url = f"{self.nodes[number].monitor_url}/jsz?streams=true"
            answer = httpx.get(url, timeout=2.0).json()
        except httpx.TransportError:
            return {}
        return {
            stream["name"]: stream["cluster"].get("replicas", [])
            for account in answer.get("account_details", ())
            for stream in account.get("stream_detail", ())
            if stream.get("cluster", {}).get("leader") == f"n{number}"
        }
