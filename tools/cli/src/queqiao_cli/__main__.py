"""The `queqiao` command: what it can do, as a table, and how it is called."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queqiao_common.errors import QueqiaoError, SettingsError
from queqiao_common.settings import environment
from queqiao_common.topology import SERVICES
from queqiao_simulator.replay import SIMULATOR

from queqiao_cli import (
    cache,
    checking,
    conversations,
    dead,
    menus,
    replaying,
    running,
    topology,
    usage,
)
from queqiao_cli.knowledge import commands as knowledge
from queqiao_cli.plan import PORTS, PlanError
from queqiao_cli.terminal import complain

Run = Callable[[argparse.Namespace], int | Coroutine[Any, Any, int]]
Argument = tuple[tuple[str, ...], dict[str, Any]]


def _takes(*names: str, **options: Any) -> Argument:
    return names, options


@dataclass(frozen=True)
class Command:
    """One command: its words, what runs it, what it does, its arguments."""

    words: str
    run: Run
    does: str
    takes: tuple[Argument, ...] = ()


def _configured() -> Path | None:
    name = environment("QUEQIAO_CONFIG")
    return Path(name) if name else None


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 20:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 20")
    return int(text)


FILE = _takes("file", metavar="FILE", type=Path)
CONFIG = _takes(
    "--config",
    metavar="FILE",
    type=Path,
    default=_configured() or Path("queqiao.toml"),
    help="default: QUEQIAO_CONFIG, else queqiao.toml",
)
MODELS = _takes(
    "--config",
    metavar="FILE",
    type=Path,
    default=_configured(),
    help="your configuration, for its models, personas, words and texts (default: QUEQIAO_CONFIG)",
)
RUNNING = (
    _takes("--replicas", metavar="N", type=_count, default=1, help="of each service"),
    _takes(
        "--port",
        metavar="NAME=PORT",
        action="append",
        default=[],
        help=f"may be repeated; {', '.join(PORTS)} (or QUEQIAO_<NAME>_PORT)",
    ),
    _takes("--state", metavar="FOLDER", help="of the broker (default: .queqiao/demo, .queqiao/up)"),
)
LETTER = _takes("id", metavar="ID", type=int)
LETTERS = _takes("ids", metavar="ID", type=int, nargs="*")
EVERY_LETTER = _takes("--all", action="store_true", help="every letter there is")
BODY = _takes("--body", action="store_true", help="print what was said, too")
USER = (_takes("account", metavar="ACCOUNT"), _takes("openid", metavar="OPENID"))
MENU_ACCOUNT = _takes("account", metavar="ACCOUNT")
MENU = _takes("file", metavar="FILE", type=Path, help="the menu, as TOML")
ANSWER_ID = _takes("id", metavar="ID", help="the beginning of it is enough")
ANSWER_IDS = _takes("ids", metavar="ID", nargs="+", help="the beginning of each is enough")
ONE_ANSWER = _takes("ids", metavar="ID", nargs=1, help="the beginning of it is enough")
TEXT = _takes("text", metavar="TEXT", help="the new answer; -: from standard input")
ACCOUNT = _takes("--account", metavar="ACCOUNT", help="needed where there are several")
PIN = _takes("--pin", action="store_true", help="keep the models' answers for good, too")
PATHS = _takes("paths", metavar="PATH", type=Path, nargs="+", help="Markdown, text, CSV, PDF, DOCX")
INTO = _takes("--collection", metavar="NAME", required=True, help="what personas name it by")
FROM = _takes("--collection", metavar="NAME", help="this one alone")
SEARCHED = _takes("--collection", metavar="NAME", action="append", help="this one; may be repeated")
TITLE = _takes("--title", metavar="TITLE", help="answers name it as their source (default: name)")
DOCUMENT = _takes("document", metavar="COLLECTION/FILE")
DOCUMENTS = _takes("documents", metavar="COLLECTION/FILE", nargs="+")
QUESTION = _takes("question", metavar="QUESTION")
USAGE = (
    _takes("--day", metavar="DAY", type=usage.day, help="one day, like 2026-01-31"),
    _takes("--days", metavar="N", type=usage.days, default=1, help="the last ones (default: 1)"),
    _takes("--by", choices=usage.GROUPS, default="account", help="default: account"),
    _takes("--json", action="store_true", help="for machines"),
)
REPLAY = (
    _takes("--speed", metavar="X", type=replaying.speed, default=1.0,
           help="times the original; 0: without pauses (default: 1)"),
    _takes("--to", metavar="URL", default=SIMULATOR,
           help=f"of a simulator, or with --exactly of a callback (default: {SIMULATOR})"),
    _takes("--exactly", action="store_true", help="the bytes as they were recorded"),
)  # fmt: skip
YES = _takes("--yes", action="store_true", help="do it; otherwise it is only counted")

COMMANDS = (
    Command("demo", running.run_demo, "start everything, with a simulated WeChat to chat in",
            (MODELS, *RUNNING)),
    Command("up", running.run_up, "start the broker and the services with your configuration",
            (FILE, *RUNNING)),
    Command("service", running.run_service, "run one service",
            (_takes("name", choices=SERVICES),)),
    Command("config check", checking.check, "name every problem of a configuration", (FILE,)),
    Command("topology apply", topology.apply, "make the broker as the code declares it", (CONFIG,)),
    Command("topology show", topology.show, "print the declaration and what differs", (CONFIG,)),
    Command("dead list", dead.list_letters, "list events that could not be processed", (CONFIG,)),
    Command("dead show", dead.show, "print what is known of one", (LETTER, BODY, CONFIG)),
    Command("dead replay", dead.replay, "run them again", (LETTERS, EVERY_LETTER, CONFIG)),
    Command("dead drop", dead.drop, "erase them", (LETTERS, EVERY_LETTER, CONFIG)),
    Command("conversation show", conversations.show, "summarise one user's", (*USER, CONFIG)),
    Command("conversation export", conversations.export, "print all of it as JSON",
            (*USER, CONFIG)),
    Command("conversation forget", conversations.forget, "erase all of it for good",
            (*USER, YES, CONFIG)),
    Command("menu show", menus.show, "print the menu that users see", (MENU_ACCOUNT, CONFIG)),
    Command("menu diff", menus.diff, "print what apply would change",
            (MENU_ACCOUNT, MENU, CONFIG)),
    Command("menu apply", menus.apply, "make the menu what a file says",
            (MENU_ACCOUNT, MENU, YES, CONFIG)),
    Command("menu import", menus.import_, "write the menu that users see as a file",
            (MENU_ACCOUNT, MENU, CONFIG)),
    Command("replay", replaying.run, "play recorded pushes again", (FILE, *REPLAY)),
    Command("usage", usage.show, "print what answers took and cost", (*USAGE, CONFIG)),
    Command("warm", cache.warm, "keep answers before anybody asks",
            (FILE, ACCOUNT, PIN, CONFIG)),
    Command("cache list", cache.list_answers, "list the answers that are kept", (CONFIG,)),
    Command("cache show", cache.show, "print one", (ANSWER_ID, CONFIG)),
    Command("cache pin", cache.pin, "keep them for good", (ANSWER_IDS, CONFIG)),
    Command("cache edit", cache.edit, "put another text in its place, for good",
            (ONE_ANSWER, TEXT, CONFIG)),
    Command("cache withdraw", cache.withdraw, "remove them", (ANSWER_IDS, CONFIG)),
    Command("knowledge add", knowledge.add, "take in files, or all of a folder that can be read",
            (PATHS, INTO, TITLE, CONFIG)),
    Command("knowledge list", knowledge.list_documents, "list the documents", (FROM, CONFIG)),
    Command("knowledge show", knowledge.show, "print one, as models are given it",
            (DOCUMENT, CONFIG)),
    Command("knowledge remove", knowledge.remove, "remove them", (DOCUMENTS, CONFIG)),
    Command("knowledge search", knowledge.search, "print what is found for a question",
            (QUESTION, SEARCHED, CONFIG)),
    Command("knowledge sync", knowledge.sync, "fill the vector store anew", (CONFIG,)),
)  # fmt: skip
GROUPS = {
    "config": "look at a configuration",
    "topology": "look after the broker's streams",
    "dead": "look after events that could not be processed",
    "conversation": "what is kept of one user",
    "cache": "look after the answers that everybody gets",
    "menu": "look after the menu of an official account",
    "knowledge": "look after the documents that answers are looked up in",
}


def parser() -> argparse.ArgumentParser:
    """Return the command line that the table describes."""
    root = argparse.ArgumentParser(
        prog="queqiao", description="Queqiao 鹊桥 connects WeChat users to language models."
    )
    groups = {"": root.add_subparsers(required=True, metavar="COMMAND")}
    for command in COMMANDS:
        group, _, name = command.words.rpartition(" ")
        if group not in groups:
            about = groups[""].add_parser(group, help=GROUPS[group], description=GROUPS[group])
            groups[group] = about.add_subparsers(required=True, metavar="COMMAND")
        leaf = groups[group].add_parser(name, help=command.does, description=command.does)
        leaf.set_defaults(run=command.run)
        for names, options in command.takes:
            leaf.add_argument(*names, **options)
    return root


def main() -> None:
    """Run a command: exit code 0; 1 when it failed; 2 for a wrong configuration or call."""
    options = parser().parse_args()
    try:
        result = options.run(options)
        code = result if isinstance(result, int) else asyncio.run(result)
    except SettingsError as error:
        from queqiao_common.runtime import print_problems  # loads FastAPI, which we do not need

        print_problems(error)
        code = 2
    except (PlanError, QueqiaoError) as error:
        complain(str(error))
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
