"""Removal of HTML from texts."""

import pytest

from trainer.data.io.texts.html_text import contains_html, strip_html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("AT&amp;T &quot;x&quot; &#39;y&#x27;", "AT&T \"x\" 'y'"),
        ("<p>one<br />two<br/>three<BR>four</p>", "one two three four"),
        ("an <b>in</b>side <a href='x?a=1&b=2'>link</a>", "an inside link"),
        ("<div>a</div><!-- no --><script>if (a < b) x()</script><style>p {}</style>b", "a   b"),
        ("I <3 you, a < b > c", "I <3 you, a < b > c"),
        ("<br><br/>", ""),
        ("5 &lt; 6", "5 < 6"),
    ],
)
def test_tags_and_entities_become_plain_text(text, expected):
    assert " ".join(strip_html(text).split()) == " ".join(expected.split())


@pytest.mark.parametrize("text", ["<br />", "<p class='a'>x", "x</i>", "a &amp; b", "&#8217;", "<BR/>"])
def test_known_tags_and_entities_are_html(text):
    assert contains_html(["plain"] * 99 + [text])
    assert not contains_html(["plain"] * 100 + [text])  # less than 1 %


@pytest.mark.parametrize("text", ["I <3 you", "a < b > c", "AT&T; x", "<USER> hi", "x &y; z", "<unknown>"])
def test_other_signs_are_not_html(text):
    assert not contains_html([text])
