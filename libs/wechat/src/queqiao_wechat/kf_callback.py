"""The callback of WeChat Customer Service (微信客服): it announces messages and carries none.

Source: protocol reference 10.3.
"""

from msgspec import Struct

from queqiao_wechat.fields import MessageError, parse_fields

ANNOUNCEMENT = "kf_msg_or_event"
_NAMES = frozenset({"ToUserName", "CreateTime", "MsgType", "Event", "Token", "OpenKfId"})


class KfCallback(Struct, frozen=True, kw_only=True):
    """Something waits at `open_kf_id`; `token` (ten minutes) lets one pull it.

    Only where `is_announcement`: WeCom may push other events through the same door, whose `name`
    says what they are. `fields` are those that no attribute holds.
    """

    to_user: str
    name: str
    open_kf_id: str = ""
    token: str = ""
    fields: dict[str, str] = {}

    @property
    def is_announcement(self) -> bool:
        """Whether there is something to pull."""
        return self.name == ANNOUNCEMENT and bool(self.open_kf_id)


def parse_kf_callback(body: bytes) -> KfCallback:
    """Read a decrypted callback.

    Raises:
        MessageError: the body is not well-formed (see `parse_fields`), or no event.
    """
    fields = parse_fields(body)
    name = fields.get("Event", "").strip().lower()
    if not name:
        raise MessageError("body has no Event")
    return KfCallback(
        to_user=fields.get("ToUserName", "").strip(),
        name=name,
        open_kf_id=fields.get("OpenKfId", "").strip(),
        token=fields.get("Token", "").strip(),
        fields={key: value for key, value in fields.items() if key not in _NAMES},
    )
