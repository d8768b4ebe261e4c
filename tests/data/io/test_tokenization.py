"""Tokenization, vocabularies and encoded texts."""

import numpy as np
import pytest
import torch

from trainer.data.io.tokenization import (
    SPECIAL_TOKENS,
    build_tokenizer,
    build_vocabulary,
    encode,
    is_empty,
    normalize_text,
)


def split_words(text):
    """Return the words of a text."""
    tokenizer = build_tokenizer(SPECIAL_TOKENS)
    return [text for text, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A GREAT film.", "a great film ."),
        ("well-made,10/10!", "well - made , 10 / 10 !"),
        ("end.<br /><br />Start", "end . start"),
        ("It's fun; they'll cry", "it 's fun ; they 'll cry"),
        ("I didn't. Don't! can't", "i did n't . do n't ! ca n't"),
        ("it\u2019s, isn\u2019t", "it 's , is n't"),
        ("a 'quoted' word's end, o'clock", "a ' quoted ' word 's end , o ' clock"),
        ("Amélie's café", "amélie 's café"),
        ("wait...", "wait . . ."),
    ],
)
def test_a_text_is_split_into_words_and_punctuation_in_lower_case(text, expected):
    assert split_words(text) == expected.split()


def test_the_vocabulary_contains_the_most_frequent_words_in_order():
    texts = ["c b b a", "B d a. a", "e c d"]  # a and b three times; c and d twice; e and . once
    assert build_vocabulary(texts, 7) == ["<padding>", "<unknown>", "a", "b", "c", "d", "."]
    assert build_vocabulary(list(reversed(texts)), 7) == build_vocabulary(texts, 7)
    assert build_vocabulary(texts, 4) == ["<padding>", "<unknown>", "a", "b"]
    assert len(build_vocabulary(texts, 100)) == 8


def test_words_outside_the_vocabulary_and_texts_without_words_are_unknown():
    tokens, lengths = encode(["Good, bad", "", "good"], [*SPECIAL_TOKENS, "good", ","])
    assert tokens.tolist() == [2, 3, 1, 1, 2]
    assert lengths.tolist() == [3, 1, 1]


def test_no_text_contains_the_padding_token():
    assert 0 not in encode(["<padding> <unknown> [PAD]"], build_vocabulary(["<padding>"], 9)).tokens.tolist()


def test_tokens_take_two_bytes_if_the_vocabulary_is_small_enough():
    vocabulary = [*SPECIAL_TOKENS, *map(str, range(32_765))]
    small = encode(["32764"], vocabulary)
    assert (small.tokens.dtype, small.tokens.tolist()) == (np.int16, [32_766])
    large = encode(["32765"], [*vocabulary, "32765"])
    assert (large.tokens.dtype, large.tokens.tolist()) == (np.int32, [32_767])


@pytest.mark.parametrize(
    ("keep", "expected"), [("start", [[2, 3, 4], [7, 0, 0], [8, 9, 0]]), ("end", [[4, 5, 6], [7, 0, 0], [8, 9, 0]])]
)
def test_long_texts_are_cut_and_short_ones_are_padded(keep, expected):
    vocabulary = [*SPECIAL_TOKENS, *"abcdefgh"]
    rows = encode(["a b c d e", "f", "g h"], vocabulary).pad(3, keep)
    assert rows.tolist() == expected
    assert rows.dtype == torch.int16


def test_texts_of_several_batches_stay_in_order():
    vocabulary = [*SPECIAL_TOKENS, *map(str, range(2500))]
    assert encode([str(n) for n in range(2500)], vocabulary).tokens.tolist() == list(range(2, 2502))


def test_normalized_texts_ignore_case_blanks_and_line_breaks():
    assert normalize_text("A  good\nfilm<br />indeed ") == normalize_text("a Good film<br /><br />Indeed")
    assert normalize_text("good , film") == normalize_text("good, film")
    assert normalize_text("a good film.") != normalize_text("a good film")


@pytest.mark.parametrize(("text", "empty"), [("", True), (" \n\t", True), ("<br /> <br />", True), (".", False)])
def test_blanks_and_line_breaks_are_an_empty_text(text, empty):
    assert is_empty(text) == empty
