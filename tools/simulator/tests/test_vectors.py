"""The simulator writes what the protocol reference's vectors say, byte for byte (2.4)."""

import base64
import hashlib
from urllib.parse import parse_qs

import msgspec
import pytest
from queqiao_simulator import envelope, sealing
from queqiao_simulator.answers import Expected, Reply, judge
from queqiao_simulator.bot_answers import judge as judge_bot
from queqiao_simulator.settings import AccountSettings
from queqiao_wechat.crypto import Cipher
from queqiao_wechat.signature import sign

TOKEN = "bridge_token_2026"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APPID = "wx1234567890abcdef"
TIMESTAMP, NONCE = "1767225600", "1320562132"
INBOUND = {
    "ToUserName": "gh_0123456789ab",
    "FromUserName": "oABCDEFGHIJKLMNOPQRSTUVWXYZ0",
    "CreateTime": 1767225600,
    "MsgType": "text",
    "Content": "你好，WeChat bridge",
    "MsgId": 24000000000000001,
}
REPLY_ENCRYPT = (
    "DpQeJfnf/MGZ/+GTIspwVF7dGxwINw03DhAg5nb39UYdANgQwtJdd8y5tiDFDXI4Ys7zqUad0mTbIV6rfXjls97m7l+BPpYA"
    "oqPHOLn3FiB8cgggawfhiiKEq2gChw6E9v81cU8czEphrcNMUHePvwFviT4Od+jElV2AUU8Z9oyqLBwD7XPPJsl66z5rR1dm"
    "9o90KTA5UMWb+qfcx6TXW8WtQ9nHGDo57npOxpJL/qqxyNF6BK37qOyQaxRjTjSxJFvwuKqBEytfdJ10cJTjUFVZBFqQsdfo"
    "ViNNXvyFnYzaYNk7JH4qJxoeIuHCRzJuIpU2J71VN9FGA4xwR9bIJ/epm40dgcK1r6eZfUY1BwT+5xreOLTs5H9RpyvGGfA1"
)


class Dealt(Cipher):
    """Deals the random prefix of a vector instead of drawing one."""

    def __init__(self, aes_key, receive_id, prefix):
        super().__init__(aes_key, receive_id)
        self.prefix = prefix

    def encrypt(self, plain, random=None):
        return super().encrypt(plain, random or self.prefix)


def account(**more):
    common = {"id": "a", "appid": APPID, "token": TOKEN, "aes_key": KEY, "mode": "safe"}
    return AccountSettings(**(common | more))


def signed(settings, sealed, nonce=NONCE, now=float(TIMESTAMP)):
    text = sealing.query(settings, sealed, "o", now=now, nonce=nonce, fault="")
    return {name: value for name, [value] in parse_qs(text).items()}


def test_a_the_official_sample():
    zeros = "A" * 43
    sample = account(
        appid="wxba5fad812f8e6fb9",
        token="AAAAA",
        aes_key=zeros,
        kind="miniprogram",
        format="json",
    )
    push = {
        "ToUserName": "gh_97417a04a28d",
        "FromUserName": "o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
        "CreateTime": 1714112445,
        "MsgType": "event",
        "Event": "debug_demo",
        "debug_str": "hello world",
    }
    cipher = Dealt(zeros, "wxba5fad812f8e6fb9", b"a8eedb185eb2fecf")
    sealed = sealing.seal(sample, cipher, push, "")
    query = signed(sample, sealed, "415670741", 1714112445.0)
    reply = (
        "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="
    )
    envelope_of_reply = {
        "Encrypt": reply,
        "MsgSignature": "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1",
        "TimeStamp": 1713424427,
        "Nonce": "415670741",
    }

    assert query["signature"] == "6c5c811b55cc85e0e1b54100749188c20beb3f5d"
    assert query["msg_signature"] == "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"
    assert sealed.encrypt.startswith("+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOz")
    assert len(base64.b64decode(sealed.encrypt)) == 224
    assert sealing.opener(sample, cipher)(envelope_of_reply) == b'{"demo_resp":"good luck"}'


def test_a_the_url_of_the_official_sample():
    sample = account(token="AAAAA")
    text = sealing.verification(sample, now=1714036504, nonce="1514711492", echostr="e", right=True)

    assert "signature=f464b24fc39322e44b38aa78f5edd27bd1441696" in text


def test_b_a_push_in_safe_mode():
    settings = account()
    sealed = sealing.seal(settings, Dealt(KEY, APPID, b"0123456789abcdef"), INBOUND, "")
    query = signed(settings, sealed)

    assert len(envelope.render(INBOUND)) == 287
    assert query["signature"] == "56c3cca05049b77bd3b0b919151857a4adef987c"
    assert query["msg_signature"] == "bfe5a0be7df3dec00faa255cfd3e7114e8fa2844"
    assert sealed.encrypt.startswith("Q3stYC6hdFzMh9T8HCvyDCQyqpkMFMj9MOk+gEzHaZIXPIkbtASWwl1f")
    assert sealed.encrypt.endswith("JbagQ==")


def test_b_the_reply_is_judged():
    settings, cipher = account(), Cipher(KEY, APPID)
    answer = envelope.render(
        {
            "Encrypt": REPLY_ENCRYPT,
            "MsgSignature": "f2b57d9266f2e80f622b9d3752f14fa5c9d991a9",
            "TimeStamp": 1767225601,
            "Nonce": NONCE,
        }
    )
    expected = Expected("oABCDEFGHIJKLMNOPQRSTUVWXYZ0", "gh_0123456789ab")

    judged = judge(answer, expected, sealing.opener(settings, cipher), sealed=True)

    assert judged == Reply("text", "收到")


def test_c_a_frame_that_is_aligned_already():
    encrypt = Dealt(KEY, APPID, b"0123456789abcdef").encrypt(b"x" * 58)

    assert encrypt == (
        "Q3stYC6hdFzMh9T8HCvyDIKMpJ2YB/WJNYEsiBRSdP7uuAg59ygU0GcjEbNixcLfuHJQGfnGB/sQWDCwRYJJMDGHdyNX"
        "waSNbiwQT1k8/tsWyeRBQYAe1Gz/Qt+XUwyUUIp+aknDrfQgb3KrOmqtx7mZDePR4HTmJwW8v9iDCQA="
    )


def test_d_the_verification_of_a_wecom_address():
    settings = account(kind="wecom", appid="ww1234567890abcdef")
    cipher = Dealt(KEY, "ww1234567890abcdef", b"AAAABBBBCCCCDDDD")
    text = sealing.verification(
        settings,
        now=float(TIMESTAMP),
        nonce=NONCE,
        echostr="1616140317555161061",
        right=True,
        cipher=cipher,
    )
    query = {name: value for name, [value] in parse_qs(text).items()}

    assert query["msg_signature"] == "2e1b8a32b5d107d5fb23ed99a4b9351573f2e040"
    assert query["echostr"] == (
        "IcUfbvpKhaEdSeoj4fRoGHFtrqfB1Ii8dtP1mp6MMiSee4wYaeoFZ1HES1lUGw14xjVKWKN8+BY4BDIcgbv9SQ=="
    )


def test_e_the_answer_of_an_ai_bot():
    settings = account(kind="wecom_bot")
    encrypt = (
        "uJsglMUPwicOJ0IA7eqTkhbGSD6iL6lXqm73NmoiNjkylPA4D7N9uBHCrJldaO6VovoSomKwDC5z7k+g2drRAb/9phAK"
        "XN/GzWAa091TqEr34NB9nQEk2YdtHF5CZCDLojYo+Y+W9sayq/CLffQN92qE0s7RxUaGrj+Z6GIJcXw="
    )
    answer = {
        "encrypt": encrypt,
        "msgsignature": "0bfdd9e006cdcd3a66e350fcbc90497b2870492d",
        "timestamp": int(TIMESTAMP),
        "nonce": NONCE,
    }
    decrypt = sealing.opener(settings, Cipher(KEY, ""))

    judged = judge_bot(msgspec.json.encode(answer), "message", decrypt, 20480)

    assert judged == Reply("stream", "思考中", {"stream": "s1", "finish": False})


@pytest.mark.parametrize("last", "EFGH")
def test_the_last_character_of_a_key_has_stray_bits(last):
    assert Cipher(KEY[:-1] + last, APPID).encrypt(b"x", b"0" * 16) == Cipher(KEY, APPID).encrypt(
        b"x", b"0" * 16
    )


def test_signatures_sort_their_parts():
    assert sign("b", "a", "c") == hashlib.sha1(b"abc", usedforsecurity=False).hexdigest()
