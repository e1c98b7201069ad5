"""The menu of an official account, kept in a file, against the simulated platform."""

import argparse
from pathlib import Path

import httpx
import pytest
from queqiao_cli import menus
from queqiao_common.errors import PermanentError, SettingsError
from queqiao_simulator.app import create_app
from queqiao_simulator.server import serving
from queqiao_simulator.settings import AccountSettings, Settings
from queqiao_wechat.menu import parse

CONFIG = """
[[accounts]]
id = "main"
appid = "wx1"
token = "abcdef"
secret = "s"
api_base = "{url}"
[[accounts]]
id = "kf"
kind = "wecom_kf"
appid = "ww1"
token = "abcdef"
aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
"""
FILE = """
[[button]]
name = "帮助"
type = "click"
key = "HELP"
[[button]]
name = "更多"
[[button.sub_button]]
name = "官网"
type = "view"
url = "https://a.example/"
"""


@pytest.fixture
async def platform():
    account = AccountSettings(id="main", appid="wx1", secret="s", token="abcdef")
    async with serving(create_app(Settings(accounts=(account,)))) as url:
        yield url


@pytest.fixture
def options(platform, tmp_path: Path) -> argparse.Namespace:
    config = tmp_path / "queqiao.toml"
    config.write_text(CONFIG.format(url=platform))
    file = tmp_path / "menu.toml"
    file.write_text(FILE)
    return argparse.Namespace(config=config, account="main", file=file, yes=False)


async def test_a_menu_is_compared_applied_shown_and_imported_again(options, capsys):
    assert await menus.diff(options) == 1
    assert "+ 1 帮助  [click key=HELP]" in capsys.readouterr().out

    assert await menus.apply(options) == 0
    assert "nothing was changed" in capsys.readouterr().out
    options.yes = True
    assert await menus.apply(options) == 0
    assert await menus.diff(options) == 0

    capsys.readouterr()
    assert await menus.show(options) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "1 帮助  [click key=HELP]",
        "2 更多",
        "2.1 官网  [view url=https://a.example/]",
    ]
    options.file = options.file.with_name("imported.toml")
    assert await menus.import_(options) == 0
    assert parse(options.file.read_text()) == parse(FILE)


async def test_a_change_is_shown_as_what_goes_and_what_comes(options, capsys):
    options.yes = True
    await menus.apply(options)
    options.file.write_text(FILE.replace("HELP", "HILFE"))
    capsys.readouterr()

    assert await menus.diff(options) == 1

    lines = capsys.readouterr().out.splitlines()
    assert "- 1 帮助  [click key=HELP]" in lines
    assert "+ 1 帮助  [click key=HILFE]" in lines
    assert "  2 更多" in lines


async def test_egress_keeps_its_token(options, platform):
    """A plain token call would end the one in use."""
    await menus.show(options)

    async with httpx.AsyncClient() as http:
        calls = (await http.get(f"{platform}/control/calls")).json()
    assert {call["path"] for call in calls} >= {"/cgi-bin/stable_token"}
    assert not any(call["path"] == "/cgi-bin/token" for call in calls)


async def test_every_mistake_of_a_file_is_named_before_wechat_is_asked(options):
    options.file.write_text('[[button]]\nname = ""\ntype = "click"\n')

    with pytest.raises(SettingsError) as caught:
        await menus.apply(options)

    assert caught.value.problems == (
        "button 1: it has no name",
        "button 1: type 'click' needs key",
    )


async def test_an_account_without_such_a_menu_is_refused(options):
    options.account = "kf"
    with pytest.raises(PermanentError, match="has no such menu"):
        await menus.show(options)
    options.account = "nobody"
    with pytest.raises(SettingsError, match="there are: main, kf"):
        await menus.show(options)
