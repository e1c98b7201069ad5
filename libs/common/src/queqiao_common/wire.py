"""nats-py's client, with a shorter way for what happens twenty times for a user's message.

The library hands a message from its reader to a queue, and from there to a task that calls back;
what is sent passes a future, a queue and a task. Here whoever listens is called while the message
is read, and all that is sent in one turn of the loop is one write. Everything else is the library's
(connecting, TLS, reconnecting, pings), and so is the way of what is sent while there is no
connection, or one that does not take it. ADR 0018 says what that saves.
"""

import asyncio
import logging
from asyncio import WriteTransport
from collections.abc import Callable, Mapping
from typing import Any

import nats.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.parser import Parser

log = logging.getLogger(__name__)

CRLF = b"\r\n"
VERSION = "NATS/1.0"
FLUSHED_WITHIN = 10
"""Seconds, as in the library."""
CHOKED = 1024 * 1024
"""Bytes that wait in the transport before what is sent goes the way that waits for it."""


class Heard(Struct, frozen=True, gc=False):
    """A message as it came."""

    subject: str
    reply: str
    data: bytes
    headers: dict[str, str] | None


Hearer = Callable[[Heard], None]


def parse_headers(raw: bytes) -> dict[str, str] | None:
    """Read a header block of NATS; an inline status becomes `Status` and `Description`."""
    first, *lines = raw.decode("utf-8", "replace").split("\r\n")
    found = {}
    status, _, description = first.removeprefix(VERSION).strip().partition(" ")
    if status:
        found["Status"] = status
    if description:
        found["Description"] = description.strip()
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    return found or None


def publication(
    subject: str, reply: str, body: bytes, headers: Mapping[str, str] | None
) -> bytes | None:
    """Write a PUB or HPUB; None where a value would break the protocol (a line break in it)."""
    if headers is None:
        return b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(body), body)
    # Joined, not formatted: a name may be a member of an enumeration, which is formatted as such.
    fields = "".join([part for one in headers.items() for part in (one[0], ": ", one[1], "\r\n")])
    if fields.count("\n") != len(headers) or fields.count("\r") != len(headers):
        return None
    head = f"{VERSION}\r\n{fields}\r\n".encode()
    size = len(head)
    line = f"HPUB {subject} {reply} {size} {size + len(body)}\r\n".encode()
    return b"".join((line, head, body, CRLF))


class Wire(Client):
    """The library's client, whose `publish` and `listen` are short.

    It is made and used in one `loop`, which is kept: Python 3.11 asks the kernel whenever it is
    asked for the running one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self._ps = _Reader(self)
        self._hearers: dict[int, Hearer] = {}
        self._outgoing: list[bytes] = []
        self._outgoing_size = 0

    async def listen(self, subject: str, hear: Hearer) -> Subscription:
        """Have `hear` called for each message on `subject`, in their order, within the reader.

        Whoever waits for nothing before it has sent something else misses nothing.
        """
        subscription = await self.subscribe(subject)
        self._hearers[subscription._id] = hear
        return subscription

    async def leave(self, subscription: Subscription) -> None:
        """End it, once all that the broker had written for it is heard.

        Raises:
            nats.errors.Error: the broker does not answer; what it had written may be lost.
        """
        number = subscription._id
        try:
            if self.is_connected:
                await self._send_unsubscribe(number)
                await self.flush()
        finally:
            self._hearers.pop(number, None)
            self._remove_sub(number)

    def hear(
        self, number: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> bool:
        """Take a message, and say whether anybody listens to it in the short way."""
        hearer = self._hearers.get(number)
        if hearer is None:
            return False
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        fields = parse_headers(headers) if headers else None
        try:
            hearer(Heard(subject.decode(), reply.decode(), data, fields))
        except Exception as error:  # the reader serves everybody else too
            log.error("nats.unheard", extra={"subject": hearer.__qualname__}, exc_info=error)
        return True

    async def publish(
        self,
        subject: str,
        payload: bytes = b"",
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send one message, with all that is sent in the same turn of the loop."""
        if len(payload) <= self._max_payload and self._way() is not None:
            command = publication(subject, reply, payload, headers)
            if command is not None:
                self.stats["out_msgs"] += 1
                self.stats["out_bytes"] += len(payload)
                self._put(command)
                return
        await super().publish(subject, payload, reply, dict(headers) if headers else None)

    def _put(self, command: bytes) -> None:
        if not self._outgoing:
            self.loop.call_soon(self._let_out)
        self._outgoing.append(command)
        self._outgoing_size += len(command)
        if self._outgoing_size >= CHOKED:
            self._let_out()

    def _let_out(self) -> None:
        """Write what was put; to the library's own queue where the connection does not take it."""
        outgoing, self._outgoing = self._outgoing, []
        size, self._outgoing_size = self._outgoing_size, 0
        if not outgoing:
            return
        if (way := self._way()) is not None:
            way.write(b"".join(outgoing))
            return
        self._pending.extend(outgoing)
        self._pending_data_size += size
        queue = self._flush_queue
        if queue is not None and queue.empty() and self.is_connected and not self._is_lost():
            queue.put_nowait(self.loop.create_future())

    def _is_lost(self) -> bool:
        """Whether the connection has gone, and the reader has yet to take note of it."""
        transport = self._transport
        writer = transport._io_writer if type(transport) is TcpTransport else None
        return writer is not None and writer.transport.is_closing()

    def _way(self) -> WriteTransport | None:
        """Return where to write now, so that it stays in order; None where it has to wait."""
        transport = self._transport
        if self._status != Client.CONNECTED or self._pending or type(transport) is not TcpTransport:
            return None
        writer = transport._io_writer
        if writer is None or writer.transport.is_closing():
            return None
        output = writer.transport
        return output if output.get_write_buffer_size() < CHOKED else None

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:
        """Send what the library has to say, after what was put before."""
        if self._way() is not None:
            self._put(cmd)
        else:
            await super()._send_command(cmd, priority)

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        """Ask for a sign of life, which comes after the answers to all that was put before."""
        self._let_out()
        await super()._send_ping(future)

    async def flush(self, timeout: int = FLUSHED_WITHIN) -> None:
        """Wait until the broker has read all that was put; at most `timeout` seconds.

        Raises:
            nats.errors.Error: it does not answer, or the connection has gone.
        """
        if self._is_lost():
            raise nats.errors.ConnectionReconnectingError
        await super().flush(timeout)

    async def _flush_pending(self, force_flush: bool = False) -> Any:
        if self._is_lost():
            return None  # a closed transport refuses it; it is sent with the next connection
        if self._pending_data_size or force_flush or not self.is_connected:
            return await super()._flush_pending(force_flush)
        return None

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self._let_out()
        if self._is_lost():  # there is no next connection to send it with
            self._pending, self._pending_data_size = [], 0
        await super()._close(status, do_cbs)


class _Reader(Parser):
    """Finds the messages in what comes; every other line is left to the library."""

    _resets = 0

    def reset(self) -> None:
        super().reset()
        self._rest = b""
        self._resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Hand on each message that is complete, and keep the rest.

        Raises:
            nats.errors.ProtocolError: it is not the protocol of NATS.
        """
        buffer = self._rest + data if self._rest else data
        self._rest = b""
        place, connection = 0, self._resets
        while (end := buffer.find(CRLF, place)) >= 0:
            start = end + len(CRLF)
            if buffer.startswith((b"MSG ", b"HMSG "), place):
                stop = await self._message(buffer, buffer[place:end].split(), start)
                if not stop:
                    break
            else:
                stop = start
                await super().parse(buffer[place:stop])
            if self._resets != connection:
                return  # what follows came from a connection that is no more
            place = stop
        self._rest = buffer[place:]

    async def _message(self, buffer: bytes, words: list[bytes], start: int) -> int:
        """Hand on the message whose body begins at `start`; return where it ends, 0 if later."""
        split, reply = start, b""
        try:
            if words[0] == b"HMSG":
                split += int(words.pop(-2))
            _, subject, sid, *replies, size = words
            number, stop = int(sid), start + int(size)
            if replies:
                (reply,) = replies
        except (IndexError, ValueError):
            raise nats.errors.ProtocolError from None
        if len(buffer) < stop + len(CRLF):
            return 0
        headers = buffer[start:split] if split > start else None
        body = buffer[split:stop]
        if not self.nc.hear(number, subject, reply, body, headers):
            await self.nc._process_msg(number, subject, reply, body, headers)
        return stop + len(CRLF)
