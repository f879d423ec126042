import pytest
from suite import running


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """A suite for the tests of one file."""
    with running(tmp_path_factory.mktemp("suite")) as suite:
        yield suite
