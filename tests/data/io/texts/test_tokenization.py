"""Tokenization, vocabularies and encoded texts."""

import numpy as np
import pytest
import torch

from trainer.data.io.texts.tokenization import (
    SPECIAL_TOKENS,
    Vocabulary,
    build_tokenizer,
    build_vocabulary,
    choose_tokens,
    encode,
    is_empty,
    normalize_text,
)


def encode_words(texts, tokens):
    """Encode texts with a vocabulary of words."""
    return encode(texts, build_tokenizer(Vocabulary([*tokens], []), "words"))


def split_words(text, kind):
    """Return the tokens of a text."""
    tokenizer = build_tokenizer(Vocabulary([*SPECIAL_TOKENS], []), kind)
    return [text for text, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]


@pytest.mark.parametrize("kind", ["reviews", "words"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A GREAT film.", "a great film ."),
        ("well-made,10/10!", "well - made , 10 / 10 !"),
        ("It's fun; they'll cry", "it 's fun ; they 'll cry"),
        ("I didn't. Don't! can't", "i did n't . do n't ! ca n't"),
        ("it\u2019s, isn\u2019t", "it 's , is n't"),
        ("a 'quoted' word's end, o'clock", "a ' quoted ' word 's end , o ' clock"),
        ("Amélie's café", "amélie 's café"),
        ("wait...", "wait . . ."),
    ],
)
def test_a_text_is_split_into_words_and_punctuation_in_lower_case(text, expected, kind):
    assert split_words(text, kind) == expected.split()


def test_line_breaks_of_reviews_separate_words():
    assert split_words("end.<br /><br />Start", "reviews") == ["end", ".", "start"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good 👍🏽 👨\u200d👩\u200d👧😀 ❤️🇩🇪", ["good", "👍🏽", "👨\u200d👩\u200d👧", "😀", "❤️", "🇩🇪"]),
        ("बहुत अच्छी फिल्म", ["बहुत", "अच्छी", "फिल्म"]),
        ("می\u200cخواهم، جداً", ["می\u200cخواهم", "،", "جداً"]),  # noqa: RUF001
        ('סרט צה"ל "טוב"', ["סרט", 'צה"ל', '"', "טוב", '"']),
        ("Cafe\u0301 soft\u00adhyphen", ["café", "softhyphen"]),
        ("a\u200bb\u200f c\x00d \u200d", ["a", "b", "c", "d"]),
    ],
)
def test_words_of_other_languages_and_emoji_are_not_cut(text, expected):
    assert split_words(text, "words") == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("这部电影 OK。", "这 部 电 影 o k 。"), ("หนังดี", "ห นั ง ดี"), ("👍🏽 x", "👍🏽 x")]
)
def test_characters_include_their_accents_and_vowel_signs(text, expected):
    assert split_words(text, "characters") == expected.split()


def test_subwords_are_frequent_parts_of_words():
    texts = ["low lower lowest low", "new newer newest"] * 9
    vocabulary = Vocabulary.from_text(build_vocabulary(texts, 40, "subwords").to_text())
    assert len(vocabulary.tokens) <= 40
    assert vocabulary.tokens[:2] == [*SPECIAL_TOKENS]
    tokens, lengths = encode(["Newest lowxer", "low"], build_tokenizer(vocabulary, "subwords"))
    assert [vocabulary.tokens[token] for token in tokens] == [
        *("newest", "low", "<unknown>", "##e", "##r"),
        "low",
    ]
    assert lengths.tolist() == [5, 1]


@pytest.mark.parametrize("kind", ["words", "characters", "subwords"])
def test_a_vocabulary_is_restored_from_its_text(kind):
    vocabulary = build_vocabulary(["good better best"] * 5, 20, kind)
    assert Vocabulary.from_text(vocabulary.to_text()) == vocabulary
    assert len(vocabulary.tokens) <= 20


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a good film"], "words"),
        (["这部电影", "good"], "words"),  # 4 of 8 letters
        (["这部电影很", "good"], "characters"),
        (["すごい映画"], "characters"),
        (["หนังสนุกมาก 10"], "characters"),
        (["बहुत अच्छी", "한국어 영화"], "words"),
        ([], "words"),
    ],
)
def test_characters_are_the_tokens_of_languages_without_spaces(texts, expected):
    assert choose_tokens(texts) == expected


def test_the_vocabulary_contains_the_most_frequent_words_in_order():
    texts = ["c b b a", "B d a. a", "e c d"]  # a and b three times; c and d twice; e and . once
    tokens = build_vocabulary(texts, 7, "words").tokens
    assert tokens == ["<padding>", "<unknown>", "a", "b", "c", "d", "."]
    assert build_vocabulary(reversed(texts), 7, "words").tokens == tokens
    assert build_vocabulary(texts, 4, "words").tokens == ["<padding>", "<unknown>", "a", "b"]
    assert len(build_vocabulary(texts, 100, "words").tokens) == 8


def test_words_outside_the_vocabulary_and_texts_without_words_are_unknown():
    tokens, lengths = encode_words(["Good, bad", "", "good"], [*SPECIAL_TOKENS, "good", ","])
    assert tokens.tolist() == [2, 3, 1, 1, 2]
    assert lengths.tolist() == [3, 1, 1]


def test_no_text_contains_the_padding_token():
    tokens = build_vocabulary(["<padding>"], 9, "words").tokens
    assert 0 not in encode_words(["<padding> <unknown> [PAD]"], tokens).tokens.tolist()


def test_tokens_take_two_bytes_if_the_vocabulary_is_small_enough():
    vocabulary = [*SPECIAL_TOKENS, *map(str, range(32_765))]
    small = encode_words(["32764"], vocabulary)
    assert (small.tokens.dtype, small.tokens.tolist()) == (np.int16, [32_766])
    large = encode_words(["32765"], [*vocabulary, "32765"])
    assert (large.tokens.dtype, large.tokens.tolist()) == (np.int32, [32_767])


@pytest.mark.parametrize(
    ("keep", "expected"), [("start", [[2, 3, 4], [7, 0, 0], [8, 9, 0]]), ("end", [[4, 5, 6], [7, 0, 0], [8, 9, 0]])]
)
def test_long_texts_are_cut_and_short_ones_are_padded(keep, expected):
    vocabulary = [*SPECIAL_TOKENS, *"abcdefgh"]
    rows = encode_words(["a b c d e", "f", "g h"], vocabulary).pad(3, keep)
    assert rows.tolist() == expected
    assert rows.dtype == torch.int16


def test_texts_of_several_batches_stay_in_order():
    vocabulary = [*SPECIAL_TOKENS, *map(str, range(2500))]
    assert encode_words([str(n) for n in range(2500)], vocabulary).tokens.tolist() == list(range(2, 2502))


def test_normalized_texts_ignore_case_blanks_and_line_breaks():
    assert normalize_text("A  good\nfilm<br />indeed ") == normalize_text("a Good film<br /><br />Indeed")
    assert normalize_text("good , film") == normalize_text("good, film")
    assert normalize_text("a good film.") != normalize_text("a good film")


@pytest.mark.parametrize(
    ("text", "empty"), [("", True), (" \n\t", True), ("\u200b\xa0", True), ("<br /> <br />", True), (".", False)]
)
def test_blanks_and_line_breaks_are_an_empty_text(text, empty):
    assert is_empty(text) == empty
