"""A conversation over WebSocket, for the protocols that are spoken over one."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)

from queqiao_llm.completion import MAX_ANSWER, ModelFailed, Reason
from queqiao_llm.providers.http_status import reason_of, retry_after

CONNECT = 5.0
"""Seconds for a connection to be made, with TLS and the upgrade."""
CLOSE = 0.2
"""Seconds that the other side may take to say good-bye: the turn is over, or has no time left."""

# At its debug level the library logs addresses, which are signed, and frames, which are prompts.
SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001 - nothing can enable it


class Talk:
    """Both directions of a conversation that is open."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._heard = 0

    async def say(self, message: bytes) -> None:
        """Send one text message, given as UTF-8."""
        await self._connection.send(message, text=True)

    async def hear(self) -> bytes:
        """Return the next message, for as long as all of them together have an answer's size.

        Raises:
            ModelFailed: they have more.
        """
        message = await self._connection.recv(decode=False)
        self._heard += len(message)
        if self._heard > MAX_ANSWER:
            raise ModelFailed(Reason.GARBAGE, detail=f"more than {MAX_ANSWER} bytes")
        return message


@contextlib.asynccontextmanager
async def talking(url: str, headers: Mapping[str, str]) -> AsyncIterator[Talk]:
    """Open a conversation and close it behind the block.

    There are no keepalive pings: how long the other side may be silent is the caller's business.

    Raises:
        ModelFailed: the connection was not made, or was lost within the block.
    """
    try:
        async with connect(
            url,
            additional_headers=headers,
            open_timeout=CONNECT,
            close_timeout=CLOSE,
            ping_interval=None,
            max_size=MAX_ANSWER,
            compression=None,
            logger=SILENT,
        ) as connection:
            yield Talk(connection)
    # None of these is kept as a cause: their texts may quote the server, or a signed address.
    except InvalidStatus as error:
        status, named = error.response.status_code, error.response.headers.get("Retry-After", "")
        after = retry_after(named, time.time())
        raise ModelFailed(reason_of(status), status=status, after=after) from None
    except (OSError, InvalidURI, ProxyError) as error:  # a TimeoutError is an OSError
        raise ModelFailed(Reason.UNREACHABLE, detail=type(error).__name__) from None
    except InvalidHandshake as error:
        raise ModelFailed(Reason.GARBAGE, detail=type(error).__name__) from None
    except ConnectionClosedOK as error:
        raise ModelFailed(Reason.INCOMPLETE, detail=type(error).__name__) from None
    except ConnectionClosed as error:
        raise ModelFailed(Reason.DISCONNECTED, detail=type(error).__name__) from None
