from __future__ import annotations

import pytest

from tests.browser import Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One browser for all tests of pages of graphs; the address of a page that was opened before says nothing more."""
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()
