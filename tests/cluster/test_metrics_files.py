"""The dashboard, the alerts and what scrapes: all of one mind with the metrics of the code."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "cluster/prometheus/rules.yaml"
# What Ray's exporter makes of a metric's name, by its kind.
EXPORTED = {
    "Counter": ("_total",),
    "Gauge": ("",),
    "Histogram": ("_bucket", "_sum", "_count"),
}


def defined() -> dict[str, tuple[str, ...]]:
    """Return the names that each metric of the package is exported under."""
    found = {}
    for file in (ROOT / "pad_ray").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            kind = getattr(node.func, "attr", getattr(node.func, "id", ""))
            name = getattr(node.args[0], "value", None)
            if kind in EXPORTED and isinstance(name, str) and name.startswith("pad_ray_"):
                found[name] = tuple(f"ray_{name}{suffix}" for suffix in EXPORTED[kind])
    return found


def dashboard() -> dict[str, list[str]]:
    """Return the queries of each panel by its title."""
    panels = json.loads((ROOT / "cluster/grafana-dashboard.json").read_text())["panels"]
    return {
        panel["title"]: [target["expr"] for target in panel.get("targets", [])] for panel in panels
    }


def alerts() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def names(queries: str) -> set[str]:
    return set(re.findall(r"\bray_\w+", queries))


def test_every_metric_is_drawn() -> None:
    drawn = names(str(dashboard()))
    metrics = defined()
    assert len(metrics) >= 12
    assert not [name for name, exported in metrics.items() if not drawn & set(exported)]


def test_every_name_asked_for_exists() -> None:
    ours = {name for exported in defined().values() for name in exported}
    folder = Path(str(ray.__file__)).parent / "dashboard/modules/metrics/dashboards"
    of_ray = names("".join(path.read_text() for path in folder.glob("*.py")))
    asked = names(str(dashboard())) | names(str(dict(alerts())))
    assert len(of_ray) > 100 and len(asked) > 15
    assert asked <= ours | of_ray


def test_panels_have_places_of_their_own() -> None:
    panels = json.loads((ROOT / "cluster/grafana-dashboard.json").read_text())["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_operators_rules_are_the_same() -> None:
    (of_operator,) = yaml.safe_load_all((ROOT / "cluster/k8s/monitoring/rules.yaml").read_text())
    assert of_operator["spec"]["groups"] == yaml.safe_load(RULES.read_text())["groups"]


def test_every_alert_is_tried_and_told() -> None:
    tried = (ROOT / "tests/cluster/alerts_test.yaml").read_text()
    for name, _ in alerts():
        assert f'alertname="{name}"' in tried, name
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize(
    "command",
    [
        "check rules cluster/prometheus/rules.yaml",
        "check config cluster/prometheus/prometheus.yaml",
        "test rules tests/cluster/alerts_test.yaml",
    ],
)
def test_prometheus_agrees(command: str) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    done = subprocess.run(
        ["promtool", *command.split()], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_nodes_are_found_where_ray_lists_them() -> None:
    folder = Path(str(ray.__file__)).parent / "dashboard/modules/metrics/export/prometheus"
    of_ray = yaml.safe_load((folder / "prometheus.yml").read_text())["scrape_configs"]
    ours = yaml.safe_load((ROOT / "cluster/prometheus/prometheus.yaml").read_text())
    assert ours["scrape_configs"] == of_ray
    assert ours["rule_files"] == [RULES.name]
