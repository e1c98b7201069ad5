import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.crypto import Cipher, CryptoError, decrypt_any
from queqiao_wechat.signature import sign
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APPID = "wx1234567890abcdef"
TOKEN = "bridge_token_2026"
TIMESTAMP, NONCE = "1767225600", "1320562132"

OFFICIAL = Cipher("A" * 43, "wxba5fad812f8e6fb9")
OURS = Cipher(KEY, APPID)

OFFICIAL_PUSH = (
    "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzD"
    "pVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2I"
    "uQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F"
    "9mFUPAJGj04="
)
OFFICIAL_PUSH_TEXT = (
    b'{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY",'
    b'"CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}'
)
OFFICIAL_REPLY = (
    "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="
)
PUSH_TEXT = (
    "<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName>"
    "<FromUserName><![CDATA[oABCDEFGHIJKLMNOPQRSTUVWXYZ0]]></FromUserName>"
    "<CreateTime>1767225600</CreateTime><MsgType><![CDATA[text]]></MsgType>"
    "<Content><![CDATA[你好，WeChat bridge]]></Content><MsgId>24000000000000001</MsgId></xml>"
).encode()
PUSH = (
    "Q3stYC6hdFzMh9T8HCvyDCQyqpkMFMj9MOk+gEzHaZIXPIkbtASWwl1fZ6kOnrlqU7KrPz3xADl0yJ3YyhwEppuNGt7hEPpU"
    "k8pBle74ryDSRvpWpOKSJHYGDntswgNFpLPic/ZGXe8h8UD3tQzRViGvKeCq6kaRleTzwyNljarANbEFwxMVR+nMU7+anVCT"
    "36ATffcEOCm+hwtNMPBG5ilLBn88ExUW9giqPDxoLcIS5xFfQBjuIq6aP6sgJTDLUrTFpzhH2UzJj+0tCpCLOZNlF5fcoksU"
    "0ZbSIf9Rh970yB8ydTTC2BAYlg6VWNTBehUb11L/sHXtWPPXu57ceZhw2nQFI0YveIqfxWpvuc2s/w+5Q95tGc1avlPbLRA1"
    "nmN9c4GV8z6xOIBn3iJ5XzDcqUjSA1RsFURA0Ig4THbslbtXbhfxS5fOzocd3kpb3dmsUSSzCcAaVrytkJbagQ=="
)
REPLY_TEXT = (
    "<xml><ToUserName><![CDATA[oABCDEFGHIJKLMNOPQRSTUVWXYZ0]]></ToUserName>"
    "<FromUserName><![CDATA[gh_0123456789ab]]></FromUserName><CreateTime>1767225601</CreateTime>"
    "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[收到]]></Content></xml>"
).encode()
REPLY = (
    "DpQeJfnf/MGZ/+GTIspwVF7dGxwINw03DhAg5nb39UYdANgQwtJdd8y5tiDFDXI4Ys7zqUad0mTbIV6rfXjls97m7l+BPpYA"
    "oqPHOLn3FiB8cgggawfhiiKEq2gChw6E9v81cU8czEphrcNMUHePvwFviT4Od+jElV2AUU8Z9oyqLBwD7XPPJsl66z5rR1dm"
    "9o90KTA5UMWb+qfcx6TXW8WtQ9nHGDo57npOxpJL/qqxyNF6BK37qOyQaxRjTjSxJFvwuKqBEytfdJ10cJTjUFVZBFqQsdfo"
    "ViNNXvyFnYzaYNk7JH4qJxoeIuHCRzJuIpU2J71VN9FGA4xwR9bIJ/epm40dgcK1r6eZfUY1BwT+5xreOLTs5H9RpyvGGfA1"
)
ALIGNED = (
    "Q3stYC6hdFzMh9T8HCvyDIKMpJ2YB/WJNYEsiBRSdP7uuAg59ygU0GcjEbNixcLfuHJQGfnGB/sQWDCwRYJJMDGHdyNXwaSN"
    "biwQT1k8/tsWyeRBQYAe1Gz/Qt+XUwyUUIp+aknDrfQgb3KrOmqtx7mZDePR4HTmJwW8v9iDCQA="
)
ECHO = "IcUfbvpKhaEdSeoj4fRoGHFtrqfB1Ii8dtP1mp6MMiSee4wYaeoFZ1HES1lUGw14xjVKWKN8+BY4BDIcgbv9SQ=="
BOT_TEXT = '{"msgtype":"stream","stream":{"id":"s1","finish":false,"content":"思考中"}}'.encode()
BOT_REPLY = (
    "uJsglMUPwicOJ0IA7eqTkhbGSD6iL6lXqm73NmoiNjkylPA4D7N9uBHCrJldaO6VovoSomKwDC5z7k+g2drRAb/9phAKXN/G"
    "zWAa091TqEr34NB9nQEk2YdtHF5CZCDLojYo+Y+W9sayq/CLffQN92qE0s7RxUaGrj+Z6GIJcXw="
)

VECTORS = [
    pytest.param(OFFICIAL, b"a8eedb185eb2fecf", OFFICIAL_PUSH_TEXT, OFFICIAL_PUSH, id="A-push"),
    pytest.param(
        OFFICIAL, b"707722b803182950", b'{"demo_resp":"good luck"}', OFFICIAL_REPLY, id="A-reply"
    ),
    pytest.param(OURS, b"0123456789abcdef", PUSH_TEXT, PUSH, id="B-push"),
    pytest.param(OURS, b"fedcba9876543210", REPLY_TEXT, REPLY, id="B-reply"),
    pytest.param(OURS, b"0123456789abcdef", b"x" * 58, ALIGNED, id="C-aligned"),
    pytest.param(
        Cipher(KEY, "ww1234567890abcdef"),
        b"AAAABBBBCCCCDDDD",
        b"1616140317555161061",
        ECHO,
        id="D-wecom",
    ),
    pytest.param(Cipher(KEY, ""), b"EEEEFFFFGGGGHHHH", BOT_TEXT, BOT_REPLY, id="E-bot"),
]
SIGNATURES = [
    ("AAAAA", "1714112445", "415670741", OFFICIAL_PUSH, "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"),
    (
        "AAAAA",
        "1713424427",
        "415670741",
        OFFICIAL_REPLY,
        "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1",
    ),
    (TOKEN, TIMESTAMP, NONCE, PUSH, "bfe5a0be7df3dec00faa255cfd3e7114e8fa2844"),
    (TOKEN, "1767225601", NONCE, REPLY, "f2b57d9266f2e80f622b9d3752f14fa5c9d991a9"),
    (TOKEN, TIMESTAMP, NONCE, ECHO, "2e1b8a32b5d107d5fb23ed99a4b9351573f2e040"),
    (TOKEN, TIMESTAMP, NONCE, BOT_REPLY, "0bfdd9e006cdcd3a66e350fcbc90497b2870492d"),
]


@pytest.mark.parametrize(("cipher", "random", "plain", "encrypted"), VECTORS)
def test_a_vector_is_reproduced_in_both_directions(cipher, random, plain, encrypted):
    assert cipher.encrypt(plain, random) == encrypted
    assert cipher.decrypt(encrypted) == plain


@pytest.mark.parametrize(("token", "timestamp", "nonce", "encrypted", "signature"), SIGNATURES)
def test_a_vector_is_signed_alike(token, timestamp, nonce, encrypted, signature):
    assert sign(token, timestamp, nonce, encrypted) == signature


def test_the_plain_url_signature_of_our_vector_is_reproduced():
    assert sign(TOKEN, TIMESTAMP, NONCE) == "56c3cca05049b77bd3b0b919151857a4adef987c"


@given(plain=st.binary(max_size=500), receive_id=st.sampled_from(["", APPID, "公司"]))
def test_what_is_encrypted_can_be_decrypted(plain, receive_id):
    cipher = Cipher(KEY, receive_id)

    encrypted = cipher.encrypt(plain)

    assert cipher.decrypt(encrypted) == plain
    assert len(base64.b64decode(encrypted)) % 32 == 0


@given(
    encrypted=st.one_of(st.text(), st.binary(max_size=200).map(base64.b64encode).map(bytes.decode))
)
def test_garbage_fails_in_one_way(encrypted):
    """Two texts for two causes would tell an attacker which bytes to try next."""
    with pytest.raises(CryptoError) as caught:
        OURS.decrypt(encrypted)

    assert str(caught.value) == str(CryptoError())
    assert caught.value.__cause__ is None


@given(position=st.integers(0, len(base64.b64decode(PUSH)) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_never_passes_for_the_original(position, bit):
    damaged = bytearray(base64.b64decode(PUSH))
    damaged[position] ^= 1 << bit
    try:
        plain = OURS.decrypt(base64.b64encode(damaged).decode())
    except CryptoError:
        return
    # CBC does not authenticate: that is what msg_signature is for.
    assert plain != PUSH_TEXT


def test_a_message_for_another_receiver_is_refused():
    with pytest.raises(CryptoError):
        Cipher(KEY, "wx0000000000000000").decrypt(PUSH)


def test_an_empty_ciphertext_is_refused():
    with pytest.raises(CryptoError):
        OURS.decrypt("")


def test_four_spellings_of_the_last_character_are_one_key():
    """The 43rd character has two spare bits; strict decoders refuse three of four keys."""
    for last in "EFGH":
        assert Cipher(KEY[:-1] + last, APPID).decrypt(PUSH) == PUSH_TEXT


@pytest.mark.parametrize(
    "key", ["", KEY[:-1], KEY + "=", KEY[:-1] + "-", KEY + "\n", KEY[:-1] + "中"]
)
def test_a_bad_key_is_refused_without_being_printed(key):
    with pytest.raises(ValueError, match="43 characters") as caught:
        Cipher(key, APPID)

    assert not key or key not in str(caught.value)


def test_the_key_does_not_stand_in_the_repr():
    assert KEY not in repr(OURS)
    assert APPID in repr(OURS)


def test_random_must_have_sixteen_bytes():
    with pytest.raises(ValueError, match="3 bytes"):
        OURS.encrypt(b"", b"abc")


def test_while_a_key_is_changed_either_decrypts():
    """Between saving a new key and its use everywhere, WeChat still sends with the old one."""
    new = Cipher("B" * 43, APPID)

    assert decrypt_any([new, OURS], PUSH) == (PUSH_TEXT, OURS)
    assert decrypt_any([OURS, new], PUSH) == (PUSH_TEXT, OURS)
    with pytest.raises(CryptoError):
        decrypt_any([new], PUSH)
    with pytest.raises(CryptoError):
        decrypt_any([], PUSH)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_wechatpy_reads_what_we_encrypt_and_we_read_what_it_encrypts(text):
    theirs = WeChatCrypto(TOKEN, KEY, APPID)
    encrypted = OURS.encrypt(text.encode())
    signature = sign(TOKEN, TIMESTAMP, NONCE, encrypted)
    envelope = f"<xml><Encrypt>{encrypted}</Encrypt></xml>"

    decrypted = theirs.decrypt_message(envelope, signature, TIMESTAMP, NONCE)
    sealed = theirs.encrypt_message(text, NONCE, TIMESTAMP)

    assert (decrypted if isinstance(decrypted, str) else decrypted.decode()) == text
    start = sealed.index("<Encrypt><![CDATA[") + len("<Encrypt><![CDATA[")
    assert OURS.decrypt(sealed[start : sealed.index("]]></Encrypt>")]) == text.encode()


def test_wechatpy_too_refuses_our_message_for_another_receiver():
    theirs = WeChatCrypto(TOKEN, KEY, "wx0000000000000000")
    envelope = f"<xml><Encrypt>{PUSH}</Encrypt></xml>"

    with pytest.raises(InvalidAppIdException):
        theirs.decrypt_message(envelope, sign(TOKEN, TIMESTAMP, NONCE, PUSH), TIMESTAMP, NONCE)
