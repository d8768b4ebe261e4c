"""Plain text of texts that contain HTML."""

import re
from collections.abc import Sequence
from html import unescape
from html.parser import HTMLParser

MIN_HTML_FRACTION = 0.01  # of the texts; single ones may be about HTML
# a known tag or an entity, so that "a < b" and "AT&T" are not HTML
HTML_PATTERN = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|body|br|center|code|div|em|font|h[1-6]|head|hr|html|i|img|li|ol|p|pre|s|small|span|"
    r"strong|sub|sup|table|tbody|td|th|tr|u|ul)(?:\s[^<>]*)?/?>|"
    r"&(?:amp|quot|lt|gt|nbsp|apos|#\d{1,6}|#x[0-9a-f]{1,6});",
    re.IGNORECASE,
)
# tags that may be inside a word; others separate words
INLINE_TAGS = frozenset({"a", "abbr", "b", "big", "em", "font", "i", "mark", "s", "small", "span", "strong", "sub"})
INLINE_TAGS |= {"sup", "u"}
HIDDEN_TAGS = frozenset({"script", "style"})  # their content is not text


def contains_html(texts: Sequence[str]) -> bool:
    """Return whether some of the texts contain tags or entities: at least 1 in 100."""
    count = sum(HTML_PATTERN.search(text) is not None for text in texts)
    return count > 0 and count >= MIN_HTML_FRACTION * len(texts)


def strip_html(text: str) -> str:
    """Return a text without tags, comments and scripts, and with the characters of entities."""
    if "<" not in text:
        return unescape(text) if "&" in text else text
    parser = _TextParser()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts).strip()


class _TextParser(HTMLParser):
    """Parser that collects the text between tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in HIDDEN_TAGS
        self._separate(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in HIDDEN_TAGS))
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)

    def _separate(self, tag: str) -> None:
        if tag not in INLINE_TAGS:
            self.parts.append(" ")
