"""The llm service as it is deployed: a tool server it starts itself, voice in and voice out."""

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import pytest
import tomlkit
from queqiao_common.bus import Bus, connect
from queqiao_common.events import Event, Media, MediaFetched, Prompt
from queqiao_common.objects import JetStreamObjects
from queqiao_common.settings import Nats
from queqiao_common.testing import ACCOUNT, CONV, eventually, inbound, request
from queqiao_common.topology import DRAFTS, MEDIA, MEDIA_READY, Subject
from queqiao_testbed.brokers import Broker
from queqiao_testbed.ports import free_ports
from queqiao_testbed.processes import Child

from services.llm.tests.fakes import caller, openai_audio

pytestmark = pytest.mark.broker

E = TypeVar("E", bound=Event)
PICTURE = b"\xff\xd8\xff\xe0picture"


def settings(broker: str, chat: caller.Caller, audio: openai_audio.Audio) -> dict[str, object]:
    speech = {"base_url": audio.url, "model": "audio-1", "api_key": openai_audio.KEY}
    return {
        "nats": {"url": broker},
        "accounts": [{"id": "main", "kind": "service", "appid": "wx1", "token": "t"}],
        "models": [
            {"id": "chat", "base_url": chat.url, "model": "m", "vision": True},
            {"id": "speech", **speech},
        ],
        "routes": {"default": ["chat"]},
        "personas": {"tutor": {"tools": ["basics"], "voice": "alloy"}},
        "media": {"transcribe": "speech", "transcribe_format": "amr", "speak": "speech"},
        "tools": {
            "servers": [{"id": "basics", "command": "python", "args": ["-m", "queqiao_toolserver"]}]
        },
    }


@contextlib.asynccontextmanager
async def serving(folder: Path, configuration: dict[str, object]) -> AsyncIterator[str]:
    """Run one replica of llm, and return the address of its metrics."""
    [port] = free_ports(1)
    config = folder / "queqiao.toml"
    config.write_text(tomlkit.dumps(configuration), encoding="utf-8")
    variables = {
        "QUEQIAO_CONFIG": str(config),
        "QUEQIAO_HTTP_PORT": str(port),
        "QUEQIAO_HTTP_HOST": "127.0.0.1",
    }
    child = Child("llm", ["-m", "queqiao_llm"], log=folder / "llm.log", variables=variables)
    child.start()
    try:
        async with httpx.AsyncClient() as http:

            async def is_up() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    metrics = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                    return 'queqiao_tool_server_up{server="basics"} 1.0' in metrics
                return False

            await eventually(is_up, within=90)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()


async def answer(bus: Bus, subject: Subject[E]) -> E:
    raw = await eventually(lambda: bus.read_next(subject.stream, subject.filter, 0), within=60)
    return msgspec.json.decode(raw.data, type=subject.event)


async def test_the_service_calls_tools_hears_speaks_and_sees(
    own_broker: Broker, tmp_path: Path
) -> None:
    async with (
        caller.serving() as chat,
        openai_audio.serving() as audio,
        serving(tmp_path, settings(own_broker.url, chat, audio)),
    ):
        bus = await connect(Nats(url=own_broker.url), "test")
        objects = JetStreamObjects(bus, MEDIA)
        await objects.put("main/voice", openai_audio.amr(1))
        await objects.put("main/picture", PICTURE)

        voice = Media(kind="voice", key="main/voice")
        message = inbound("", kind="unsupported", media=(voice,))
        await bus.publish_event(
            MediaFetched(id="fetched:1", account=ACCOUNT, conv=CONV, sequence=1, message=message)
        )
        ready = await answer(bus, MEDIA_READY)

        question = 'call basics__calculate {"expression": "0.1+0.2"}'
        turn = request(
            persona="tutor",
            prompt=(Prompt("user", question, ("main/picture",)),),
            deadline_ms=int(time.time() * 1000) + 60_000,
        )
        await bus.publish_event(turn)
        piece = await answer(bus, DRAFTS)

        assert ready.message.media[0].text == audio.text
        assert "0.3" in piece.text
        assert [one.kind for one in piece.media] == ["voice"]
        assert await objects.get(piece.media[0].key) == audio.sound
        parts = chat.asked[0]["messages"][0]["content"]
        assert parts[1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
        await bus.close()
