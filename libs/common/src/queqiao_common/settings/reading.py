"""From a file to a `Config`: all errors at once, each by its key path."""

import os
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from queqiao_common.errors import SettingsError
from queqiao_common.settings.base import Secret, Section, expand
from queqiao_common.settings.config import Config, cross_checks

SECRETS = (Secret, tuple[Secret, ...], dict[str, Secret])
"""The types of keys that hold secrets."""


def load(
    path: Path, environ: Mapping[str, str] | None = None, *, needs: tuple[str, ...] = ()
) -> Config:
    """Read the configuration file.

    `needs` are the secrets that this process will use (`accounts.secret`): they must be there.

    Raises:
        SettingsError: with every problem of the file, each by its key path.
    """
    env = os.environ if environ is None else environ
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(("no such file (QUEQIAO_CONFIG names it)",), source=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError((f"cannot be read: {error}",), source=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError((f"not TOML: {error}",), source=str(path)) from None
    return parse(table, env, needs=needs, source=str(path))


def parse(
    table: dict[str, Any],
    environ: Mapping[str, str],
    *,
    needs: tuple[str, ...] = (),
    source: str = "",
) -> Config:
    """Turn a parsed file into a `Config`; `QUEQIAO_NATS_URL` wins over `nats.url`.

    Raises:
        SettingsError: as `load`.
    """
    if url := environ.get("QUEQIAO_NATS_URL"):
        nats = table.get("nats", {})
        table = {**table, "nats": {**nats, "url": url} if isinstance(nats, dict) else nats}
    problems: list[str] = []
    config = _build(Config, table, "", environ, problems)
    if isinstance(config, Config):
        problems += cross_checks(config)
        problems += _missing_secrets(config, needs)
    if problems:
        raise SettingsError(tuple(problems), source=source)
    return typing.cast("Config", config)


def _build(
    kind: Any, value: Any, path: str, environ: Mapping[str, str], problems: list[str]
) -> Any:
    """Convert one value, noting every problem below it instead of stopping at the first."""
    kind = _unwrapped(kind)
    if kind is Secret:
        if isinstance(value, str):
            return Secret(value, environ)
        problems.append(f"{path}: expected text")
        return Secret()
    if isinstance(kind, type) and issubclass(kind, Section):
        return _build_section(kind, value, path, environ, problems)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(value, list) and _is_built(arguments[0]):
        return tuple(
            _build(arguments[0], item, f"{path}[{_label(item, index)}]", environ, problems)
            for index, item in enumerate(value)
        )
    if origin is dict and isinstance(value, dict) and _is_built(arguments[1]):
        return {
            key: _build(arguments[1], item, f"{path}.{key}", environ, problems)
            for key, item in value.items()
        }
    return _convert(kind, value, path, environ, problems)


def _build_section(
    kind: type[Section], value: Any, path: str, environ: Mapping[str, str], problems: list[str]
) -> Section | None:
    if not isinstance(value, dict):
        problems.append(f"{path}: expected a table")
        return None
    before = len(problems)
    hints = typing.get_type_hints(kind, include_extras=True)
    built: dict[str, Any] = {}
    for key, item in value.items():
        at = f"{path}.{key}" if path else key
        if key not in hints:
            problems.append(f"{at}: unknown key{_suggestion(key, hints)}")
        else:
            built[key] = _build(hints[key], item, at, environ, problems)
    problems.extend(
        f"{path}.{info.name}: required".lstrip(".")
        for info in msgspec.structs.fields(kind)
        if info.required and info.name not in value
    )
    return kind(**built) if len(problems) == before else None


def _convert(
    kind: Any, value: Any, path: str, environ: Mapping[str, str], problems: list[str]
) -> Any:
    try:
        return msgspec.convert(_expanded(value, environ), kind)
    except SettingsError as error:
        problems.extend(f"{path}: {problem}" for problem in error.problems)
    except msgspec.ValidationError as error:
        problems.append(f"{path}: {str(error)[:1].lower()}{str(error)[1:]}")
    return None


def _expanded(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return expand(value, environ)
    if isinstance(value, list):
        return [_expanded(item, environ) for item in value]
    if isinstance(value, dict):
        return {key: _expanded(item, environ) for key, item in value.items()}
    return value


def _unwrapped(kind: Any) -> Any:
    """Look through what annotates a secret, or several, and through `Section | None`."""
    if get_origin(kind) is Annotated and get_args(kind)[0] in SECRETS:
        return get_args(kind)[0]
    if get_origin(kind) in {Union, types.UnionType}:
        for option in get_args(kind):
            if _holds_section(option):
                return option
    return kind


def _is_built(kind: Any) -> bool:
    """Whether entries of this type are more than msgspec can convert."""
    return kind is Secret or _holds_section(kind)


def _holds_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _label(item: Any, index: int) -> str:
    """Name an entry of an array by its id, as an operator thinks of it."""
    if isinstance(item, dict):
        for key in ("id", "name"):
            if isinstance(item.get(key), str):
                return str(item[key])
    return str(index)


def _suggestion(key: str, known: Mapping[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _missing_secrets(config: Config, needs: tuple[str, ...]) -> Iterator[str]:
    for need in needs:
        for at, secret in _secrets(config, need.split("."), ""):
            try:
                secret.reveal()
            except SettingsError as error:
                yield from (f"{at}: {problem}" for problem in error.problems)


def _secrets(value: Any, path: Sequence[str], at: str) -> Iterator[tuple[str, Secret]]:
    """Find every secret that a path of keys leads to, and say where each stands.

    `accounts[wecom_kf]` are the accounts of that kind.
    """
    if isinstance(value, tuple):
        for one in value:
            yield from _secrets(one, path, at if isinstance(one, Secret) else f"{at}[{one.id}]")
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _secrets(one, path, f"{at}.{key}")
    elif isinstance(value, Secret):
        yield at, value
    elif value is not None:
        name, _, kind = path[0].rstrip("]").partition("[")
        found = getattr(value, name)
        if kind:
            found = tuple(one for one in found if one.kind == kind)
        yield from _secrets(found, path[1:], f"{at}.{name}".lstrip("."))
