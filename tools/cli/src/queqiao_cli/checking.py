"""`queqiao config check`: is the file right, and what does it say? Secrets are never shown."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from queqiao_common.errors import SettingsError
from queqiao_common.settings import SERVICE_SECRETS, Account, Config, load

from queqiao_cli.terminal import say


def check(options: argparse.Namespace) -> int:
    """Say `ok` and what the file describes.

    Raises:
        SettingsError: with every problem of the file.
    """
    config = load(options.file)
    say(f"{options.file}: ok", *summary(config, missing_secrets(options.file)))
    return 0


def missing_secrets(file: Path) -> dict[str, tuple[str, ...]]:
    """Name, for each service, the secrets that this environment does not have."""
    missing = {}
    for service, needs in SERVICE_SECRETS.items():
        try:
            load(file, needs=needs)
        except SettingsError as error:
            missing[service] = error.problems
    return missing


def summary(config: Config, missing: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Describe a configuration to the person who wrote it."""
    return [
        *_titled("accounts", map(_account, config.accounts)),
        *_titled("models", (f"{one.id}: {one.model} at {one.base_url}" for one in config.models)),
        *_titled("routes", (f"{name}: {' -> '.join(to)}" for name, to in config.routes.items())),
        *_titled(
            "secrets that this environment lacks (each service needs only its own)",
            (f"{service}: {problem}" for service, all_ in missing.items() for problem in all_),
        ),
    ]


def _titled(title: str, lines: Iterator[str]) -> list[str]:
    found = [f"  {line}" for line in lines]
    return [title, *found] if found else [f"{title}: none"]


def _account(account: Account) -> str:
    sealed = "safe mode" if account.aes_key else "plain or compatible mode"
    return (
        f"{account.id}: {account.kind} account {account.appid}, {account.mode} delivery, {sealed}, "
        f"persona {account.persona}, API at {account.api}"
    )
