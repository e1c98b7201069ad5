import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.sealed import MAX_CIPHERTEXTS, ciphertexts


@pytest.mark.parametrize(
    "body",
    [
        b"<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[Q+/=]]></Encrypt></xml>",
        b"<xml>\n <Encrypt>\n  Q+/=\n </Encrypt>\n</xml>",
        b'{"ToUserName":"gh_1","Encrypt":"Q+/="}',
        b'{"ToUserName":"gh_1", "Encrypt" : "Q+\\/="}',
        b'{"encrypt":"Q+/="}',
        b"<xml><Content>hi</Content><Encrypt><![CDATA[Q+/=]]></Encrypt><MsgId>1</MsgId></xml>",
    ],
)
def test_the_ciphertext_is_found_in_every_spelling(body):
    assert ciphertexts(body) == ("Q+/=",)


def test_a_text_that_looks_like_a_ciphertext_does_not_hide_the_real_one():
    """A user of an account in compatible mode may well write this."""
    body = (
        b"<xml><Content><![CDATA[<Encrypt>AAAA</Encrypt>]]></Content>"
        b"<Encrypt><![CDATA[BBBB]]></Encrypt></xml>"
    )

    assert ciphertexts(body) == ("AAAA", "BBBB")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml></xml>",
        b"<xml><Encrypt></Encrypt></xml>",
        b"<xml><Encrypt>not base64!</Encrypt></xml>",
        b'{"Encrypt":1}',
        b'{"Encrypt":""}',
        b"<Encrypt>AAAA",
    ],
)
def test_a_body_without_a_ciphertext_has_none(body):
    assert ciphertexts(body) == ()


def test_more_than_a_few_are_not_looked_at():
    assert len(ciphertexts(b"<Encrypt>A</Encrypt>" * 3000)) == MAX_CIPHERTEXTS


@given(st.binary(max_size=2000))
def test_anything_is_read_without_an_error(body):
    ciphertexts(body)
