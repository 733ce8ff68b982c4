"""The report of a build: everything measured, as JSON in the bundle and as a table to read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sakuga.engine.errors import BundleFormatError
from sakuga.export.plans.graph_facts import GraphFacts
from sakuga.export.plans.worker import Record, read_record
from sakuga.export.scan import FLOAT16_MAX

REPORT = "build-report.json"

Row = tuple[str, ...]
_HEADS: Row = ("network", "computes in", "time", "plan", "weights", "activations", "profiles",
               "attentions fused", "largest float16", "plan error", "graph error")  # fmt: skip


@dataclass(frozen=True)
class NetworkReport:
    """One network's plan. `reused`: it was in the store, and the seconds are those of then."""

    network: str
    precision: str
    weights_bytes: int
    profiles: int
    reused: bool
    graph: GraphFacts
    record: Record

    @property
    def attentions(self) -> int:
        """Attentions of the graph."""
        return self.graph.attentions + self.graph.masked_attentions

    def _how(self) -> str:
        if self.reused:
            return ", earlier"
        return ", refitted" if self.record.refitted else ""

    def row(self, error: float | None) -> Row:
        """The line of the table; `error` is the graph's against float32, of `--verify`."""
        facts, scan = self.record.facts, self.record.scan
        return (
            self.network,
            self.precision,
            f"{facts.seconds:.1f} s{self._how()}",
            f"{facts.size_bytes / 1e6:,.1f} MB",
            f"{self.weights_bytes / 1e6:,.1f} MB",
            f"{facts.activation_bytes / 1e6:,.1f} MB",
            str(self.profiles),
            f"{facts.fused_attentions} of {self.attentions * self.profiles}",
            f"{scan.largest:.4g} of {FLOAT16_MAX:,.0f}" if scan.values else "-",
            *("-" if e is None else f"{e:.1e}" for e in (self.record.error, error)),
        )


@dataclass(frozen=True)
class BuildReport:
    """The whole build. `peak_memory_bytes`: of its largest process, None where the system does
    not say. `verification`: relative error of each network's graph against float32, with
    `--verify`."""

    plans: str
    seconds: float
    peak_memory_bytes: int | None
    networks: tuple[NetworkReport, ...]
    verification: Mapping[str, float]

    def write(self, folder: Path) -> None:
        """Into the bundle, as JSON."""
        text = json.dumps(asdict(self), indent=1)
        (folder / REPORT).write_text(text + "\n", encoding="utf-8")

    def table(self) -> str:
        """A table with a line for each network."""
        rows = [row.row(self.verification.get(row.network)) for row in self.networks]
        return aligned([_HEADS, *rows])


def read_report(bundle: Path) -> BuildReport | None:
    """The report in a bundle, None where it has no plans. Raises BundleFormatError for one of
    another version."""
    try:
        raw = json.loads((bundle / REPORT).read_text(encoding="utf-8"))
        rows = []
        for row in raw.pop("networks"):
            graph, record = GraphFacts(**row.pop("graph")), read_record(row.pop("record"))
            rows.append(NetworkReport(**row, graph=graph, record=record))
        return BuildReport(**raw, networks=tuple(rows))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise BundleFormatError(
            f"{bundle / REPORT} was written by another Sakuga.",
            note=f"It cannot be read: {error}.",
            hint="Build the bundle again with `sakuga build`.",
        ) from error


def aligned(rows: Sequence[Row]) -> str:
    """Columns as wide as their widest entry."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(lines)
