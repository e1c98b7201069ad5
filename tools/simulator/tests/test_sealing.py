"""Bodies and queries of pushes, per mode (protocol reference 2)."""

import json
from urllib.parse import parse_qs

import pytest
from queqiao_simulator.answers import parse
from queqiao_simulator.sealing import opener, query, seal, verification
from queqiao_simulator.settings import AccountSettings
from queqiao_wechat.crypto import Cipher
from queqiao_wechat.signature import sign

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
FIELDS = {"ToUserName": "gh_x", "FromUserName": "oUser", "MsgType": "text", "Content": "你好"}


def account(mode):
    return AccountSettings(id="a", appid="wx1", token="bridge_token", aes_key=KEY, mode=mode)


def sealed_in(mode, fault="", fields=FIELDS):
    return seal(account(mode), Cipher(KEY, "wx1"), fields, fault)


def query_in(mode, fault=""):
    text = query(
        account(mode), sealed_in(mode), "oUser", now=1767225600.9, nonce="1320562132", fault=fault
    )
    return {name: value for name, [value] in parse_qs(text).items()}


def test_plain_mode_sends_plain_fields():
    assert parse(sealed_in("plain").body) == FIELDS
    assert set(query_in("plain")) == {"signature", "timestamp", "nonce", "openid"}


def test_safe_mode_sends_only_the_receiver_and_the_ciphertext():
    sealed = sealed_in("safe")
    tree = parse(sealed.body)

    assert set(tree) == {"ToUserName", "Encrypt"}
    assert parse(Cipher(KEY, "wx1").decrypt(tree["Encrypt"])) == FIELDS


def test_compatible_mode_sends_both():
    tree = parse(sealed_in("compat").body)

    assert tree == {**FIELDS, "Encrypt": tree["Encrypt"]}


@pytest.mark.parametrize("mode", ["safe", "compat"])
def test_encrypted_modes_sign_the_ciphertext(mode):
    cipher = Cipher(KEY, "wx1")
    sealed = seal(account(mode), cipher, FIELDS, "")
    text = query(account(mode), sealed, "oUser", now=1767225600, nonce="n", fault="")
    given = {name: value for name, [value] in parse_qs(text).items()}

    assert given["encrypt_type"] == "aes"
    assert given["msg_signature"] == sign("bridge_token", "1767225600", "n", sealed.encrypt)


def test_the_signature_is_that_of_the_reference():
    account = AccountSettings(id="a", appid="wx1", token="bridge_token_2026")
    sealed = seal(account, None, FIELDS, "")

    text = query(account, sealed, "oUser", now=1767225600, nonce="1320562132", fault="")

    assert "signature=56c3cca05049b77bd3b0b919151857a4adef987c" in text


def test_faults_spoil_the_push():
    assert parse(sealed_in("plain", "unknown_type").body)["MsgType"] == "hologram"
    assert parse(sealed_in("plain", "empty_content").body)["Content"] == ""
    assert parse(sealed_in("plain", "bad_appid").body)["ToUserName"] == "gh_000000000000"
    assert len(sealed_in("plain", "huge_body").body) > 1 << 20
    assert query_in("plain", "stale_timestamp")["timestamp"] == str(1767225600 - 3600)
    assert query_in("plain")["signature"] != query_in("plain", "wrong_signature")["signature"]


@pytest.mark.parametrize("fault", ["invalid_utf8", "entity_expansion"])
def test_malicious_bodies_do_not_parse(fault):
    with pytest.raises(ValueError, match="malformed XML"):
        parse(sealed_in("plain", fault).body)


def test_a_foreign_appid_cannot_be_decrypted():
    with pytest.raises(ValueError, match="cannot be decrypted"):
        Cipher(KEY, "wx1").decrypt(sealed_in("safe", "bad_appid").encrypt)


def test_verification_is_signed_rightly_or_not():
    right, wrong = (
        parse_qs(verification(account("plain"), now=1, nonce="n", echostr="e", right=right))
        for right in (True, False)
    )

    assert right["signature"] == [sign("bridge_token", "1", "n")]
    assert wrong["signature"] != right["signature"]


def reply(cipher, **changes):
    encrypt = cipher.encrypt(b"<xml/>")
    signature = sign("bridge_token", "1", "n", encrypt)
    envelope = {"Encrypt": encrypt, "MsgSignature": signature, "TimeStamp": "1", "Nonce": "n"}
    return envelope | changes


def test_a_sealed_reply_is_opened():
    cipher = Cipher(KEY, "wx1")

    assert opener(account("safe"), cipher)(reply(cipher)) == b"<xml/>"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"MsgSignature": "0" * 40}, "MsgSignature"),
        ({"Nonce": ""}, "Nonce is missing"),
    ],
)
def test_a_badly_sealed_reply_is_refused(changes, reason):
    cipher = Cipher(KEY, "wx1")

    with pytest.raises(ValueError, match=reason):
        opener(account("safe"), cipher)(reply(cipher, **changes))


def test_a_reply_for_another_appid_is_refused():
    with pytest.raises(ValueError, match="for this appid"):
        opener(account("safe"), Cipher(KEY, "wx1"))(reply(Cipher(KEY, "wx2")))


def test_the_old_key_is_used_when_asked():
    """Bots must open both while the console's key is being changed."""
    old = Cipher(KEY[::-1], "wx1")
    sealed = seal(account("safe"), Cipher(KEY, "wx1"), FIELDS, "old_key", old)

    assert parse(old.decrypt(sealed.encrypt)) == FIELDS


def test_a_reply_may_use_either_key():
    new, old = Cipher(KEY, "wx1"), Cipher(KEY[::-1], "wx1")

    assert opener(account("safe"), new, old)(reply(old)) == b"<xml/>"


def test_a_mini_program_may_have_json_beside_the_ciphertext():
    mini = AccountSettings(
        id="a",
        appid="wx1",
        token="bridge_token",
        aes_key=KEY,
        kind="miniprogram",
        mode="compat",
        format="json",
    )
    sealed = seal(mini, Cipher(KEY, "wx1"), FIELDS, "")
    tree = json.loads(sealed.body)

    assert sealed.content_type == "application/json"
    assert tree == {**FIELDS, "Encrypt": sealed.encrypt}


@pytest.mark.parametrize("fault", ["unknown_fields", "split_cdata"])
def test_strange_pushes_still_parse(fault):
    tree = parse(sealed_in("plain", fault).body)

    assert tree["Content"].startswith("你好")
    assert fault != "split_cdata" or "]]>" in tree["Content"]


def test_an_external_entity_is_declared():
    body = sealed_in("plain", "external_entity").body

    assert b"SYSTEM" in body
    with pytest.raises(ValueError, match="document type"):
        parse(body)
