import msgspec
from queqiao_llm.completion import Call, Message, Question, Tool
from queqiao_llm.providers.openai_question import body_of


def written(*messages, tools=()):
    return msgspec.json.decode(body_of({"model": "m"}, Question(messages, tools)))


def test_messages_are_as_the_protocol_has_them():
    body = written(Message("system", "你是助手"), Message("user", "你好"))

    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "你是助手"},
            {"role": "user", "content": "你好"},
        ],
    }


def test_pictures_are_parts_beside_the_text():
    [message] = written(Message("user", "这是什么？", pictures=("data:image/png;base64,AA==",)))[
        "messages"
    ]

    assert message["content"] == [
        {"type": "text", "text": "这是什么？"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]


def test_a_call_and_its_result_find_each_other():
    call = Call("call_1", "clock", "{}")
    asked, told = written(
        Message("assistant", "", calls=(call,)), Message("tool", "三点", answers="call_1")
    )["messages"]

    assert asked["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    ]
    assert told == {"role": "tool", "content": "三点", "tool_call_id": "call_1"}


def test_tools_are_offered_with_their_schema():
    schema = {"type": "object", "properties": {}}
    body = written(Message("user", "几点了？"), tools=(Tool("clock", "时间", schema),))

    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "clock", "description": "时间", "parameters": schema},
        }
    ]
