import pytest
from suite import Suite


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    folder.chmod(0o755)
    running = Suite(folder)
    try:
        running.start()
        yield running
    finally:
        running.stop()
