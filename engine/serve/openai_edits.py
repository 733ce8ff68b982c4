"""OpenAI's edits and variations: a picture as a file of a form, and what is to become of it.

Source: OpenAI's API reference, "Create image edit" and "Create image variation".
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.datastructures import UploadFile

from sakuga.engine.errors import UsageError
from sakuga.engine.image import decode
from sakuga.engine.image.source import HALF, Source
from sakuga.engine.runtime.stages import Init, Mask
from sakuga.engine.serve.native import Name, Prompt
from sakuga.engine.serve.openai import GenerationBody, answer
from sakuga.engine.serve.sent import check_pictures, decoded, picture_of
from sakuga.engine.serve.served import Served

_MOST_FIELDS = 64
_MOST_FILES = 17  # OpenAI's sixteen and a mask
_MOST_TEXT = 1 << 17  # bytes of a field
_FORM: dict[str, Any] = {"requestBody": {"content": {"multipart/form-data": {"schema": {
    "type": "object", "additionalProperties": {"type": "string"},
    "properties": {
        "image": {"type": "string", "format": "binary"},
        "mask": {"type": "string", "format": "binary"},
    },
    "required": ["image"],
}}}}}  # fmt: skip


class EditBody(GenerationBody):
    """The fields of an edit beside its files. `strength`: how strongly the picture is made anew;
    without a word 0.75, and all of what a mask leaves open."""

    strength: Annotated[float, Field(ge=0, le=1)] | None = None
    input_fidelity: Name | None = None  # means nothing to these models


class VariationBody(EditBody):
    """Those of a variation."""

    prompt: Prompt = ""


Body = TypeVar("Body", bound=EditBody)


@dataclass(frozen=True)
class _Form:
    fields: dict[str, str]
    image: Source
    mask: Source | None


def routes(served: Served) -> APIRouter:
    """`/v1/images/edits` and `/v1/images/variations`."""
    router = APIRouter(tags=["openai"])

    @router.post("/v1/images/edits", response_model=None, openapi_extra=_FORM)
    async def edit(request: Request) -> Response | dict[str, Any]:
        """Pictures of a prompt from a picture, or with what its mask leaves open painted anew."""
        form = await _form(request)
        body = _read(EditBody, form.fields)
        return await _edited(served, body, form, request, "image_edit")

    @router.post("/v1/images/variations", response_model=None, openapi_extra=_FORM)
    async def vary(request: Request) -> Response | dict[str, Any]:
        """Pictures that begin from a picture, of no prompt."""
        form = await _form(request)
        body = _read(VariationBody, form.fields)
        if form.mask is not None:
            raise UsageError("A variation has no mask.", hint="Ask for an edit.")
        return await _edited(served, body, form, request, "image_variation")

    return router


async def _edited(
    served: Served, body: EditBody, form: _Form, request: Request, events: str
) -> Response | dict[str, Any]:
    drawn = await _mask(form)
    usual = 0.75 if drawn is None else 1.0
    strength = usual if body.strength is None else body.strength
    mask = None if drawn is None else Mask(drawn, invert=True)
    init = Init(form.image, strength, "crop", mask)
    await check_pictures(init, "image", "mask")
    return await answer(served, body, replace(body.request(), init=init), request, events)


async def _mask(form: _Form) -> Source | None:
    """Whose transparent pixels are painted anew: the mask's, else the picture's own."""
    if form.mask is None:
        return form.image if await decoded(lambda: _is_open(form.image), "image") else None
    mask = form.mask
    if not await decoded(lambda: _is_open(mask), "mask"):
        raise UsageError(
            "mask is transparent nowhere.",
            note="What it leaves transparent is painted anew.",
            hint="Erase that part of a copy of the picture, and save it as a PNG.",
        )
    return mask


def _is_open(picture: Source) -> bool:
    """Whether it has pixels that are transparent, or rather so than not."""
    assert isinstance(picture.origin, bytes)
    with decode.opened(picture.origin, picture.name) as image:
        layers = decode.layers_of(image, picture.name)
    return layers.ndim == 3 and layers.shape[2] == 4 and bool((layers[..., 3] <= HALF).any())


async def _form(request: Request) -> _Form:
    """Raises UsageError, PictureFileError; HTTPException 400 for what is no such form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UsageError("Send a form.", note="Its content-type is multipart/form-data.")
    fields: dict[str, str] = {}
    files: dict[str, list[bytes]] = {}
    async with request.form(
        max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=_MOST_TEXT
    ) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files.setdefault(name.removesuffix("[]"), []).append(await value.read())
            elif name in fields:
                raise UsageError(f"{name[:80]} is given twice.")
            else:
                fields[name] = value
    for name in files.keys() - {"image", "mask"}:
        raise UsageError(f"There is no file {name[:80]!r} here.", hint="Send image and mask.")
    image, mask = _one(files, "image"), _one(files, "mask")
    if image is None:
        raise UsageError("image is missing.", hint="Send a picture file in the field image.")
    return _Form(fields, image, mask)


def _one(files: dict[str, list[bytes]], name: str) -> Source | None:
    found = files.get(name, [])
    if len(found) > 1:
        raise UsageError(
            f"{name} is {len(found)} pictures.", hint="Send one; a job begins from one picture."
        )
    return picture_of(found[0], name) if found else None


def _read(kind: type[Body], fields: dict[str, str]) -> Body:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        ) from error
