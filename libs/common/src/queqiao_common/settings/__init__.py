"""The configuration: one TOML file for all services, read once; the only reader of the environment.

The whole schema stands here, a module for each of its rooms. Unknown keys are refused and all
errors are reported at once, each by its key path. `${NAME}` takes a value from the environment and
`${file:/path}` from a mounted secret. A `Secret` is looked up only when it is used, so that a
service which does not need the AppSecret need not be given it.
"""

from queqiao_common.settings.base import Name, Secret, Section, environment, expand
from queqiao_common.settings.broker import Nats, Tls
from queqiao_common.settings.budgets import Budgets, Ceiling, PersonaBudget, Tier
from queqiao_common.settings.cache import Cache
from queqiao_common.settings.channel import Account, Delivery, IngressSettings
from queqiao_common.settings.config import SCHEMES, SERVICE_SECRETS, Config
from queqiao_common.settings.conversation import ContextSettings, Notes, Persona
from queqiao_common.settings.knowledge import Knowledge
from queqiao_common.settings.media import Media
from queqiao_common.settings.models import Kserve, LlmSettings, Model
from queqiao_common.settings.moderation import Moderation, ModerationProvider, Privacy, WordList
from queqiao_common.settings.pages import Pages
from queqiao_common.settings.reading import load, parse
from queqiao_common.settings.rules import Handover, Rule, RuleCard
from queqiao_common.settings.tools import Tools, ToolServer

__all__ = [
    "SCHEMES",
    "SERVICE_SECRETS",
    "Account",
    "Budgets",
    "Cache",
    "Ceiling",
    "Config",
    "ContextSettings",
    "Delivery",
    "Handover",
    "IngressSettings",
    "Knowledge",
    "Kserve",
    "LlmSettings",
    "Media",
    "Model",
    "Moderation",
    "ModerationProvider",
    "Name",
    "Nats",
    "Notes",
    "Pages",
    "Persona",
    "PersonaBudget",
    "Privacy",
    "Rule",
    "RuleCard",
    "Secret",
    "Section",
    "Tier",
    "Tls",
    "ToolServer",
    "Tools",
    "WordList",
    "environment",
    "expand",
    "load",
    "parse",
]
