import json
from pathlib import Path

from headstart.metrics import METRICS

DOCS = Path(__file__).parents[2] / "docs"


def test_every_metric_stands_in_the_reference_and_in_the_schema():
    page = (DOCS / "reference" / "metrics.md").read_text()
    schema = json.loads((DOCS / "schemas" / "metrics-1.json").read_text())
    assert all(f"| `{name}` | {'higher' if m.higher_is_better else 'lower'} |" in page for name, m in METRICS.items())
    assert schema["additionalProperties"]["propertyNames"]["enum"] == list(METRICS)
