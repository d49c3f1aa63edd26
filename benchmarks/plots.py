"""The plots: what the benchmarks found, drawn: messages, commits, latencies, streams, and growth.

Needs matplotlib. Figures of rxfero and of whatever ran beside it are of one run, so the bars of a
group may be compared with each other; those of two machines may not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rxfero.extras import wanted

HUES = {"rxfero": "#4c9be8", "original": "#f2a541", "bare": "#9a9a9a"}
NAMES = {"rxfero": "rxfero", "original": "fero 1.7.1 (npm)", "bare": "bare echo"}
PERCENTILES = ("p10", "p50", "p90", "p99", "p99.9")


def bars(axes: Any, groups: Sequence[str], series: dict[str, list[float | None]]) -> None:
    """Draw bars beside each other, a group a name, with their values."""
    width = 0.8 / max(1, len(series))
    for at, (who, values) in enumerate(series.items()):
        places = [n + (at - (len(series) - 1) / 2) * width for n in range(len(groups))]
        heights = [value or 0.0 for value in values]
        drawn = axes.bar(places, heights, width * 0.92, color=HUES[who], label=NAMES[who])
        axes.bar_label(drawn, [short(value) for value in values], fontsize=7, padding=1)
    axes.set_xticks(range(len(groups)), groups)
    axes.margins(y=0.12)


def short(value: float | None) -> str:
    """Give a figure in a few characters."""
    if value is None:
        return "-"
    if value >= 9500:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def series(results: Sequence[Any], figure: str) -> dict[str, list[float | None]]:
    """Give a figure's medians of each implementation, in the order of the cases."""
    names = [who for who in HUES if any(who in result["medians"] for result in results)]
    return {
        who: [result["medians"].get(who, {}).get(figure) for result in results] for who in names
    }


def overview(found: dict[str, Any], path: Path, caption: str) -> list[Path]:
    """Draw all in one picture; gives the files, an SVG and a PNG.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    pyplot = drawing()
    figure, ((messages, commits), (latency, streams)) = pyplot.subplots(2, 2, figsize=(9.6, 6.2))

    results = found["speed"]["results"]
    bars(messages, [f"{r['case']['bytes']:,} B" for r in results], series(results, "sacks"))
    messages.set_title("messages handled and answered a second", fontsize=9)

    results = found["commit"]["results"]
    groups = [within(r["case"]) for r in results]
    bars(commits, groups, series(results, "commits"))
    commits.set_title("updates committed, replicated, seen as change, a second", fontsize=9)

    medians = found["latency"]["results"][0]["medians"]
    steps = range(len(PERCENTILES))
    lines = {
        **{who: [told[f"reply {p}"] for p in PERCENTILES] for who, told in medians.items()},
        "bare": [medians["rxfero"][f"bare {p}"] for p in PERCENTILES],
    }
    for who, values in lines.items():
        latency.plot(steps, values, marker="o", markersize=3, color=HUES[who], label=NAMES[who])
    latency.set_xticks(steps, PERCENTILES)
    latency.set_yscale("log")
    latency.set_title("microseconds from a request to its answer", fontsize=9)

    rows = {row["what"]: row for row in reversed(found["streams"])}
    names = [n for n in ("emit to one observer", "filter and map", "async for") if n in rows]
    places = range(len(names))
    for side, key, hue in ((-0.2, "rxfero ns", HUES["rxfero"]), (0.2, "its ns", HUES["bare"])):
        values = [rows[name][key] for name in names]
        drawn = streams.bar([n + side for n in places], values, 0.37, color=hue)
        labels = [short(v) for v in values]
        if key == "its ns":
            labels = [f"{rows[n]['beside']}\n{text}" for n, text in zip(names, labels, strict=True)]
        streams.bar_label(drawn, labels, fontsize=7, padding=1)
    streams.set_xticks(places, names)
    streams.margins(y=0.2)
    streams.set_title("nanoseconds an item, beside the plain way", fontsize=9)

    for axes in (messages, commits, latency, streams):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    handles: dict[str, Any] = {}
    for axes in (messages, latency):
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(), handles.keys(), loc="upper center", ncols=3, frameon=False, fontsize=9
    )
    figure.tight_layout(rect=(0, 0.02, 1, 0.95))
    return written(pyplot, figure, path, caption)


def curves(rows: Sequence[dict[str, Any]], path: Path, caption: str) -> list[Path]:
    """Draw what a record costs along each axis of growth; gives the files, an SVG and a PNG.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    pyplot = drawing()
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    size = 2.4 * len(axes) + 1, 2.9
    figure, panels = pyplot.subplots(1, len(axes), figsize=size, squeeze=False, sharey=True)
    for panel, axis in zip(panels[0], axes, strict=True):
        points = [row for row in rows if row["axis"] == axis]
        values, costs = [row["value"] for row in points], [row["cpu us"] for row in points]
        panel.plot(values, costs, marker="o", markersize=3, color=HUES["rxfero"])
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks(values, [numbered(value) for value in values])
        panel.minorticks_off()
        panel.set_title(axis, fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel("microseconds of processor a record", fontsize=8)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    return written(pyplot, figure, path, caption)


def numbered(value: int) -> str:
    """Give a number of an axis in a few characters."""
    return f"{value:.0e}".replace("e+0", "e") if value >= 1000 else str(value)


def within(case: dict[str, int]) -> str:
    """Name a case of commits."""
    servers = f"{case['servers']} server{'s' * (case['servers'] > 1)}"
    return f"{servers}\n{case['copies']} copies" if "copies" in case else servers


def drawing() -> Any:
    """Give matplotlib's pyplot, that draws into files.

    Raises:
        ConfigurationError: it is not installed.
    """
    matplotlib = wanted("matplotlib", "notebook", "overview")
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "rxfero"
    return wanted("matplotlib.pyplot", "notebook", "overview")


def written(pyplot: Any, figure: Any, path: Path, caption: str) -> list[Path]:
    """Write a figure with its caption; gives the files, an SVG and a PNG."""
    figure.text(0.5, 0.005, caption, ha="center", fontsize=7, color="#777777")
    made = [path.with_suffix(kind) for kind in (".svg", ".png")]
    figure.savefig(made[0], metadata={"Date": None})
    figure.savefig(made[1], dpi=110)
    pyplot.close(figure)
    return made
