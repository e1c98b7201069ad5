"""What rules cannot tell is asked of a model: one criterion at a time, yes or no."""

import re
from collections.abc import Sequence

import httpx
import msgspec
from msgspec import Struct
from queqiao_common.settings import Model

from evals.dialogues.rules import Finding

_ASKED = """\
你是严格的质检员。下面是用户与助手的对话，只判断助手的最后一次回答是否符合这条标准：

标准：{criterion}

对话：
{dialogue}

只输出一行 JSON：{{"ok": true 或 false, "why": "不超过 30 字的理由"}}
"""


class _Verdict(Struct):
    ok: bool
    why: str = ""


class _Message(Struct):
    content: str = ""


class _Choice(Struct):
    message: _Message


class _Answer(Struct):
    choices: list[_Choice]


class Judge:
    """A model behind the OpenAI protocol; without one, nothing is judged."""

    def __init__(self, http: httpx.AsyncClient, model: Model | None) -> None:
        self._http = http
        self._model = model

    async def finding(self, criterion: str, dialogue: Sequence[tuple[str, str]]) -> Finding:
        """Say whether the last answer meets a criterion; None where no verdict can be had."""
        if self._model is None:
            return Finding(criterion, is_so=None, why="no judge configured")
        lines = "\n".join(f"{who}：{text}" for who, text in dialogue)
        body = {
            "model": self._model.model,
            "temperature": 0,
            "messages": [
                {"role": "user", "content": _ASKED.format(criterion=criterion, dialogue=lines)}
            ],
        }
        try:
            answer = await self._http.post(
                f"{self._model.base_url.rstrip('/')}/chat/completions",
                json=body,
                headers={"Authorization": f"Bearer {self._model.api_key.reveal()}"},
                timeout=self._model.timeout,
            )
            answer.raise_for_status()
            said = msgspec.json.decode(answer.content, type=_Answer).choices[0].message.content
        except (httpx.HTTPError, msgspec.MsgspecError, IndexError) as error:
            return Finding(criterion, is_so=None, why=f"the judge failed: {type(error).__name__}")
        return verdict(criterion, said)


def verdict(criterion: str, said: str) -> Finding:
    """Read what the judge said."""
    found = re.search(r"\{[^{}]*\}", said)
    try:
        judged = msgspec.json.decode(found[0] if found else "", type=_Verdict)
    except msgspec.MsgspecError:
        return Finding(criterion, is_so=None, why="the judge gave no verdict")
    return Finding(criterion, judged.ok, judged.why)
