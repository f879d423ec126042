"""What the image is built of."""
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_image_is_built_of_all_that_the_package_names():
    """A build in a container sees only what `.dockerignore` lets through."""
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    paths = set(re.findall(r'path: "([^"\\]+)', (ROOT / "Package.swift").read_text()))
    assert {"deploy/demo-world", "deploy/measure/bus-load"} <= paths
    missing = {path for path in paths if not any(path == root or path.startswith(root + "/") for root in kept)}
    assert not missing, missing
