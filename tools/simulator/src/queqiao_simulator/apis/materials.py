"""Temporary material: upload and download (reference 7)."""

from typing import TYPE_CHECKING, Any

from queqiao_simulator import media, multipart
from queqiao_simulator.apis.calls import OK, ApiCall, Handler, Raw
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World


def upload(world: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/media/upload?type=`, a form with the field `media`."""
    account = call.speaker()
    if call.method != "POST":
        raise Refused(43002)
    call.what = call.query.get("type", "")
    account.take("media_upload", call.now)
    part = _file_of(call)
    settings = account.settings
    media.checked(call.what, part.body, world.settings.media, settings.kind)
    kept = account.media.add(call.what, part.body, call.now, mime=media.sniffed(part.body))
    name = "thumb_media_id" if call.what == "thumb" else "media_id"
    created = str(int(call.now)) if settings.is_wecom else int(call.now)
    answer = {"type": call.what, name: kept.id, "created_at": created}
    return OK | answer if settings.is_wecom else answer


def get(world: "World", call: ApiCall) -> dict[str, Any] | Raw:
    """`GET /cgi-bin/media/get?media_id=`: the bytes; of a video, where they are."""
    medium = _found(call)
    if medium.kind == "video" and call.account and not call.account.settings.is_wecom:
        path = f"/simulated/media/{call.account.settings.id}/{medium.id}"
        return {"video_url": world.base_url + path}
    return Raw(medium.body, medium.mime, medium.name)


def get_for_jssdk(_: "World", call: ApiCall) -> Raw:
    """`GET /cgi-bin/media/get/jssdk?media_id=`: a voice that a page recorded, at 16 kHz."""
    medium = _found(call)
    if medium.kind != "voice":
        raise Refused(media.BAD_ID)
    return Raw(medium.body, medium.mime, medium.name)


def _found(call: ApiCall) -> media.Medium:
    account = call.sender()
    account.take("media_get", call.now)
    medium = account.media.find(call.query.get("media_id"), call.now)
    if medium is None:
        raise Refused(media.BAD_ID)
    call.what = medium.kind
    return medium


def _file_of(call: ApiCall) -> multipart.Part:
    try:
        parts = multipart.parse(call.content_type, call.body)
    except ValueError as error:
        raise Refused(media.EMPTY, str(error)) from error
    # Without a file name the platform does not see a file (protocol reference 7).
    found = next((one for one in parts if one.name == "media" and one.filename), None)
    if found is None:
        raise Refused(media.EMPTY)
    return found


HANDLERS: dict[str, Handler] = {
    "/cgi-bin/media/upload": upload,
    "/cgi-bin/media/get": get,
    "/cgi-bin/media/get/jssdk": get_for_jssdk,
}
