"""Pages of `sync_msg`, as they come."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.client import AmbiguousError
from queqiao_wechat.kf_client import page_of


def test_a_page_is_read_and_events_have_their_ids_inside():
    page = page_of(
        {
            "errcode": 0,
            "next_cursor": "c1",
            "has_more": 1,
            "msg_list": [
                {"msgid": "m1", "open_kfid": "wk1", "external_userid": "wm1", "send_time": 5,
                 "origin": 3, "msgtype": "text", "text": {"content": "你好"}},
                {"msgid": "m2", "origin": 4, "msgtype": "event",
                 "event": {"event_type": "enter_session", "open_kfid": "wk1",
                           "external_userid": "wm1", "welcome_code": "W"}},
            ],
        }
    )  # fmt: skip

    said, entered = page.items
    assert (page.next_cursor, page.has_more) == ("c1", True)
    assert (said.external_userid, said.part("text")) == ("wm1", {"content": "你好"})
    assert (entered.open_kfid, entered.external_userid) == ("wk1", "wm1")
    assert entered.part("event")["welcome_code"] == "W"


def test_a_line_that_is_not_what_it_should_be_does_not_hide_the_others():
    page = page_of({"msg_list": [{"msgid": 5, "origin": "3", "text": "x"}, {"msgid": "m2"}]})

    assert [item.msgid for item in page.items] == ["", "m2"]
    assert page.items[0].part("text") == {}


@given(
    st.dictionaries(
        st.sampled_from(["next_cursor", "has_more", "msg_list"]),
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
        ),
    )
)
def test_no_answer_breaks_the_reader(answer):
    with contextlib.suppress(AmbiguousError):
        page_of(answer)


@pytest.mark.parametrize("answer", [{}, {"msg_list": []}])
def test_an_empty_page_is_a_page(answer):
    assert page_of(answer).items == ()
