from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_llm.sse import MAX_LINE, EventReader, LineTooLongError

STREAM = b': ping\r\n\r\nevent: x\nid: 7\ndata: {"a":1}\n\ndata:{"b":2}\r\n\r\ndata: [DONE]'
PAYLOADS = [b'{"a":1}', b'{"b":2}', b"[DONE]"]


def read(parts):
    reader = EventReader()
    found = [payload for part in parts for payload in reader.feed(part)]
    return found + reader.finish()


def test_only_what_follows_data_is_read():
    assert read([STREAM]) == PAYLOADS


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_where_the_network_cuts_makes_no_difference(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]

    assert read([STREAM[a:b] for a, b in pairwise(edges)]) == PAYLOADS


@given(st.lists(st.binary(max_size=50)))
def test_any_bytes_can_be_read(parts):
    assert all(isinstance(payload, bytes) for payload in read(parts))


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory():
    endless = [b"x" * (MAX_LINE // 2)] * 3

    with pytest.raises(LineTooLongError):
        read(endless)


def test_an_empty_payload_is_none():
    assert read([b"data:\n\ndata:  \n\n"]) == []
