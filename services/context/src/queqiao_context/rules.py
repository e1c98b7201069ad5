"""What the pure parts of the service are told: settings, and the time."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, structs
from queqiao_common.settings import (
    Account,
    Config,
    ContextSettings,
    Handover,
    Media,
    Notes,
    Pages,
    Persona,
    Rule,
)

from queqiao_context.overload import Shed

Agents = Literal["none", "each", "once"]
"""How users are given to the platform's agents: not at all, message by message, or once for all."""

AGENTS: Mapping[str, Agents] = {
    "subscription": "each",
    "service": "each",
    "miniprogram": "each",
    "wecom_kf": "once",
}
"""By kind of account. Source: protocol reference 4 and 10.3."""

REPEATS_MS = 10_000
"""WeChat delivers a message that nobody answers thrice, five seconds apart."""


class Rules(Struct, frozen=True, kw_only=True):
    """What the state machine is told of one account, and of now.

    `window_ms` is for how long after its arrival a message's request is held open (0: it is not),
    `page_id` the id of the page that a turn opened now would have. `facts` are the notes about the
    user; None: they have not been read yet.
    """

    settings: ContextSettings
    epoch: str
    now_ms: int
    passive_only: bool = False
    window_ms: int = 0
    agents: Agents = "none"
    persona: str = "assistant"
    personas: dict[str, Persona] = {}
    welcome: str = ""
    rules: tuple[Rule, ...] = ()
    handover: Handover = Handover()
    notes: Notes = Notes()
    media: Media = Media()
    pages: Pages = Pages()
    page_id: str = ""
    shed: Shed = Shed.NOTHING
    facts: tuple[str, ...] | None = None

    def persona_of(self, chosen: str) -> tuple[str, Persona]:
        """Return who answers a user that chose this persona, with its name.

        It is the account's where they chose none, or one that is no longer configured.
        """
        name = chosen if chosen in self.personas else self.persona
        return name, self.personas.get(name) or Persona()

    @property
    def can_hand_over(self) -> bool:
        """Whether there is anybody to whom a user could be given."""
        return self.handover.enabled and self.agents != "none"

    @property
    def tells_of_people(self) -> bool:
        """Whether ingress holds callbacks for nothing but what is to be passed on to people."""
        return self.agents == "each" and not self.window_ms


class FactsNeeded(Exception):  # noqa: N818 - a question, not an accident
    """The notes about the user must be read before this can be decided."""


def rules_for(config: Config, account_id: str) -> Rules:
    """Return what the settings say of an account; one that is no longer configured has defaults.

    What is true of now alone has to be put in.
    """
    account = config.account(account_id)
    shared = Rules(
        settings=config.context,
        epoch="",
        now_ms=0,
        personas=config.personas,
        rules=tuple(one for one in config.rules if not one.accounts or account_id in one.accounts),
        handover=config.handover,
        notes=config.notes,
        media=config.media,
        pages=config.pages,
    )
    return shared if account is None else _of_account(shared, account)


def _of_account(rules: Rules, account: Account) -> Rules:
    return structs.replace(
        rules,
        passive_only=account.mode == "passive",
        window_ms=_window_ms(account),
        agents=AGENTS.get(account.kind, "none"),
        persona=account.persona,
        welcome=account.welcome,
    )


def _window_ms(account: Account) -> int:
    window = int(account.passive_window * 1000)
    return {"auto": window, "passive": REPEATS_MS + window}.get(account.mode, 0)
