import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.knowledge import (
    WORD_CODES,
    Chunk,
    Document,
    codes,
    collection_of,
    decode_document,
    document_key,
    encode_document,
    fold,
    object_digest,
    read_meta,
    version_of,
)

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


def test_a_document_comes_back_as_it_was_stored():
    document = Document(
        title="退款政策",
        source="退款.md",
        digest="ab",
        added_ms=1,
        chunks=(Chunk("多久到账", "三天。", "第 2 行"),),
        embed="e",
        dimensions=1,
        vectors=b"\x00\x3c",
    )

    assert decode_document(encode_document(document)) == document


def test_what_is_no_document_is_refused():
    with pytest.raises(msgspec.MsgspecError):
        decode_document(b"\xc1 not msgpack")


def test_a_key_names_its_collection():
    assert collection_of(document_key("faq", "退款/政策.md")) == "faq"


def test_words_and_pairs_are_terms():
    found = codes(fold("ＶＩＰ会员"))

    assert len(found) == 2
    assert found[0] < WORD_CODES <= found[1]
    assert found == codes(fold("vip 会员"))


def test_punctuation_is_never_part_of_a_term():
    assert codes(fold("退款，多久。到账！")) == codes(fold("退款 多久 到账"))


def test_a_character_that_stands_alone_is_a_term():
    assert len(codes("a 税 b")) == 3


@given(text=TEXT)
def test_terms_are_numbers_of_32_bits_whatever_the_text(text):
    assert all(0 <= code < 2**32 for code in codes(fold(text)))


def test_the_version_changes_with_a_document_of_these_collections_alone():
    before = {"faq/a.md": "1", "other/b.md": "1"}

    version = version_of(before, ["faq"])

    assert version_of(before | {"other/b.md": "2"}, ["faq"]) == version
    assert version_of(before | {"faq/a.md": "2"}, ["faq"]) != version
    assert version_of({"other/b.md": "1"}, ["faq"]) != version
    assert version_of(before, []) == "0"


def test_our_digest_is_the_brokers():
    """Source: what nats-py writes into the object's meta."""
    assert object_digest(b"x") == "SHA-256=LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaSIE="
    assert read_meta(b'{"name":"a/b","digest":"d","deleted":true,"chunks":1}').deleted
