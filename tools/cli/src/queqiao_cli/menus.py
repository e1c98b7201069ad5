"""`queqiao menu`: the menu of an official account, kept in a file.

WeChat switches off the menu that was made in its web console once a callback is set.
"""

import argparse
import contextlib
import difflib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import tomli_w
from queqiao_common.errors import PermanentError, SettingsError, TransientError
from queqiao_common.settings import Account, load
from queqiao_wechat import menu
from queqiao_wechat.client import Api, ApiError, WeChatError, fetch_stable_token
from queqiao_wechat.menu import Menu, MenuFileError

from queqiao_cli.terminal import complain, say

KINDS = ("subscription", "service")
TIMEOUT = 15.0
NO_MENU = 46003


class _OneToken:
    """The account's stable token: asking for it again does not end the one that egress uses."""

    def __init__(self, http: httpx.AsyncClient, account: Account) -> None:
        self._http = http
        self._account = account

    async def get(self) -> str:
        """Return the token in use."""
        account = self._account
        token = await fetch_stable_token(
            self._http,
            api_base=account.api,
            appid=account.appid,
            secret=account.secret.reveal(),
        )
        return token.access_token

    async def renew(self, stale: str) -> str:
        """Return the token that WeChat gives now; nothing is ended by force from here."""
        del stale
        return await self.get()


async def show(options: argparse.Namespace) -> int:
    """Print the menu that users see."""
    async with _opened(options) as api:
        current, notes = await _current(api)
    say(*(menu.described(current) or ["no menu"]))
    complain(*notes)
    return 0


async def diff(options: argparse.Namespace) -> int:
    """Print what `apply` would change; exit code 1 where that is anything."""
    wanted = _read(options.file)
    async with _opened(options) as api:
        current, _ = await _current(api)
    changes = _changes(current, wanted)
    say(*(changes or ["no difference"]))
    return 1 if changes else 0


async def apply(options: argparse.Namespace) -> int:
    """Make the menu what the file says, if that is confirmed."""
    wanted = _read(options.file)
    async with _opened(options) as api:
        current, _ = await _current(api)
        changes = _changes(current, wanted)
        if not changes:
            say("no difference")
            return 0
        say(*changes)
        if not options.yes:
            say("nothing was changed: say --yes to do it")
            return 0
        await api.call("/cgi-bin/menu/create", menu.body_of(wanted))
    say("done; users see it within 24 hours, or when they follow anew")
    return 0


async def import_(options: argparse.Namespace) -> int:
    """Write the menu that users see as a file."""
    async with _opened(options) as api:
        current, notes = await _current(api)
    if not current.button:
        complain("there is no menu")
        return 1
    options.file.write_text(tomli_w.dumps(menu.body_of(current)), encoding="utf-8")
    say(f"{options.file}: {len(menu.described(current))} buttons")
    complain(*notes)
    return 0


@contextlib.asynccontextmanager
async def _opened(options: argparse.Namespace) -> AsyncIterator[Api]:
    config = load(options.config)
    account = config.account(options.account)
    if account is None:
        known = ", ".join(one.id for one in config.accounts) or "none"
        raise SettingsError((f"no account {options.account!r}; there are: {known}",))
    if account.kind not in KINDS:
        raise PermanentError(f"account {account.id!r} of kind {account.kind!r} has no such menu")
    async with httpx.AsyncClient(timeout=TIMEOUT) as http:
        try:
            yield Api(http, api_base=account.api, tokens=_OneToken(http, account))
        except WeChatError as error:
            raise _translated(error) from None


def _translated(error: WeChatError) -> Exception:
    kind = PermanentError if isinstance(error, ApiError) else TransientError
    return kind(str(error))


async def _current(api: Api) -> tuple[Menu, tuple[str, ...]]:
    """Return the menu made by API; where there is none, the one made by hand."""
    answer: dict[str, Any]
    try:
        answer = await api.read("/cgi-bin/menu/get")
    except ApiError as error:
        if error.errcode != NO_MENU:
            raise
        answer = await api.read("/cgi-bin/get_current_selfmenu_info")
    return menu.from_api(answer)


def _read(file: Path) -> Menu:
    try:
        return menu.parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError((f"cannot be read: {error.strerror}",), source=str(file)) from error
    except MenuFileError as error:
        raise SettingsError(error.problems, source=str(file)) from None


def _changes(current: Menu, wanted: Menu) -> list[str]:
    """Return the lines that go (-), come (+) and stay, or nothing where all stay."""
    before, after = menu.described(current), menu.described(wanted)
    return [] if before == after else list(_readable(difflib.ndiff(before, after)))


def _readable(lines: Iterable[str]) -> Iterable[str]:
    return (line.rstrip() for line in lines if not line.startswith("?"))
