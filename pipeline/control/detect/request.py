"""What a caller asks of `POST /v1/detect`, read out of JSON or a form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Self

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from pipeline.control.detect.settings import DetectLimits
from pipeline.control.problems import ApiError

_MOST_FIELDS = 1000
_MOST_PARTS = 10_000  # of JSON, by its commas: each that is wrong costs a hundred times its bytes
_READ_HERE = 64 * 1024  # bytes of JSON; longer ones take so long that others should go on meanwhile

# Not `X | None`: leaving it out is how nothing is said, and `_leave_out` refuses a null. The limits stand with the type
# inside, for at the whole they would not be understood in the schema.
Absent = SkipJsonSchema[None]
ModelName = Annotated[str, Field(max_length=63)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
ClassNames = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=1000)]
ImageUrl = Annotated[
    str, Field(min_length=1, description="An http or https address of a JPEG, PNG or WebP; docs/api.md tells which.")
]
ImageText = Annotated[
    str,
    Field(
        min_length=1,
        description="A JPEG, PNG or WebP in base64, without line breaks.",
        json_schema_extra={"contentEncoding": "base64"},
    ),
]


def _exactly_one_of(*names: str) -> JsonDict:
    return {"oneOf": [{"required": [name]} for name in names]}


def _leave_out(data: Any) -> Any:
    if isinstance(data, dict) and any(value is None for value in data.values()):
        raise ValueError("null says nothing here: leave it out")
    return data


class Wishes(BaseModel):
    """What is wanted of the images."""

    model_config = ConfigDict(extra="forbid")

    _no_nulls = model_validator(mode="before")(_leave_out)

    model: ModelName | Absent = Field(
        None, description="Which of the models that run. Not needed where one runs alone."
    )
    threshold: Score | Absent = Field(
        None,
        description="Lowest score that is told. Below the model's own `min_score` it is refused: the model drops what "
        "is fainter.",
    )
    classes: ClassNames | Absent = Field(None, description="Classes that are told, by name. Without it, all.")
    annotate: bool = Field(False, description="Answer the picture too, with boxes and labels drawn in, as JPEG.")


class ImageSource(BaseModel):
    """Where one image is."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra=_exactly_one_of("image_url", "image_base64")
    )

    image_url: ImageUrl | Absent = None
    image_base64: ImageText | Absent = None

    _no_nulls = model_validator(mode="before")(_leave_out)

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.image_url is None) == (self.image_base64 is None):
            raise ValueError("give either image_url or image_base64")
        return self


class DetectRequest(Wishes):
    """One image, or several as `images`."""

    model_config = ConfigDict(strict=True, json_schema_extra=_exactly_one_of("image_url", "image_base64", "images"))

    image_url: ImageUrl | Absent = None
    image_base64: ImageText | Absent = None
    images: Annotated[list[ImageSource], Field(min_length=1)] | Absent = Field(
        None, description="Several images, answered in this order."
    )

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if sum(given is not None for given in (self.image_url, self.image_base64, self.images)) != 1:
            raise ValueError("give one of image_url, image_base64 and images")
        return self

    def sources(self) -> list[Source]:
        """The images."""
        if self.images is not None:
            return [_source(one.image_url, one.image_base64) for one in self.images]
        return [_source(self.image_url, self.image_base64)]


@dataclass(frozen=True, slots=True)
class AtUrl:
    """An image to be fetched."""

    url: str


@dataclass(frozen=True, slots=True)
class InBase64:
    """An image in text."""

    text: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file of a form; it lies on disk where it is long."""

    file: UploadFile


Source = AtUrl | InBase64 | Uploaded


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    sources: Sequence[Source]
    wishes: Wishes


@asynccontextmanager
async def asked_of(request: Request, limits: DetectLimits) -> AsyncIterator[Asked]:
    """The request, its files open inside. Raises ApiError or RequestValidationError where it does not fit."""
    match kind_of(request):
        case "application/json":
            # Not `request.body()`: the request keeps that, beside what was read out of it, until it is answered.
            found = await _json(b"".join([piece async for piece in request.stream()]))
            yield _limited(Asked(found.sources(), found), limits)
        case _:
            async with request.form(max_files=limits.max_images + 1, max_fields=_MOST_FIELDS) as form:
                yield _limited(_form(form), limits)


def kind_of(request: Request) -> str:
    """The body's type. Raises ApiError 415 for one that is not read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "multipart/form-data"):
        raise ApiError(415, "send application/json, or multipart/form-data with the images as files named `image`")
    return kind


async def _json(body: bytes) -> DetectRequest:
    if body.count(b",") > _MOST_PARTS:
        raise ApiError(422, f"at most {_MOST_PARTS} commas in one request")
    try:
        if len(body) <= _READ_HERE:
            return DetectRequest.model_validate_json(body)
        return await asyncio.to_thread(DetectRequest.model_validate_json, body)
    except ValidationError as exc:
        raise _invalid(exc) from None


def _form(form: FormData) -> Asked:
    files = form.getlist("image")
    if not files:
        raise ApiError(422, "there is no image: send at least one file named `image`")
    if not all(isinstance(file, UploadFile) for file in files):
        raise ApiError(422, "`image` must be a file with a name: curl -F image=@part.jpg")
    given: dict[str, Any] = {}
    for name in dict.fromkeys(form.keys()):
        values = form.getlist(name)
        if name != "image":
            given[name] = values if name == "classes" or len(values) > 1 else values[0]
    try:
        wishes = Wishes.model_validate(given)
    except ValidationError as exc:
        raise _invalid(exc) from None
    return Asked([Uploaded(file) for file in files if isinstance(file, UploadFile)], wishes)


def _limited(asked: Asked, limits: DetectLimits) -> Asked:
    if len(asked.sources) > limits.max_images:
        raise ApiError(422, f"{len(asked.sources)} images; at most {limits.max_images} in one request")
    return asked


def _source(url: str | None, text: str | None) -> Source:
    return AtUrl(url) if url is not None else InBase64(text or "")


def _invalid(exc: ValidationError) -> RequestValidationError:
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    return RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in errors])
