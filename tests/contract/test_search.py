"""Searching memories by their words: any text is a query, and none is syntax."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from large_store import as_in_a_large_store
from omega_persistence import Hit, InvalidDataError, OmegaStore, SearchHit, Transaction
from omega_persistence.entities.words import MAX_WORDS
from samples import memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def told(store: OmegaStore, **contents: str) -> None:
    store.memories.put_many(memory(id, content=content) for id, content in contents.items())


def found(store: OmegaStore, text: str, **options: Any) -> list[str]:
    return [hit.memory.id for hit in store.memories.search(text, **options)]


HOSTILE = [
    *('"', '""', '"""', "'", "'; DROP TABLE memories; --", "a OR", "OR", "AND", "NOT", "NEAR"),
    *("NOT a", "a AND b", "a NEAR b", "NEAR(a b, 2)", "a NOT NOT b", "(", ")", "((a)", "a)"),
    *("content:a", "keywords : a", "{content keywords}: a", "-content:a", "nosuchcolumn:a"),
    *("^a", "a*", "*", "**", "a + b", "+", "-", "--", "a -b", "a:b", ":", "a^b", "^", "\\", "\\\\"),
    *("?", "?1", ":query", "@x", "$x", "%", "_", "___", "a_b", "%a%", "[a]", "{", "}", "{}"),
    *("#", "!", "&", "|", "~", "`", ";", ",", ".", "...", "<b>", "=", "a=b", "/", "/* */", "--a"),
    *("\t", "\n", "\r\n", "\u00a0", "\u2028", "\u200b", "\ufeff", "\x01", "\x7f", "\0", "a\0b"),
    *(
        "\ud800",
        "a\udfff",
        "\U0010ffff",
        "👍",
        "🏳️‍🌈",
        "日本語",
        "שלום",
        "हिन्दी",
        "ไทย",
        "e\u0301",
        "\u0301",
    ),
    *("½", "²", "Ⅷ", "٣", "ß", "İ", "ı", "ŉ", "ﬁ", "K"),
    *("rank", "rowid", "memories_fts", "bm25", "integrity-check", "rebuild", "delete-all"),
    *("a" * 100_000, "a " * 50_000, " ".join(map(str, range(5_000))), "(" * 5_000, '"' * 5_001),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_is_a_syntax_error(shared: OmegaStore, text: str):
    hits = shared.memories.search(text)
    assert len(hits) <= 2
    assert hits == shared.memories.search(text)


@pytest.fixture(scope="module", params=["memory", "file"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store that the tests only read."""
    file = tmp_path_factory.mktemp("shared") / "store.db"
    with OmegaStore(":memory:" if request.param == "memory" else file) as store:
        told(store, one="a b and rank or near not delete 42", two="日本語 e\u0301 ß")
        yield store


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters()) | st.text("a*\"'()-+^:{}ORNANDT \\\0"))
def test_no_text_at_all_is_a_syntax_error(shared: OmegaStore, text: str):
    assert len(shared.memories.search(text)) <= 2


@pytest.mark.parametrize("text", ["", " ", "...", "!?", "\0", "👍", "___"])
def test_a_text_without_words_finds_nothing(store: OmegaStore, text: str):
    told(store, a="... !? 👍 ___ \t", b="words")
    assert store.memories.search(text) == []


def test_any_of_the_words_is_enough(store: OmegaStore):
    told(store, a="apple tree", b="banana tree", c="cherry")
    assert sorted(found(store, "apple banana nothing")) == ["a", "b"]
    assert sorted(found(store, "tree?")) == ["a", "b"]
    assert found(store, "app") == []  # whole words


def test_keywords_are_searched_as_well(store: OmegaStore):
    store.memories.put_many([memory("a", keywords="Alice tuesday"), memory("b", content="alice")])
    assert sorted(found(store, "ALICE")) == ["a", "b"]
    assert found(store, "tuesday") == ["a"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Straße", "STRAßE"),
        ("Straße", "Straße"),
        ("İstanbul", "istanbul"),
        ("İstanbul", "İstanbul"),
        ("cafés", "cafe\u0301s"),
        ("cafe\u0301s", "CAFÉS"),
        ("naïve", "naive"),
        ("ΟΔΟΣ", "οδος"),
        ("ГОРОД", "город"),
        ("x\u0301y", "x\u0301y"),
        ("x\u0301y", "xy"),
        ("code_review", "code_review"),
        ("code_review", "CODE"),
        ("don't", "don't"),
        ("C++ and 3.14", "3.14"),
        ("e-mail", "e-mail"),
        ("हिन्दी में", "हिन्दी"),
    ],
)
def test_words_are_found_without_regard_to_case_and_accents(
    store: OmegaStore, content: str, text: str
):
    told(store, wanted=f"before {content} after", other="something else")
    assert found(store, text) == ["wanted"]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(word=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12))
def test_a_word_finds_the_memory_that_says_it(store: OmegaStore, word: str):
    store.memories.put(memory(content=f"before x{word} after"))
    assert found(store, f"x{word}") == ["memory"]


def test_more_words_and_rarer_words_and_shorter_memories_rank_higher(store: OmegaStore):
    told(store, **{f"filler{i}": "common words of every day" for i in range(20)})
    told(
        store,
        both="common zebra",
        rare="zebra crossing here today",
        common="common stone here today",
    )
    assert found(store, "common zebra", limit=3)[:2] == ["both", "rare"]
    told(store, short="quokka", long="quokka " + "and many other words " * 20)
    assert found(store, "quokka") == ["short", "long"]
    told(store, twice="wombat wombat sees the hill", once="wombat only sees the hill")
    assert found(store, "wombat") == ["twice", "once"]


def test_scores_fall_and_ties_are_by_id(store: OmegaStore):
    told(store, c="same words", a="same words", b="same words", best="same same words")
    hits = store.memories.search("same")
    assert [hit.memory.id for hit in hits] == ["best", "a", "b", "c"]
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert scores[1] == scores[2] == scores[3]
    told(store, a="same words")
    assert found(store, "same") == ["best", "a", "b", "c"]


def test_a_word_said_twice_in_the_question_weighs_once(store: OmegaStore):
    told(store, a="apple tree", b="banana tree", c="stone")
    assert store.memories.search("apple Apple APPLE banana") == store.memories.search(
        "apple banana"
    )


def test_words_are_found_by_their_english_stems(store: OmegaStore):
    told(store, a="She was painting sunrises", b="one house of many")
    for text in ("paint", "painted", "a painting", "sunrise", "SUNRISES"):
        assert found(store, text) == ["a"]
    assert found(store, "houses") == ["b"]
    (hit,) = store.memories.search("paint the sunrise")
    assert hit.snippet == "She was **painting** **sunrises**"
    assert store.memories.search("paint paints painting") == store.memories.search("paint")


@pytest.mark.parametrize(
    ("content", "text", "snippet"),
    [
        ("我昨天吃了苹果。", "苹果", "我昨天吃了**苹果**。"),
        ("昨日、東京へ行きました", "東京", "昨日、**東京**へ行きました"),
        ("카페에서 친구를 만났다", "친구", "카페에서 **친구**를 만났다"),
        ("Python3で書いた", "python3", "**Python3**で書いた"),
        ("用Docker部署了服务", "部署 Docker", "用**Docker部署**了服务"),
        ("東京Tokyo", "tokyo", "東京**Tokyo**"),
        ("ラーメンが好き", "ラーメン", "**ラーメン**が好き"),
    ],
)
def test_chinese_japanese_and_korean_are_found_without_blanks(
    store: OmegaStore, content: str, text: str, snippet: str
):
    told(store, wanted=content, other="something else", third="完全不同")
    store.memories.put(memory("tagged", keywords=text))
    assert sorted(found(store, text)) == ["tagged", "wanted"]
    told(store, tagged="nothing", wanted=f"x {content}")
    (hit,) = store.memories.search(text)
    assert hit.snippet == f"x {snippet}"
    told(store, wanted="nothing")
    assert found(store, text) == []


def test_words_that_say_nothing_count_only_if_there_are_no_others(store: OmegaStore):
    told(store, a="what is the matter", b="apple")
    assert found(store, "What is the apple?") == ["b"]
    assert found(store, "what is the") == ["a"]


def test_the_two_columns_may_weigh_differently(store: OmegaStore):
    store.memories.put_many([memory("c", content="apple"), memory("k", keywords="apple")])
    assert found(store, "apple", keywords_weight=3) == ["k", "c"]
    assert found(store, "apple", content_weight=3) == ["c", "k"]
    for weight in (0, -1, float("nan"), float("inf"), True, "1"):
        for name in ("content_weight", "keywords_weight"):
            with pytest.raises(InvalidDataError, match=name):
                store.memories.search("apple", **{name: weight})  # pyright: ignore[reportArgumentType]


def test_filters_hold_before_the_limit(store: OmegaStore):
    store.memories.put_many(
        memory(
            f"{n:02}",
            content="apple" if n % 2 else "apple tree",
            tier=1 + n % 12,
            session=f"s{n % 5}",
            created_at=n,
            importance=n / 100,
            metadata_json={"place": {"city": "Bern" if n % 3 else "Rome"}},
        )
        for n in range(100)
    )
    assert found(store, "apple", limit=None, tiers=[12]) == [f"{n}" for n in range(11, 100, 12)]
    assert len(found(store, "apple", limit=50, session="s3")) == 20
    assert sorted(found(store, "apple", since=90, until=95)) == ["90", "91", "92", "93", "94"]
    assert len(found(store, "apple", limit=50, min_importance=0.9)) == 10
    assert len(found(store, "apple", limit=50, where={"place.city": "Rome"})) == 34
    assert found(store, "apple", session="s3", tiers=[4], where={"place.city": "Rome"}) == [
        "03",
        "63",
    ]
    assert found(store, "apple", tiers=[]) == []
    with pytest.raises(InvalidDataError, match="where"):
        store.memories.search("apple", where={"place": ["Rome"]})  # pyright: ignore[reportArgumentType]


WORDS = st.sampled_from(["aa", "aa", "aa", "bb", "bb", "cc", "dd", "ee", "ee_ff", "Ff", "東京"])

FILTERS: list[dict[str, Any]] = [
    *({}, {"tiers": [1, 2]}, {"session": "s1"}, {"since": 9}, {"where": {"even": True}}),
    {"session": "s2", "until": 25, "tiers": [2, 3], "min_importance": 0.4},
    {"tiers": [1], "min_importance": 0.6, "where": {"even": False}},
]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    said=st.lists(st.tuples(st.lists(WORDS, max_size=9), st.lists(WORDS, max_size=2)), max_size=40),
    text=st.lists(
        st.sampled_from(["aa", "bb", "cc", "dd", "ee", "ff", "ee_ff", "gg", "東京"]),
        min_size=1,
        max_size=5,
    ),
    limit=st.integers(1, 8),
    only=st.sampled_from(FILTERS),
    weight=st.sampled_from([1.0, 2.0]),
    few=st.integers(0, 30),
    matches=st.integers(0, 60),
    likely=st.integers(8, 12),
    narrow=st.sampled_from([0, 12, 100]),
    budget=st.sampled_from([0, 300, 10**6]),
    others=st.sampled_from([0, 0, 200]),
)
def test_common_words_are_left_out_only_where_they_change_nothing(
    store: OmegaStore,
    said: list[tuple[list[str], list[str]]],
    text: list[str],
    limit: int,
    only: dict[str, Any],
    weight: float,
    few: int,
    matches: int,
    likely: int,
    narrow: int,
    budget: int,
    others: int,
):
    other = store.in_namespace("other")
    other.memories.delete_many(f"{n:03}" for n in range(200))
    told(other, **{f"{n:03}": "aa ee_ff tree" for n in range(others)})
    asked = " ".join(text)
    with store.transaction() as tx:
        tx.memories.delete_many(f"{n:02}" for n in range(40))
        told_again(tx, said)
        everything = tx.memories.search(asked, limit=limit, content_weight=weight, **only)
        recalled = tx.recall(asked, limit=limit, explain=False, **only)
        with as_in_a_large_store(
            few=few, matches=matches, likely=likely, narrow=narrow, budget=budget
        ):
            fewer = tx.memories.search(asked, limit=limit, content_weight=weight, **only)
        with as_in_a_large_store(few=few, narrow=narrow, budget=budget):
            recalled_by_rarer = tx.recall(asked, limit=limit, explain=False, **only)
    assert [hit.score for hit in fewer] == pytest.approx([hit.score for hit in everything])
    assert in_order(fewer) == in_order(everything)
    # Of more candidates than are looked at, those with the same score may be others.
    if len(said) <= 20:
        assert in_order(recalled_by_rarer) == in_order(recalled)


def told_again(tx: Transaction, said: Iterable[tuple[list[str], list[str]]]) -> None:
    tx.memories.put_many(
        memory(
            f"{n:02}",
            content=" ".join(content),
            keywords=" ".join(keywords),
            tier=1 + n % 3,
            importance=n % 5 / 4,
            metadata_json={"even": n % 2 == 0},
            session=f"s{n % 4}",
            created_at=n,
            expires_at=1 if n % 7 == 6 else None,
        )
        for n, (content, keywords) in enumerate(said)
    )


def in_order(hits: Sequence[SearchHit] | Sequence[Hit]) -> list[tuple[float, str]]:
    return sorted((-round(hit.score, 9), hit.memory.id) for hit in hits)


def test_a_small_namespace_of_a_large_file_answers_alike(store: OmegaStore):
    """Its memories are met by its word in the index, which is no word of any question."""
    told(store, **{f"{n:04}": f"apple {n} tree" for n in range(400)})
    small = store.in_namespace("small")
    told(small, a="apple pie", b="pear tree")
    told(store, **{f"x{n:04}": f"apple {n} tree" for n in range(400)})
    assert found(small, "apple tree") == ["b", "a"] or found(small, "apple tree") == ["a", "b"]
    assert found(small, "\ue000736d616c6c") == []
    assert found(small, "736d616c6c") == []
    assert found(store, "pie pear") == []


def test_the_word_of_a_namespace_counts_for_nothing_in_a_text(store: OmegaStore):
    told(store, **{f"{n:04}": "apple tree" for n in range(400)})
    small = store.in_namespace("small")
    told(small, a="apple pie", b="apple \ue000736d616c6c")
    told(store, **{f"x{n:04}": "apple tree" for n in range(400)})
    first, second = small.memories.search("apple")
    assert first.score == pytest.approx(second.score)


def test_a_word_whose_stem_ends_within_a_character_is_found(store: OmegaStore):
    told(store, a="a\u0442ing stuff", b="pear tree", c="apple tree")
    with as_in_a_large_store():
        assert found(store, "a\u0442ing") == ["a"]
        assert set(found(store, "a\u0442ing pear")) == {"a", "b"}


def test_a_word_that_the_index_cuts_is_found(store: OmegaStore):
    word = "\U00010330" * 9000
    told(store, a=f"{word} tail", b="pear tree", c="apple tree")
    with as_in_a_large_store(narrow=1000):
        assert set(found(store, f"{word} pear", tiers=range(1, 13))) == {"a", "b"}


def test_the_snippet_marks_the_words(store: OmegaStore):
    told(store, a="The Quick brown fox")
    (hit,) = store.memories.search("quick FOX")
    assert hit.snippet == "The **Quick** brown **fox**"
    assert hit.memory == store.memories.get("a")
    far = "far " * 500 + "needle " + "away " * 500
    told(store, b=far)
    (hit,) = store.memories.search("needle")
    assert "**needle**" in hit.snippet
    assert len(hit.snippet) < 250
    store.memories.put(memory("c", content="nothing here", keywords="hidden"))
    (hit,) = store.memories.search("hidden")
    assert hit.snippet == "nothing here"


def test_there_is_a_limit(store: OmegaStore):
    told(store, **{f"{i:02}": "apple" for i in range(30)})
    assert found(store, "apple") == [f"{i:02}" for i in range(10)]
    assert found(store, "apple", limit=2) == ["00", "01"]
    assert found(store, "apple", limit=0) == []
    assert len(found(store, "apple", limit=1000)) == 30
    for limit in (-1, True, 1.5):
        for text in ("apple", ""):
            with pytest.raises(InvalidDataError, match="limit"):
                store.memories.search(text, limit=limit)  # pyright: ignore[reportArgumentType]


def test_the_first_words_of_a_long_question_count(store: OmegaStore):
    told(store, first="word0", last=f"word{MAX_WORDS - 1}", beyond=f"word{MAX_WORDS}")
    question = " ".join(f"word{i} WORD{i}" for i in range(MAX_WORDS + 10))
    assert sorted(found(store, question)) == ["first", "last"]


def test_namespaces_are_searched_apart(store: OmegaStore):
    here, there = store.in_namespace("here"), store.in_namespace("there")
    told(here, a="apple tree")
    told(there, a="apple pie", b="apple")
    assert found(here, "apple pie") == ["a"]
    assert here.memories.search("apple")[0].memory.content == "apple tree"
    assert sorted(found(there, "apple")) == ["a", "b"]
    assert found(store, "apple") == []
    store.delete_namespace("there")
    assert found(there, "apple") == []


def test_updates_and_deletes_are_seen_at_once(store: OmegaStore):
    told(store, a="apple", b="banana")
    told(store, a="cherry")
    assert found(store, "apple") == []
    assert found(store, "cherry") == ["a"]
    store.memories.put(memory("a", content="cherry", keywords="damson"))
    assert found(store, "damson") == ["a"]
    store.memories.put(memory("a", content="cherry"))
    assert found(store, "damson") == []
    store.memories.touch("a", 5)
    assert found(store, "cherry") == ["a"]
    store.memories.delete("a")
    assert found(store, "cherry banana") == ["b"]
    told(store, a="apple")
    assert found(store, "apple") == ["a"]


def test_a_transaction_searches_its_own_words_and_others_do_not(store: OmegaStore):
    told(store, a="apple")
    with suppress(KeyError), store.transaction() as tx:
        tx.memories.put_many([memory("b", content="apple"), memory("a", content="banana")])
        assert [hit.memory.id for hit in tx.memories.search("apple banana")] == ["a", "b"]
        with suppress(KeyError), tx.transaction() as inner:
            inner.memories.put(memory("c", content="apple"))
            raise KeyError
        assert [hit.memory.id for hit in tx.memories.search("apple")] == ["b"]
        raise KeyError
    assert found(store, "apple banana") == ["a"]


def test_an_interrupted_batch_leaves_no_words_behind(store: OmegaStore):
    with pytest.raises(InvalidDataError):
        store.memories.put_many([memory("a", content="apple"), memory("b", importance=2)])
    assert found(store, "apple") == []
    assert store.check() == []


def test_optimizing_and_compacting_change_no_answer(store: OmegaStore):
    told(store, **{f"m{i}": f"apple number {i}" for i in range(50)})
    store.memories.delete_many(f"m{i}" for i in range(0, 50, 2))
    before = store.memories.search("apple 7", limit=50)
    store.optimize()
    assert [hit.memory for hit in store.memories.search("apple 7", limit=50)] == [
        hit.memory for hit in before
    ]
    store.compact()
    assert [hit.memory for hit in store.memories.search("apple 7", limit=50)] == [
        hit.memory for hit in before
    ]
