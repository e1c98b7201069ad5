"""What is said in the dialogues, and what is expected of the answers."""

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

FOLDER = Path(__file__).with_name("scripts")
ROOT = Path(__file__).parents[2]


class Expect(Struct, frozen=True, forbid_unknown_fields=True):
    """What rules can tell of an answer; `criterion` is for the model that judges.

    An entry of `has` holds alternatives, divided by `|`. `gives_away` is what must not be told yet,
    `idiom` the character that an idiom has to begin with, `poem` its form (`5x4`: four lines of
    five), `is_new`: it is no repetition of the answer before.
    """

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    min_chars: int = 0
    max_chars: int = 0
    cites: str = ""
    asks: bool | None = None
    number: str = ""
    gives_away: str = ""
    idiom: str = ""
    poem: str = ""
    is_new: bool = False
    criterion: str = ""


class Turn(Struct, frozen=True, forbid_unknown_fields=True):
    """One message of the user."""

    say: str
    expect: Expect = Expect()


class Dialogue(Struct, frozen=True, forbid_unknown_fields=True):
    """One user's conversation."""

    name: str
    turns: tuple[Turn, ...]


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """The dialogues of one scenario. `enter` is the word that switches a user to its persona.

    `documents` is the folder of those that it looks answers up in, as the `collection` of its name.
    """

    enter: str
    dialogues: tuple[Dialogue, ...]
    documents: str = ""
    collection: str = ""


def read(*names: str) -> dict[str, Scenario]:
    """Return the scenarios of these names, or all."""
    files = [FOLDER / f"{name}.toml" for name in names] or sorted(FOLDER.glob("*.toml"))
    return {
        file.stem: msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Scenario)
        for file in files
    }
