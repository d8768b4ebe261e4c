"""Texts: how they are cut into words, which words have a number, and texts as rows of numbers."""

import numpy as np
import pytest
import torch

from trainer.data.io.tokenization import SPECIAL, encode, is_empty, most_frequent_words, same, tokenizer


def words(text):
    """The words that a text is cut into."""
    cutting = tokenizer(SPECIAL)
    return [word for word, _ in cutting.pre_tokenizer.pre_tokenize_str(cutting.normalizer.normalize_str(text))]


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
def test_a_text_is_cut_into_words_and_punctuation_in_lower_case(text, expected):
    assert words(text) == expected.split()


def test_the_vocabulary_holds_the_most_frequent_words_those_equally_frequent_by_letters():
    texts = ["c b b a", "B d a. a", "e c d"]  # a and b three times; c and d twice; e and . once
    assert most_frequent_words(texts, 7) == ["<padding>", "<unknown>", "a", "b", "c", "d", "."]
    assert most_frequent_words(list(reversed(texts)), 7) == most_frequent_words(texts, 7)
    assert most_frequent_words(texts, 4) == ["<padding>", "<unknown>", "a", "b"]
    assert len(most_frequent_words(texts, 100)) == 8


def test_words_outside_the_vocabulary_and_texts_without_words_are_unknown():
    tokens, lengths = encode(["Good, bad", "", "good"], [*SPECIAL, "good", ","])
    assert tokens.tolist() == [2, 3, 1, 1, 2]
    assert lengths.tolist() == [3, 1, 1]


def test_no_text_can_spell_padding():
    assert 0 not in encode(["<padding> <unknown> [PAD]"], most_frequent_words(["<padding>"], 9)).tokens.tolist()


def test_tokens_take_two_bytes_where_the_vocabulary_allows_it():
    many = [*SPECIAL, *map(str, range(32_765))]
    small = encode(["32764"], many)
    assert (small.tokens.dtype, small.tokens.tolist()) == (np.int16, [32_766])
    large = encode(["32765"], [*many, "32765"])
    assert (large.tokens.dtype, large.tokens.tolist()) == (np.int32, [32_767])


@pytest.mark.parametrize(
    ("keep", "expected"), [("start", [[2, 3, 4], [7, 0, 0], [8, 9, 0]]), ("end", [[4, 5, 6], [7, 0, 0], [8, 9, 0]])]
)
def test_long_texts_keep_their_start_or_their_end_and_short_ones_are_padded_behind(keep, expected):
    vocabulary = [*SPECIAL, *"abcdefgh"]
    rows = encode(["a b c d e", "f", "g h"], vocabulary).rows(3, keep)
    assert rows.tolist() == expected
    assert rows.dtype == torch.int16


def test_more_texts_than_are_cut_at_once_stay_in_order():
    vocabulary = [*SPECIAL, *map(str, range(2500))]
    assert encode([str(n) for n in range(2500)], vocabulary).tokens.tolist() == list(range(2, 2502))


def test_texts_that_differ_in_case_blanks_and_line_breaks_alone_are_the_same():
    assert same("A  good\nfilm<br />indeed ") == same("a Good film<br /><br />Indeed")
    assert same("good , film") == same("good, film")
    assert same("a good film.") != same("a good film")


@pytest.mark.parametrize(("text", "empty"), [("", True), (" \n\t", True), ("<br /> <br />", True), (".", False)])
def test_blanks_and_line_breaks_alone_are_no_text(text, empty):
    assert is_empty(text) == empty
