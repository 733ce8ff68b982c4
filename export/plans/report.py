"""The report of a build: everything measured, as JSON in the bundle and as a table to read."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sakuga.export.plans.builder import PlanFacts
from sakuga.export.plans.graph_facts import GraphFacts
from sakuga.export.plans.store import Record
from sakuga.export.scan import FLOAT16_MAX, Scan

REPORT = "build-report.json"

Row = tuple[str, ...]
_HEADS: Row = ("network", "computes in", "time", "plan", "weights", "activations", "profiles",
               "attentions fused", "largest float16")  # fmt: skip


@dataclass(frozen=True)
class NetworkReport:
    """One network's plan. `reused`: it was in the store, and the seconds are those of then."""

    network: str
    precision: str
    profiles: int
    reused: bool
    graph: GraphFacts
    record: Record

    @property
    def attentions(self) -> int:
        """Attentions of the graph."""
        return self.graph.attentions + self.graph.masked_attentions

    def row(self) -> Row:
        """The line of the table."""
        facts, scan = self.record.facts, self.record.scan
        return (
            self.network,
            self.precision,
            f"{facts.seconds:.1f} s" + (" then" if self.reused else ""),
            f"{facts.size_bytes / 1e6:,.1f} MB",
            f"{facts.weights_bytes / 1e6:,.1f} MB",
            f"{facts.activation_bytes / 1e6:,.1f} MB",
            str(self.profiles),
            f"{facts.fused_attentions} of {self.attentions * self.profiles}",
            f"{scan.largest:.4g} of {FLOAT16_MAX:,.0f}" if scan.values else "-",
        )


@dataclass(frozen=True)
class BuildReport:
    """The whole build; `peak_memory_bytes` is None where the system does not say."""

    plans: str
    seconds: float
    peak_memory_bytes: int | None
    networks: tuple[NetworkReport, ...]

    def write(self, folder: Path) -> None:
        """Into the bundle, as JSON."""
        text = json.dumps(asdict(self), indent=1)
        (folder / REPORT).write_text(text + "\n", encoding="utf-8")

    def table(self) -> str:
        """A table with a line for each network."""
        return aligned([_HEADS, *(network.row() for network in self.networks)])


def read_report(bundle: Path) -> BuildReport | None:
    """The report in a bundle, None where it has no plans."""
    if not (bundle / REPORT).exists():
        return None
    raw = json.loads((bundle / REPORT).read_text(encoding="utf-8"))
    rows = [
        NetworkReport(
            **{
                **row,
                "graph": GraphFacts(**row["graph"]),
                "record": Record(
                    PlanFacts(**row["record"]["facts"]), Scan(**row["record"]["scan"])
                ),
            }
        )
        for row in raw.pop("networks")
    ]
    return BuildReport(**raw, networks=tuple(rows))


def aligned(rows: Sequence[Row]) -> str:
    """Columns as wide as their widest entry."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(lines)
