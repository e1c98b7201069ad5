"""Writes every push down as a line of JSON, in memory or a file; `replay` plays it again.

A recording holds what users wrote and their openids: keep it as carefully as the chats.
"""

from collections import deque
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Struct, field

from queqiao_simulator import sealing
from queqiao_simulator.judging import Job

KEPT = 100_000  # pushes in memory


class Recorded(Struct, kw_only=True, omit_defaults=True):
    """One push. `at` is Unix seconds of the platform's clock.

    `fields` is what it says (of customer service, what waits to be pulled); `query`, `body` and
    `content_type` are a signed delivery, with which it can be posted again as it was. An
    encrypted body is readable only with the key.
    """

    at: float
    account: str
    user: str
    openid: str
    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    msgid: str = ""
    query: str = ""
    body: str = ""
    content_type: str = sealing.XML


class Recorder:
    """Notes pushes in memory while it is on, and in a file for as long as it has one."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.is_on = False
        self._lines: deque[bytes] = deque(maxlen=KEPT)
        self._file: IO[bytes] | None = path.open("ab") if path is not None else None

    def start(self) -> None:
        """Note pushes in memory from now on, in the place of what was noted before."""
        self._lines.clear()
        self.is_on = True

    def stop(self) -> None:
        """Note nothing more in memory; what was noted stays."""
        self.is_on = False

    def lines(self) -> list[bytes]:
        """What memory holds."""
        return list(self._lines)

    def note(self, job: Job, now: float) -> None:
        """Write one push down, before it is delivered."""
        if self._file is None and not self.is_on:
            return
        line = msgspec.json.encode(recorded(job, now)) + b"\n"
        if self.is_on:
            self._lines.append(line)
        if self._file is not None:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        """Write nothing more into the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def recorded(job: Job, now: float) -> Recorded:
    """The line of one push."""
    account, push = job.account, job.push
    sealed = sealing.seal(account.settings, account.cipher, job.fields, "")
    query = sealing.query(
        account.settings, sealed, job.conversation.openid, now=now, nonce=job.nonce, fault=""
    )
    return Recorded(
        at=round(now, 3),
        account=push.account,
        user=push.user,
        openid=push.openid,
        kind=push.what,
        fields=dict(job.said or job.fields),
        msgid=push.msgid or "",
        query=query,
        body=sealed.body.decode(errors="replace"),
        content_type=sealed.content_type,
    )
