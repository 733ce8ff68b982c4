"""What options of the command line take besides text and numbers."""

import re

import click

from sakuga.profiles.buckets import Size


class _Bytes(click.ParamType[int]):
    """A number of bytes, `8G`, `7.5GB` or `6144M`; a G is 2³⁰, as GPUs are sold."""

    name = "bytes"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MG])I?B?", str(value).strip().upper())
        if match is None:
            self.fail(f"{value!r} is no amount of memory such as 8G or 6144M.", param, ctx)
        return int(float(match[1]) * (1 << (30 if match[2] == "G" else 20)))


class _Size(click.ParamType[Size]):
    """A size in pixels, `832x1216`."""

    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Size:
        try:
            return Size.parse(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class _Span(click.ParamType[tuple[float, float]]):
    """A part of the steps, `0.2-0.8`."""

    name = "A-B"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        match = re.fullmatch(r"(\d*\.?\d+)-(\d*\.?\d+)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no part of the steps such as 0.2-0.8.", param, ctx)
        return float(match[1]), float(match[2])


class _Seed(click.ParamType[int]):
    """A whole number; -1 becomes a random one."""

    name = "integer"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        from sakuga.engine.runtime.seeds import chosen_seed

        try:
            return chosen_seed(int(str(value)))
        except ValueError:
            self.fail(f"{value!r} is no whole number.", param, ctx)


BYTES, SIZE, SEED, SPAN = _Bytes(), _Size(), _Seed(), _Span()
