"""Detection on request, in the same batches as the cameras' frames."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection

from pipeline.control.detect.answers import Answered, DetectAnswer, answer_body
from pipeline.control.detect.desk import DetectDesk
from pipeline.control.detect.refusals import ImageFailed
from pipeline.control.detect.request import Asked, DetectRequest, Wishes, asked_of, kind_of
from pipeline.control.leaving import ClientGone, while_listened_to
from pipeline.control.problems import ApiError

router = APIRouter(tags=["detect"])

JPEG = "image/jpeg"
_CLIENT_CLOSED = 499  # nobody reads it
_GREY_PNG = (  # 16x16
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAAEUlEQVR42mNsYEAFTAwjWgAAmZAAoFDIQrAAAAAASUVORK5CYII="
)


def desk_of(connection: HTTPConnection) -> DetectDesk:
    """Of the app that answers this."""
    found: DetectDesk = connection.app.state.desk
    return found


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """Its schema with every part in place, for a request body here has no components to point to, and no null."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def put_in(node: Any) -> Any:
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).removeprefix("#/$defs/")
            if name in parts:
                return put_in(parts[name])
            told = {key: value for key, value in node.items() if (key, value) != ("default", None)}
            return {key: put_in(value) for key, value in told.items()}
        return [put_in(one) for one in node] if isinstance(node, list) else node

    inlined: dict[str, Any] = put_in(schema)
    return inlined


def _form_schema() -> dict[str, Any]:
    schema = _inlined(Wishes)
    file = {"type": "string", "format": "binary", "description": "A JPEG, PNG or WebP."}
    schema["properties"] = {"image": {"type": "array", "items": file, "minItems": 1}} | schema["properties"]
    return schema | {"title": "DetectForm", "required": ["image"]}


_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": _inlined(DetectRequest),
            "examples": {
                "one": {"value": {"image_base64": _GREY_PNG}},
                "several": {"value": {"images": [{"image_base64": _GREY_PNG}, {"image_base64": _GREY_PNG}]}},
            },
        },
        "multipart/form-data": {
            "schema": _form_schema(),
            "encoding": {"image": {"contentType": "image/jpeg, image/png, image/webp"}},
        },
    },
}
_FOUND: dict[int | str, dict[str, Any]] = {
    200: {
        "model": DetectAnswer,
        "description": "What was seen; or, where `Accept` prefers image/jpeg, the one picture with it drawn in.",
        "content": {JPEG: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/v1/detect",
    summary="Detect in images",
    response_class=Response,
    responses=_FOUND,
    openapi_extra={"requestBody": _BODY},
)
async def detect(request: Request, desk: Annotated[DetectDesk, Depends(desk_of)]) -> Response:
    """Images as files of a form (`image`, once or more), in base64 or by URL.

    Where one of several cannot be read, its `error` tells why and the others are answered; where it is the only one,
    the answer is a problem.
    """
    kind_of(request)
    try:
        with desk.admitted() as stay:
            async with asked_of(request, desk.limits) as asked:
                stay.grow(len(asked.sources))
                return await _answered(request, desk, asked)
    except (ClientDisconnect, ClientGone):
        return Response(status_code=_CLIENT_CLOSED)


async def _answered(request: Request, desk: DetectDesk, asked: Asked) -> Response:
    as_jpeg = prefers_jpeg(request.headers)
    if as_jpeg and len(asked.sources) > 1:
        raise ApiError(422, f"Accept asks for one {JPEG}, the request holds {len(asked.sources)} images")
    outcomes = await while_listened_to(request.receive, desk.answer(asked, annotate=as_jpeg))
    if len(outcomes) == 1 and isinstance(outcomes[0], ImageFailed):
        raise ApiError(outcomes[0].status, f"the image cannot be worked on: {outcomes[0]}")
    if as_jpeg and isinstance(outcomes[0], Answered):
        return Response(outcomes[0].jpeg, media_type=JPEG)
    return Response(answer_body(outcomes), media_type="application/json")


def prefers_jpeg(headers: Headers) -> bool:
    """True where `Accept` wants image/jpeg more than JSON; who says nothing gets JSON."""
    qualities = {"image": 0.0, "json": 0.0}
    for one in ",".join(headers.getlist("accept")).lower().split(","):
        kind, *parameters = (part.strip() for part in one.split(";"))
        quality = _quality(parameters)
        if kind in (JPEG, "image/*"):
            qualities["image"] = max(qualities["image"], quality)
        elif kind in ("application/json", "application/*", "*/*"):
            qualities["json"] = max(qualities["json"], quality)
    return qualities["image"] > qualities["json"]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
