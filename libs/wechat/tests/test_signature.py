from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.signature import is_signed, sign


def test_the_official_samples_are_reproduced():
    assert sign("AAAAA", "1714036504", "1514711492") == "f464b24fc39322e44b38aa78f5edd27bd1441696"
    assert sign("AAAAA", "1714037059", "486452656") == "899cf89e464efb63f54ddac96b0a0a235f53aa78"
    assert sign("AAAAA", "1714112445", "415670741") == "6c5c811b55cc85e0e1b54100749188c20beb3f5d"


def test_a_signature_must_match_exactly():
    right = sign("token", "1", "2")

    assert is_signed(right, "token", "1", "2")
    assert is_signed(right, "2", "1", "token")
    assert not is_signed(right.upper(), "token", "1", "2")
    assert not is_signed(right, "other", "1", "2")
    assert not is_signed("", "token", "1", "2")


@given(signature=st.text(), parts=st.lists(st.text(), max_size=4))
def test_no_query_string_makes_the_check_raise(signature, parts):
    """A crash on a stranger's query would be a 500, and WeChat would retry it."""
    assert not is_signed(signature, *parts)
    assert not is_signed(f"{signature}\ud800", *parts, "\udcff")
