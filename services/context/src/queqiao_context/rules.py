"""What the pure parts of the service are told: settings, and the time."""

from msgspec import Struct
from queqiao_common.settings import ContextSettings


class Rules(Struct, frozen=True, kw_only=True):
    """What the state machine is told of one account, and of now."""

    settings: ContextSettings
    passive_only: bool
    persona: str
    route: str
    welcome: str
    epoch: str
    now_ms: int
