"""The real embedder: unit vectors of meaning that batching, length and look-alike letters do not change."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelError
from core.ports import Embedder
from retrieval.embedding import SentenceEmbedder


def test_vectors_have_unit_length_the_stated_dimension_and_32_bits(embedder: Embedder) -> None:
    vectors = embedder.encode(["How do I pay?", "", "🙂", "x" * 10_000])
    assert (vectors.shape, vectors.dtype) == ((4, embedder.dimension), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_version_names_the_model_and_its_weights(embedder: Embedder) -> None:
    assert embedder.version == "sentence-transformers/all-MiniLM-L6-v2@53aa51172d14"


def test_texts_of_like_meaning_are_nearer_than_others(embedder: Embedder) -> None:
    question, like, unlike = embedder.encode(["I forgot my password", "How can I reset my login?", "Do you ship to Norway?"])
    assert question @ like > question @ unlike + 0.2


def test_bad_input_11_look_alike_and_decomposed_letters_give_the_same_vector(embedder: Embedder) -> None:
    texts = ["pay by café card", "pay by cafe\u0301 card", "p\u0430y by café card", "ｐａｙ by\u200b café card"]
    vectors = embedder.encode(texts)
    assert np.allclose(vectors @ vectors[0], 1, atol=1e-5)


def test_the_order_and_company_of_texts_change_nothing_and_progress_adds_up(embedder: Embedder) -> None:
    texts = [f"question {n} " + "about delivery " * (n % 7) for n in range(70)]
    done: list[int] = []
    together = embedder.encode(texts, done.append)
    alone = embedder.encode([texts[41]])
    assert np.allclose(together[41], alone[0], atol=1e-5)
    assert sum(done) == 70


async def test_a_lone_question_and_many_at_once_get_the_vectors_of_a_batch(embedder: Embedder) -> None:
    texts = [f"where is order {n}" for n in range(20)]
    vectors = await asyncio.gather(*map(embedder.embed, texts))
    assert np.allclose(np.stack(vectors), embedder.encode(texts), atol=1e-5)


def test_nothing_to_encode_gives_no_vectors(embedder: Embedder) -> None:
    assert embedder.encode([]).shape == (0, embedder.dimension)


def test_a_folder_without_model_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be opened"):
        SentenceEmbedder(tmp_path / "nothing", "none@0").encode(["x"])


def test_a_damaged_model_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(ModelError, match=f"The embedder in {tmp_path} cannot be opened"):
        SentenceEmbedder(tmp_path, "none@0").encode(["x"])
