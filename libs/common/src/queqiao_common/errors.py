"""Errors that carry the decision: whether the event may be tried again, and when.

QueqiaoError
├── SettingsError     the operator's configuration is wrong: exit 2, never a traceback
├── TransientError    worth trying again
│   ├── BrokerUnavailable   JetStream did not acknowledge in time
│   └── Postponed           nothing failed: it must wait, for another event or another replica
├── PermanentError    no repeat can help: the event is buried, and the turn is told
└── Conflict          compare-and-swap was lost too often
"""


class QueqiaoError(Exception):
    """Root of every error that Queqiao raises on purpose."""


class TransientError(QueqiaoError):
    """Worth trying again, `after` seconds from now (None: the consumer's backoff)."""

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class BrokerUnavailable(TransientError):  # noqa: N818 - named for what is the case
    """JetStream did not acknowledge in time: nothing may be assumed about the write."""


class Postponed(TransientError):  # noqa: N818 - named for what is the case
    """Nothing failed: the event must wait, for another event or another replica."""


class Conflict(TransientError):  # noqa: N818 - named for what is the case
    """A document changed under every one of our attempts."""


class PermanentError(QueqiaoError):
    """No repeat can help: the event goes to `dead.<subject>`, and the turn is told."""


class SettingsError(QueqiaoError):
    """The configuration is wrong; `problems` names every one by its key path."""

    def __init__(self, problems: tuple[str, ...], *, source: str = "") -> None:
        self.problems = problems
        self.source = source
        head = f"{source}: " if source else ""
        super().__init__(head + "; ".join(problems))
