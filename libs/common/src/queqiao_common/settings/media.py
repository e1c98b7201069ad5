"""Pictures and voice, in and out."""

from typing import Annotated, Literal

from msgspec import Meta

from queqiao_common.settings.base import Section


class Media(Section, frozen=True, kw_only=True):
    """`[media]`: pictures and voice. Sizes are bytes, durations seconds."""

    enabled: bool = True
    max_picture: Annotated[int, Meta(ge=1024, description="a larger one is not fetched")] = (
        10 * 1024 * 1024
    )
    max_voice: Annotated[int, Meta(ge=1024, description="a larger one is not fetched")] = (
        2 * 1024 * 1024
    )
    fetch_timeout: Annotated[float, Meta(gt=0, description="of one attempt to fetch")] = 15.0
    transcribe: Annotated[
        str, Meta(description="id of the model that turns voice into text; empty: none")
    ] = ""
    transcribe_format: Annotated[
        Literal["wav", "mp3", "amr"],
        Meta(description="what voice is converted to for it (by ffmpeg); `amr`: as WeChat sent it"),
    ] = "wav"
    speak: Annotated[
        str, Meta(description="id of the model that reads answers aloud; empty: none")
    ] = ""
    speak_chars: Annotated[
        int,
        Meta(ge=1, le=400, description="longer pieces are only written: WeChat plays 60 seconds"),
    ] = 180
    speak_label: Annotated[
        str, Meta(description="ends every voice: a sound has no other mark that an AI made it")
    ] = "本语音由 AI 生成。"
    no_speech: Annotated[str, Meta(description="to voice, where nothing can transcribe")] = (
        "我暂时还听不了语音，请打字告诉我吧。"
    )
    no_vision: Annotated[str, Meta(description="to pictures, where no model can see")] = (
        "我暂时还看不了图片，请用文字描述一下吧。"
    )
    unclear: Annotated[str, Meta(description="to voice in which no word was found")] = (
        "没有听清，请再说一遍，或者打字告诉我。"
    )
    gone: Annotated[str, Meta(description="when WeChat no longer has it")] = (
        "这条内容已经过期了，请重新发送一次。"
    )
    too_large: str = "这个文件太大了，我处理不了，请发小一点的。"
    failed: Annotated[str, Meta(description="when it cannot be fetched or read")] = (
        "这条内容没有收好，请重新发送一次。"
    )
