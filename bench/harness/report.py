"""What was measured, beside what it must reach."""

import dataclasses
import json
import typing

from harness import machine

RESULTS = machine.REPOSITORY / "bench" / "results"


@dataclasses.dataclass
class Row:
    """One figure. `reached` is None where no target is set."""

    case: str
    what: str
    value: str
    target: str = ""
    reached: typing.Optional[bool] = None
    details: dict = dataclasses.field(default_factory=dict)


def table(rows):
    cells = [("case", "what", "measured", "target", "")]
    for row in rows:
        verdict = {True: "reached", False: "MISSED", None: ""}[row.reached]
        cells.append((row.case, row.what, row.value, row.target, verdict))
    widths = [max(len(line[i]) for line in cells) for i in range(5)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in cells)


def save(about, rows):
    """Writes everything as JSON; yields the file."""
    RESULTS.mkdir(exist_ok=True)
    stamp = about["at"].replace(":", "").replace("+0000", "Z")
    names = "-".join(dict.fromkeys(row.case for row in rows)) or "nothing"
    file = RESULTS / f"{stamp}-{names[:80]}.json"
    content = {"machine": about, "rows": [dataclasses.asdict(row) for row in rows]}
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file
