from __future__ import annotations

from collections.abc import Callable

import pytest

from finetune.report import check_page as page_module
from finetune.report.thumbnails import Thumbnail


@pytest.fixture
def all_shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets every picture have a thumbnail of so many characters, without a file."""

    def patch(characters: int = 10) -> None:
        made = Thumbnail(b"\0" * (characters * 3 // 4), 120, 90)
        monkeypatch.setattr(
            page_module, "make_thumbnails", lambda root, paths, *rest: dict.fromkeys(paths, made)
        )

    return patch
