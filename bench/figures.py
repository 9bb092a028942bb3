"""What was measured, as a line while it runs, as a row of the docs' table, and as numbers that can be drawn."""

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = Path("docs") / "performance.json"


@dataclass
class Figure:
    """`rounds` are ratios to the peer; `at_least` or `at_most` is the aim."""

    path: str
    beside: str
    rounds: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "×"
    note: str = ""
    curve: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # name → (size, µs each)

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def reached(self) -> str:
        if self.at_least is not None:
            return "yes" if self.median >= self.at_least else "no"
        return "" if self.at_most is None else "yes" if self.median <= self.at_most else "no"

    @property
    def aim(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}{self.unit}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}{self.unit}"

    def said(self) -> str:
        rounds = " ".join(f"{one:.2f}" for one in self.rounds)
        return f"{self.path:62} {self.beside:48} {self.median:7.2f}{self.unit}  ({rounds})  aim {self.aim or '–'} {self.note}"

    def row(self) -> str:
        rounds = " ".join(f"{one:.2f}" for one in self.rounds)
        return f"| {self.path} | {self.beside} | **{self.median:.2f}{self.unit}** ({rounds}) | {self.aim or '–'} | {self.reached} | {self.note} |"


def kept(figures: list[Figure], took: float, whole: bool) -> None:
    """The newest of each path, so that a run of one leaves the others."""
    known = json.loads(FILE.read_text()) if FILE.exists() else {"figures": []}
    named = {one["path"] + one["beside"]: one for one in known["figures"]}
    named |= {one.path + one.beside: asdict(one) for one in figures}
    machine = f"{platform.machine()}, CPython {platform.python_version()}"
    found = {
        "machine": machine,
        "minutes": round(took / 60, 1) if whole else known.get("minutes"),
        "figures": list(named.values()),
    }
    FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def drawn() -> None:
    """docs/performance.md's table between its marks, and docs/performance_cost.svg."""
    found = json.loads(FILE.read_text())
    figures = [Figure(**one) for one in found["figures"]]
    page = Path("docs") / "performance.md"
    head, _, rest = page.read_text().partition("<!-- table -->")
    _, _, tail = rest.partition("<!-- end -->")
    table = ["| hot path | beside | median (rounds) | aim | reached | |", "|---|---|---|---|---|---|"]
    page.write_text(
        f"{head}<!-- table -->\n" + "\n".join([*table, *(one.row() for one in figures)]) + f"\n<!-- end -->{tail}"
    )
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "passaparola"
    import matplotlib.pyplot as plt

    curves = {name: points for one in figures for name, points in one.curve.items()}
    if not curves:
        return
    figure, axes = plt.subplots(figsize=(7, 4))
    for name, points in curves.items():
        axes.plot([size for size, _ in points], [cost for _, cost in points], marker="o", label=name)
    axes.set(
        xscale="log", xlabel="contacts", ylabel="µs each", title="What one more contact costs, from 10,000 to 1,000,000"
    )
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(Path("docs") / "performance_cost.svg", metadata={"Date": None})
