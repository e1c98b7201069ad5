"""How far an account of WeChat Customer Service is pulled, and by whom: a document and its changes.

Pure. One process pulls at a time: it holds a lease, renewed with every page, that another may take
once it has ended. An announcement that comes while somebody pulls is counted in the document, and
whoever holds the lease goes round again before giving it back.
"""

from collections.abc import Iterable

from msgspec import Struct, structs

LEASE_MS = 15_000
"""How long a page may take; afterwards its puller is taken for dead."""
MARGIN_MS = 120_000
"""How much older than the first announcement a message may be and still be answered."""
REMEMBERED = 500
"""Messages of the latest pages: WeCom may list one again."""


class Cursor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One `open_kfid`. `wanted` counts announcements, `done` those whose messages are pulled.

    Messages sent before `since_ms` are not answered: without a cursor WeCom lists three days.
    """

    cursor: str = ""
    since_ms: int = 0
    wanted: int = 0
    done: int = 0
    token: str = ""
    pulled_ms: int = 0
    holder: str = ""
    lease_until_ms: int = 0
    seen: tuple[str, ...] = ()


class Peers(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The accounts of WeChat Customer Service that were ever announced for one of ours."""

    open_kfids: tuple[str, ...] = ()


def announced(cursor: Cursor | None, *, token: str, received_ms: int) -> tuple[Cursor, int]:
    """Note that there are messages, and return the number of this announcement."""
    known = cursor or Cursor(since_ms=received_ms - MARGIN_MS)
    wanted = known.wanted + 1
    return structs.replace(known, wanted=wanted, token=token or known.token), wanted


def taken(cursor: Cursor | None, *, holder: str, now_ms: int) -> tuple[Cursor | None, Cursor]:
    """Take the lease where nobody holds it; whose it is, the result says."""
    known = cursor or Cursor()
    if known.holder not in ("", holder) and known.lease_until_ms > now_ms:
        return None, known
    held = structs.replace(known, holder=holder, lease_until_ms=now_ms + LEASE_MS)
    return held, held


def advanced(
    cursor: Cursor | None, *, holder: str, next_cursor: str, msgids: Iterable[str], now_ms: int
) -> tuple[Cursor | None, bool]:
    """Note a page whose messages are published; False where another pulls by now."""
    if cursor is None or cursor.holder != holder:
        return None, False
    return (
        structs.replace(
            cursor,
            cursor=next_cursor or cursor.cursor,
            lease_until_ms=now_ms + LEASE_MS,
            pulled_ms=now_ms,
            seen=(*cursor.seen, *msgids)[-REMEMBERED:],
        ),
        True,
    )


def finished(cursor: Cursor | None, *, holder: str, upto: int) -> tuple[Cursor | None, bool]:
    """Give the lease back, unless more was announced since `upto`: then False, and it is kept."""
    if cursor is None or cursor.holder != holder:
        return None, True
    if cursor.wanted > upto:
        return structs.replace(cursor, done=upto), False
    return structs.replace(cursor, done=upto, holder="", lease_until_ms=0), True


def released(cursor: Cursor | None, *, holder: str) -> tuple[Cursor | None, None]:
    """Give the lease back after a failure."""
    if cursor is None or cursor.holder != holder:
        return None, None
    return structs.replace(cursor, holder="", lease_until_ms=0), None


def known_peer(peers: Peers | None, open_kfid: str) -> tuple[Peers | None, None]:
    """Remember an account that was announced."""
    known = peers or Peers()
    if open_kfid in known.open_kfids:
        return None, None
    return structs.replace(known, open_kfids=(*known.open_kfids, open_kfid)), None
