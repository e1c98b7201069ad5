import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.errors import SettingsError
from queqiao_common.events import InboundMessage, encode
from queqiao_common.settings import Persona, Privacy, Rule, Secret
from queqiao_common.topology import INBOUND
from queqiao_ingress.callback import (
    SUCCESS,
    Callback,
    Door,
    Hold,
    Ignore,
    Publish,
    RejectedError,
    Reply,
)
from queqiao_ingress.doors import DOORS, open_doors
from queqiao_wechat.crypto import Cipher
from queqiao_wechat.signature import sign

from services.ingress.tests import wechat

NOW_MS = 1_767_225_600_500
VECTOR_ENCRYPT = (
    "Q3stYC6hdFzMh9T8HCvyDCQyqpkMFMj9MOk+gEzHaZIXPIkbtASWwl1fZ6kOnrlqU7KrPz3xADl0yJ3YyhwEppuNGt7hEPpU"
    "k8pBle74ryDSRvpWpOKSJHYGDntswgNFpLPic/ZGXe8h8UD3tQzRViGvKeCq6kaRleTzwyNljarANbEFwxMVR+nMU7+anVCT"
    "36ATffcEOCm+hwtNMPBG5ilLBn88ExUW9giqPDxoLcIS5xFfQBjuIq6aP6sgJTDLUrTFpzhH2UzJj+0tCpCLOZNlF5fcoksU"
    "0ZbSIf9Rh970yB8ydTTC2BAYlg6VWNTBehUb11L/sHXtWPPXu57ceZhw2nQFI0YveIqfxWpvuc2s/w+5Q95tGc1avlPbLRA1"
    "nmN9c4GV8z6xOIBn3iJ5XzDcqUjSA1RsFURA0Ig4THbslbtXbhfxS5fOzocd3kpb3dmsUSSzCcAaVrytkJbagQ=="
)
VECTOR_BODY = (
    f"<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName>"
    f"<Encrypt><![CDATA[{VECTOR_ENCRYPT}]]></Encrypt></xml>"
).encode()
VECTOR_QUERY = {
    "signature": "56c3cca05049b77bd3b0b919151857a4adef987c",
    "timestamp": "1767225600",
    "nonce": "1320562132",
    "encrypt_type": "aes",
    "msg_signature": "bfe5a0be7df3dec00faa255cfd3e7114e8fa2844",
}
VECTOR_REPLY = (
    "<xml><ToUserName><![CDATA[oABCDEFGHIJKLMNOPQRSTUVWXYZ0]]></ToUserName>"
    "<FromUserName><![CDATA[gh_0123456789ab]]></FromUserName><CreateTime>1767225601</CreateTime>"
    "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[收到]]></Content></xml>"
).encode()


def door(account=None) -> Door:
    account = account or wechat.account()
    return DOORS[account.kind](account, wechat.config(account))


def safe_door(**fields) -> Door:
    return door(wechat.safe_account(**fields))


def admit(plain: bytes, **fields):
    return door(wechat.account(**fields)).admit(wechat.signed(), plain, received_ms=NOW_MS)


def said(callback: Callback, text: str = "好", now: int = 1) -> bytes:
    return callback.wrapping.wrap(Reply(text), now=now)


def event_in(callback: Callback) -> InboundMessage:
    assert callback.message is not None
    return callback.message


def refusal(call, *arguments, **keywords) -> tuple[int, str]:
    with pytest.raises(RejectedError) as rejected:
        call(*arguments, **keywords)
    return rejected.value.status, rejected.value.reason


# -- URL verification ----------------------------------------------------------------------------


@pytest.mark.parametrize("one", [door(), safe_door()], ids=["plain", "safe"])
def test_a_signed_echostr_is_returned_unchanged(one):
    assert one.verify_url(wechat.signed(echostr=" 57+1/=")) == " 57+1/="


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"echostr": "1"},
        wechat.signed(echostr="1", signature="0" * 40),
        wechat.signed(echostr="1", signature="汉字"),
        wechat.signed(echostr="1", timestamp="1767225601"),
        wechat.signed(echostr="1") | {"nonce": ""},
        wechat.signed(),
    ],
)
def test_a_verification_with_anything_wrong_is_forbidden(query):
    status, _ = refusal(door().verify_url, query)

    assert status == 403


# -- modes ---------------------------------------------------------------------------------------


def test_the_reference_vector_passes_the_whole_door():
    """Made by an independent implementation: what WeChat sends, and what it must get."""
    callback = safe_door().admit(VECTOR_QUERY, VECTOR_BODY, received_ms=NOW_MS)

    answer = said(callback, "收到", 1767225601)

    assert event_in(callback).text == "你好，WeChat bridge"
    assert event_in(callback).openid == "oABCDEFGHIJKLMNOPQRSTUVWXYZ0"
    assert wechat.unsealed(answer) == VECTOR_REPLY


def test_the_official_json_sample_is_understood():
    plain = (
        b'{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY",'
        b'"CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}'
    )
    official = wechat.account(
        appid="wxba5fad812f8e6fb9", token=Secret("AAAAA"), aes_key=Secret("A" * 43)
    )
    encrypted = Cipher("A" * 43, "wxba5fad812f8e6fb9").encrypt(plain, b"a8eedb185eb2fecf")
    query = {
        "timestamp": "1714112445",
        "nonce": "415670741",
        "msg_signature": "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3",
    }
    body = msgspec.json.encode({"ToUserName": "gh_97417a04a28d", "Encrypt": encrypted})

    callback = door(official).admit(query, body, received_ms=NOW_MS)

    assert callback.facts["platform_event"] == "debug_demo"
    assert callback.purpose == Ignore()


def test_a_plain_push_is_answered_in_plain_xml():
    callback = admit(wechat.text("在吗"))

    assert event_in(callback).text == "在吗"
    assert wechat.said(said(callback, "在")) == "在"


def test_of_a_compatible_push_only_the_signed_part_counts():
    """The plaintext beside the ciphertext is not signed: anybody on the way can change it."""
    query, body = wechat.sealed(
        wechat.text("真的"), beside="<MsgType>text</MsgType><Content>假的</Content>"
    )

    callback = safe_door().admit(query, body, received_ms=NOW_MS)

    assert event_in(callback).text == "真的"
    assert b"<Encrypt>" in said(callback)


def test_a_push_under_the_previous_key_is_answered_under_it():
    """While keys are changed WeChat may still use the old one, and knows no other for the reply."""
    old = Cipher(wechat.OLD_AES_KEY, wechat.APPID)
    one = safe_door(previous_aes_key=Secret(wechat.OLD_AES_KEY))
    query, body = wechat.sealed(wechat.text(), cipher=old)

    answer = said(one.admit(query, body, received_ms=NOW_MS))

    assert wechat.said(wechat.unsealed(answer, cipher=old)) == "好"


def test_success_is_never_encrypted():
    query, body = wechat.sealed(wechat.text())
    callback = safe_door().admit(query, body, received_ms=NOW_MS)

    assert said(callback, "") == SUCCESS
    assert said(callback, " \x00\n") == SUCCESS


# -- refusals ------------------------------------------------------------------------------------


def test_an_account_with_a_key_takes_no_plaintext():
    """Else whoever saw one signed query could say anything in anybody's name."""
    refused = refusal(safe_door().admit, wechat.signed(), wechat.text(), received_ms=NOW_MS)

    assert refused == (403, "not_encrypted")


def test_safe_mode_needs_the_signature_that_covers_the_body():
    query, body = wechat.sealed(wechat.text())
    del query["msg_signature"]

    assert refusal(safe_door().admit, query, body, received_ms=NOW_MS) == (403, "bad_signature")


def test_another_ciphertext_under_the_same_signature_is_refused():
    query, _ = wechat.sealed(wechat.text("一"))
    _, body = wechat.sealed(wechat.text("二"))

    assert refusal(safe_door().admit, query, body, received_ms=NOW_MS) == (403, "bad_signature")


@pytest.mark.parametrize(
    "cipher",
    [
        Cipher(wechat.AES_KEY, "wx0000000000000000"),
        Cipher("Z" * 43, wechat.APPID),
    ],
    ids=["another appid", "another key"],
)
def test_all_that_can_be_wrong_with_a_ciphertext_looks_the_same(cipher):
    """A difference would be a padding oracle."""
    query, body = wechat.sealed(wechat.text(), cipher=cipher)

    assert refusal(safe_door().admit, query, body, received_ms=NOW_MS) == (403, "undecryptable")


def test_a_forged_plain_push_is_refused_before_it_is_read():
    query = wechat.signed(signature="0" * 40)

    assert refusal(door().admit, query, b"<", received_ms=NOW_MS) == (403, "bad_signature")


def test_what_wechat_signed_but_nobody_can_read_is_malformed():
    assert refusal(admit, b"<xml><MsgType>text") == (400, "malformed")


def test_safe_mode_without_a_key_is_named_for_the_operator():
    query, body = wechat.sealed(wechat.text())

    assert refusal(door().admit, query, body, received_ms=NOW_MS) == (400, "no_aes_key")


# -- what is published ---------------------------------------------------------------------------


def test_a_text_becomes_an_event_with_names_derived_from_facts():
    """The same on every replica and for every delivery: that is what drops the repeats."""
    message = event_in(admit(wechat.text("问题", msgid="7")))

    assert message.id == f"wx:main:{message.msgid}"
    assert message == event_in(admit(wechat.text("问题", msgid="7")))
    assert message.msgid != event_in(admit(wechat.text("问题", msgid="8"))).msgid
    assert message.received_ms == NOW_MS
    assert message.kind == "text"
    assert message.trigger == "message"
    assert wechat.OPENID not in INBOUND.of(message) + message.id


def test_a_tap_on_a_menu_in_a_message_counts_as_a_menu_click():
    tap = wechat.xml("<Content>继续</Content>", "<bizmsgmenuid>101</bizmsgmenuid>")

    message = event_in(admit(tap))

    assert (message.kind, message.text, message.trigger) == ("text", "继续", "menu")


def test_a_new_follower_is_published():
    callback = admit(wechat.event("subscribe", "<EventKey>qrscene_42</EventKey>"))

    assert isinstance(callback.purpose, Hold)
    assert event_in(callback).kind == "platform_event"
    assert event_in(callback).platform_event == "subscribe"
    assert event_in(callback).event_key == "qrscene_42"
    assert event_in(callback).trigger == "subscribe"


def test_a_new_follower_who_is_not_welcomed_does_not_wait_for_a_word():
    """Else a silent account would say after three windows that it is still thinking."""
    callback = admit(wechat.event("subscribe"), kind="subscription", welcome="")

    assert callback.purpose == Publish(event_in(callback), announces=False)


@pytest.mark.parametrize("name", ["LOCATION", "VIEW", "enter_agent", "brand_new", ""])
def test_other_platform_events_are_only_acknowledged(name):
    callback = admit(wechat.event(name))

    assert callback.purpose == Ignore()
    assert callback.facts["platform_event"] == name.lower()


@pytest.mark.parametrize("kind", ["image", "voice", "video", "shortvideo", "hologram"])
def test_every_other_type_of_message_is_published_as_unsupported(kind):
    """The user gets a word about it, instead of silence."""
    callback = admit(wechat.xml(kind=kind))

    assert (event_in(callback).kind, event_in(callback).msg_type) == ("unsupported", kind)


def test_unknown_types_and_fields_are_kept_and_named():
    callback = admit(wechat.xml("<Pixels>4</Pixels>", kind="hologram"))

    assert event_in(callback).details == {"Pixels": "4"}
    assert callback.facts["fields"] == ["Pixels"]
    assert callback.facts["msg_type"] == "hologram"


def test_a_text_without_text_is_no_question():
    assert event_in(admit(wechat.text(" \n"))).kind == "unsupported"


def test_no_secret_can_be_read_in_what_might_be_logged():
    query, body = wechat.sealed(wechat.text())
    callback = safe_door().admit(query, body, received_ms=NOW_MS)

    assert wechat.TOKEN not in repr(callback)
    assert wechat.AES_KEY not in repr(callback)


# -- held or not ---------------------------------------------------------------------------------

CLICK = wechat.event("CLICK", "<EventKey>BTN_HELP</EventKey>")
SCAN = wechat.event("SCAN", "<EventKey>inv42</EventKey>")
FOLLOW = wechat.event("subscribe", "<EventKey>qrscene_inv42</EventKey>")
ENTER = wechat.event("user_enter_tempsession", "<SessionFrom>home</SessionFrom>")


@pytest.mark.parametrize(
    ("body", "rule", "is_held"),
    [
        (CLICK, Rule(on="click", values=("BTN_HELP",), reply="帮助"), True),
        (CLICK, Rule(on="click", values=("BTN_",), match="prefix", ask="帮助"), True),
        (CLICK, Rule(on="click", values=("^BTN",), match="regex", handover=True), True),
        (CLICK, Rule(on="click", reply="帮助"), True),
        (CLICK, Rule(on="click", values=("OTHER",), reply="帮助"), False),
        (CLICK, Rule(on="click", persona="silent"), False),
        (CLICK, Rule(on="click", persona="greeter"), True),
        (CLICK, Rule(on="click", values=(" btn_help ",), reply="帮助"), True),
        (CLICK, Rule(on="scan", reply="帮助"), False),
        (CLICK, Rule(on="click", reply="帮助", accounts=("other",)), False),
        (SCAN, Rule(on="scan", values=("inv42",), reply="欢迎"), True),
        (FOLLOW, Rule(on="scan", values=("inv42",), reply="欢迎"), True),
        (FOLLOW, Rule(on="subscribe", reply="欢迎"), True),
        (ENTER, Rule(on="enter", values=("home",), reply="欢迎"), True),
        (wechat.event("unsubscribe"), Rule(on="subscribe", reply="欢迎"), False),
        (wechat.event("kf_close_session"), Rule(on="enter", reply="欢迎"), False),
    ],
)
def test_a_platform_event_is_held_where_something_will_be_said(body, rule, is_held):
    """What nobody answers nobody releases: the user would read that we are still thinking."""
    account = wechat.account(kind="subscription", welcome="")
    never = Rule(on="click", values=("ELSE",), reply="别的")
    personas = {"silent": Persona(), "greeter": Persona(greeting="你好")}
    config = wechat.replaced(wechat.config(account), rules=(never, rule), personas=personas)

    callback = open_doors(config)["main"].admit(wechat.signed(), body, received_ms=NOW_MS)

    assert isinstance(callback.purpose, Hold if is_held else Publish)


def test_a_scene_is_told_without_its_prefix():
    assert event_in(admit(FOLLOW)).scene == event_in(admit(SCAN)).scene == "inv42"


def test_the_user_to_be_erased_is_the_one_that_the_event_names():
    """The sender of such a push is not always the user whom it is about."""
    body = wechat.event("user_authorization_revoke", "<OpenID>oOTHER</OpenID>")

    assert event_in(admit(body)).openid == "oOTHER"


def test_an_event_that_names_nobody_is_acknowledged():
    body = b"<xml><ToUserName>gh_1</ToUserName><MsgType>event</MsgType><Event>scan</Event></xml>"

    assert admit(body).purpose == Ignore()


# -- doors ---------------------------------------------------------------------------------------


def test_the_doors_hash_users_with_the_configured_pepper():
    plain = wechat.config()
    peppered = msgspec.structs.replace(plain, privacy=Privacy(pepper=Secret("other")))

    convs = {
        event_in(
            open_doors(one)["main"].admit(wechat.signed(), wechat.text(), received_ms=NOW_MS)
        ).conv
        for one in (plain, plain, peppered)
    }

    assert len(convs) == 2


def test_every_account_with_a_useless_secret_is_named_at_once():
    bad = (
        wechat.account(id="open", token=Secret("")),
        wechat.account(id="short", aes_key=Secret("short")),
        wechat.safe_account(id="changing", previous_aes_key=Secret("short")),
    )

    with pytest.raises(SettingsError) as wrong:
        open_doors(wechat.config(*bad))

    assert [problem.split(":")[0] for problem in wrong.value.problems] == [
        "accounts[open].token",
        "accounts[short].aes_key",
        "accounts[changing].previous_aes_key",
    ]
    assert "short" not in "".join(p.partition(": ")[2] for p in wrong.value.problems)


# -- anything at all -----------------------------------------------------------------------------

QUERIES = st.dictionaries(
    st.sampled_from(
        ["signature", "msg_signature", "timestamp", "nonce", "echostr", "encrypt_type", "openid"]
    ),
    st.text(st.characters()),
)
ANY_DOOR = st.sampled_from([door(), safe_door(), safe_door(previous_aes_key=Secret("G" * 43))])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Content", "MsgId", "Event", "EventKey"]
)
TYPES = st.sampled_from(["text", "event", "image", "video", "location", "link", "voice"])
OBJECTS = st.builds(
    lambda fields, kind: {"ToUserName": "gh_1", "FromUserName": "o1", "MsgType": kind} | fields,
    st.dictionaries(NAMES | st.text(), VALUES),
    TYPES,
)
BODIES = (
    st.binary()
    | st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.text("<>/![]CDAxml&;\"'= \n你").map(str.encode)
    | OBJECTS.map(msgspec.json.encode)
    | st.builds(lambda body, cut: body[:cut], st.just(VECTOR_BODY), st.integers(0, 900))
)


def signed_for(query: dict[str, str], *parts: str) -> str:
    return sign(wechat.TOKEN, query.get("timestamp", ""), query.get("nonce", ""), *parts)


@given(one=ANY_DOOR, query=QUERIES, body=BODIES)
def test_a_stranger_gets_nothing_but_refusals(one, query, body):
    for call in (lambda: one.verify_url(query), lambda: one.admit(query, body, received_ms=NOW_MS)):
        status, _ = refusal(call)
        assert status == 403


def admitted(one: Door, query: dict[str, str], body: bytes) -> Callback | None:
    """Admit what is signed; if it is refused, then for what it says."""
    try:
        return one.admit(query, body, received_ms=NOW_MS)
    except RejectedError as rejected:
        if rejected.status != 400:
            raise
        return None


@given(query=QUERIES, body=BODIES)
def test_whatever_is_signed_is_read_or_refused(query, body):
    """No body may end in an error 500, which WeChat shows to the user."""
    callback = admitted(door(), query | {"signature": signed_for(query)}, body)

    if callback is not None:
        assert said(callback)
    if callback is not None and callback.message is not None:
        message = callback.message
        assert msgspec.json.decode(encode(message), type=InboundMessage) == message
        assert INBOUND.of(message).count(".") == 3


@given(query=QUERIES, plain=BODIES, text=st.text(st.characters()))
def test_whatever_is_sealed_is_read_or_refused(query, plain, text):
    encrypted = wechat.CIPHER.encrypt(plain)
    query = query | {"msg_signature": signed_for(query, encrypted)}
    body = msgspec.json.encode({"ToUserName": "gh_1", "Encrypt": encrypted})

    callback = admitted(safe_door(), query, body)

    assert callback is None or isinstance(said(callback, text), bytes)


@given(query=QUERIES, encrypted=st.text() | st.binary().map(lambda raw: raw.hex()))
def test_a_signed_ciphertext_of_anything_is_refused(query, encrypted):
    query = query | {"msg_signature": signed_for(query, encrypted)}
    body = msgspec.json.encode({"Encrypt": encrypted})

    status, _ = refusal(safe_door().admit, query, body, received_ms=NOW_MS)

    assert status == 403
