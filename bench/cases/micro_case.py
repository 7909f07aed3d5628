"""The micro benchmarks: one step of the way each, in the same process."""

import json
import subprocess
import tempfile

from harness.report import Row


def micro(options):
    """Runs berth_microbench; no targets of its own but that one change encodes one instance."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [str(options.microbench), f"--benchmark_out={file.name}", "--benchmark_out_format=json",
                   f"--benchmark_min_time={options.micro_seconds}"]
        if options.micro_filter:
            command.append(f"--benchmark_filter={options.micro_filter}")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = json.load(file)["benchmarks"]
    rows = []
    for one in found:
        if one.get("error_occurred"):
            raise RuntimeError(f"{one['name']}: {one['error_message']}")
        time = one["real_time"] if "real_time" in one["name"] else one["cpu_time"]
        value = f"{time:,.2f} {one['time_unit']}"
        if "items_per_second" in one:
            value += f", {one['items_per_second']:,.0f}/s"
        target, reached = "", None
        if "encoded" in one:
            value += f", {one['encoded']:.0f} encoded"
            target, reached = "1 encoded", one["encoded"] == 1
        if "speedup" in one:
            value = (f"{one['alone_per_second']:,.0f}/s alone, {one['together_per_second']:,.0f}/s by 16: "
                     f"× {one['speedup']:.1f}")
        rows.append(Row("micro", one["name"], value, target, reached, one))
    return rows
