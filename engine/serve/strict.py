"""Bodies whose fields are all known: any other is refused, with the name that is meant."""

from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """Numbers are finite, and fields those that are named."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _all_known(cls, given: Any) -> Any:  # noqa: ANN401 (whatever was sent)
        if isinstance(given, dict):
            for name in given:
                if isinstance(name, str) and name not in cls.model_fields:
                    raise _unknown(name[:80], list(cls.model_fields))
        return given


def _unknown(name: str, known: list[str]) -> PydanticCustomError:
    near = get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(known)}."
    return PydanticCustomError(
        "unknown_field", "There is no field {name}. {hint}", {"name": repr(name), "hint": hint}
    )
