"""What accounts may be told, by their kind."""

import pytest
from queqiao_common.errors import SettingsError
from queqiao_common.settings import SERVICE_SECRETS, load

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ACCOUNT = """
[[accounts]]
id = "a"
kind = "{kind}"
appid = "ww1"
agent_id = 7
token = "${{TOKEN}}"
secret = "s"
aes_key = "${{AES_KEY}}"
{more}
"""


def loaded(tmp_path, kind, environ, *, more="", needs=()):
    file = tmp_path / "queqiao.toml"
    file.write_text(ACCOUNT.format(kind=kind, more=more))
    return load(file, environ=environ, needs=needs)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("service", ()), ("wecom", ()), ("wecom_kf", ("TOKEN",)), ("wecom_bot", ("AES_KEY",))],
)
def test_egress_needs_a_callbacks_secrets_of_some_kinds_alone(tmp_path, kind, missing):
    """Least privilege: most accounts' callback tokens are none of its business."""
    try:
        loaded(tmp_path, kind, {}, needs=SERVICE_SECRETS["egress"])
        problems = ()
    except SettingsError as error:
        problems = error.problems

    assert len(problems) == len(missing)
    assert all(name in problem for name, problem in zip(missing, problems, strict=True))


def test_markdown_is_refused_where_no_client_shows_it(tmp_path):
    environ = {"TOKEN": "t", "AES_KEY": KEY}
    with pytest.raises(SettingsError, match=r"accounts\[a\]\.markdown"):
        loaded(tmp_path, "wecom", environ, more="markdown = true")

    shown = loaded(tmp_path, "wecom", environ, more='markdown = true\ndelivery = "active"')
    assert shown.accounts[0].markdown
