from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from finetune.report.rendering import environment, shortened


def rendered(source: str, **values) -> str:
    return environment().from_string(source).render(values)


def test_text_is_escaped_and_printable():
    assert rendered("{{ a }}", a='<i>"\n\u202e\udcff') == "&lt;i&gt;&#34;\\u000a\\u202e\\xff"
    assert rendered("{{ a }}", a=Markup("<i>\n</i>")) == "<i>\n</i>"
    assert rendered('{{ a ~ "\n" ~ b }}', a="<", b=Markup("<b>")) == "&lt;\n<b>"


def test_numbers_are_set_apart_by_thousands():
    assert rendered("{{ 12345 | number }} {{ 1000 | plural('image') }}") == "12,345 1,000 images"


def test_what_a_template_misses_is_an_error():
    with pytest.raises(UndefinedError):
        rendered("{{ missing }}")


def test_the_middle_of_a_long_name_goes():
    assert shortened("a" * 300) == "a" * 300
    assert shortened("\n" * 300) == "\\u000a" * 25 + " … " + "\\u000a" * 25
    assert shortened("start" + "-" * 400 + "end.jpg", 20) == "start-----" + " … " + "---end.jpg"
