"""Detection of the encoding of a text."""

import io

import pytest

from trainer.core.errors import UserError
from trainer.data.io.text_encoding import CHUNK_BYTES, detect_encoding, iter_utf8, validate_encoding

FRENCH = "température,année,élève\n12,été,Noël — déjà\n"
RUSSIAN = "\n".join(["имя,город,возраст", "Иван,Москва,31", "Мария,Казань,27"])
CHINESE = "姓名,城市,年龄\n王小明,北京,三十一\n李华,上海,二十七\n张伟,广州,四十\n"
JAPANESE = "名前,都市,コメント\nやまだ,とうきょう,とてもよかったです\nすずき,おおさか,ありがとうございました\n"


@pytest.mark.parametrize(
    ("text", "stored", "detected"),
    [
        ("a,b\n1,2\n", "ascii", "utf-8"),
        (RUSSIAN, "utf-8", "utf-8"),
        (RUSSIAN, "utf-8-sig", "utf-8"),
        (RUSSIAN, "utf-16", "utf-16"),
        (RUSSIAN, "utf-32", "utf-32"),
        (FRENCH, "cp1252", "cp1252"),
        (RUSSIAN, "cp1251", "cp1251"),
        (CHINESE, "gb18030", "gb18030"),
        (JAPANESE, "cp932", "cp932"),
    ],
)
def test_the_encoding_is_detected(text, stored, detected):
    assert detect_encoding(io.BytesIO(text.encode(stored))) == detected


@pytest.mark.parametrize(
    ("encoding", "cell"),
    [
        *(
            ("cp1252", cell)
            for cell in ("José", "Müller", "niño", "Ångström", "10°", "±3", "£5", "½", "50 €", "don\u2019t")
        ),
        ("cp1251", "Москва"),
        ("cp1251", "нет"),
        ("cp932", "東京"),
    ],
)
@pytest.mark.parametrize("count", [1, 40])
def test_few_letters_are_sufficient(encoding, cell, count):
    text = "name,x\nAnn,0\n" + "".join(f"{cell},{row}\n" for row in range(count))
    assert detect_encoding(io.BytesIO(text.encode(encoding))) == encoding


def test_bytes_after_the_first_chunk_are_checked():
    ascii_text = b"a,b\n" * (CHUNK_BYTES // 4 + 1)
    assert detect_encoding(io.BytesIO(ascii_text + "é,1\n".encode())) == "utf-8"
    assert detect_encoding(io.BytesIO(ascii_text + "été,1\n".encode("cp1252"))) == "cp1252"


def test_a_character_may_be_in_two_chunks():
    text = b"a" * (CHUNK_BYTES - 1) + "é".encode()
    assert detect_encoding(io.BytesIO(text)) == "utf-8"
    assert b"".join(iter_utf8(io.BytesIO(text), "utf-8")) == text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_the_content_is_converted_without_a_byte_order_mark(encoding):
    content = CHINESE.encode(encoding)
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    assert b"".join(iter_utf8(io.BytesIO(content), name)) == CHINESE.encode()


@pytest.mark.parametrize("encoding", ["utf-9", "rot13", "base64", ""])
def test_an_unknown_encoding_is_an_error(encoding):
    with pytest.raises(UserError, match=f"^data.encoding: unknown encoding '{encoding}'; for example utf-8"):
        validate_encoding(encoding)


@pytest.mark.parametrize(("encoding", "name"), [("UTF8", "utf-8"), ("latin-1", "iso8859-1"), ("GBK", "gbk")])
def test_the_usual_name_of_an_encoding_is_returned(encoding, name):
    assert validate_encoding(encoding) == name
