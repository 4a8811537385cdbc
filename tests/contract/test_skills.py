"""Skills: names, counters, and the two ways of asking for their trigger patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from omega_persistence import ConflictError, InvalidDataError, NotFoundError, OmegaStore
from omega_persistence.entities.skills import MAX_PATTERN
from samples import skill

if TYPE_CHECKING:
    from conftest import Clock

LAST = 2**63 - 1


def ids(skills: list[Any]) -> list[str]:
    return [each.id for each in skills]


# Names


def test_by_name_finds_exactly_this_name(store: OmegaStore):
    store.skills.put_many([skill("1", name="review"), skill("2", name="Review ")])
    assert store.skills.by_name("review").id == "1"
    for name in ("Review", "revie_", "", "nobody"):
        with pytest.raises(NotFoundError) as caught:
            store.skills.by_name(name)
        assert (caught.value.kind, caught.value.field) == ("StoredSkill", "name")
    with pytest.raises(NotFoundError):
        store.in_namespace("elsewhere").skills.by_name("review")


@pytest.mark.parametrize("many", [False, True])
def test_a_taken_name_is_refused_naming_both_ids(store: OmegaStore, many: bool):
    owner = skill("owner", name="shared", success_count=42)
    other = skill("other", name="own")
    store.skills.put_many([owner, other])
    for thief in (skill("thief", name="shared"), replace(other, name="shared")):
        with pytest.raises(ConflictError) as caught:
            store.skills.put_many([thief]) if many else store.skills.put(thief)
        for part in (repr(thief.id), "'owner'", "'shared'"):
            assert part in str(caught.value)
        assert (caught.value.id, caught.value.field) == (thief.id, "name")
        assert caught.value.kind == "StoredSkill"
        assert caught.value.hint
    assert store.skills.scan() == [other, owner]


def test_names_that_only_look_alike_are_different_names(store: OmegaStore):
    names = ["a", "A", " a", "a ", "\uff41", "é", "e\u0301", "a\u200b", "%", "_"]
    store.skills.put_many(skill(f"{i}", name=name) for i, name in enumerate(names))
    assert [store.skills.by_name(name).id for name in names] == [f"{i}" for i in range(len(names))]


def test_two_skills_of_one_batch_cannot_share_a_name(store: OmegaStore):
    with pytest.raises(ConflictError, match="'first'") as caught:
        store.skills.put_many([skill("first", name="n"), skill("second", name="n")])
    assert caught.value.index == 1
    assert store.skills.count() == 0


def test_names_can_be_exchanged_by_way_of_a_third(store: OmegaStore):
    store.skills.put_many([skill("1", name="a"), skill("2", name="b")])
    store.skills.put_many([skill("1", name="c"), skill("2", name="a"), skill("1", name="b")])
    assert (store.skills.by_name("a").id, store.skills.by_name("b").id) == ("2", "1")


# Counters


def test_put_again_never_loses_a_count_or_a_later_use(store: OmegaStore):
    store.skills.put(skill(success_count=5, failure_count=2, last_used=70, created_at=100))
    store.skills.put(skill(success_count=1, failure_count=9, last_used=None, created_at=300))
    assert store.skills.get("skill") == skill(
        success_count=5, failure_count=9, last_used=70, created_at=100
    )
    store.skills.put(skill(last_used=60, created_at=90, description="new"))
    assert store.skills.get("skill") == skill(
        success_count=5, failure_count=9, last_used=70, created_at=90, description="new"
    )


def test_an_absent_last_use_gives_way_to_any(store: OmegaStore):
    store.skills.put(skill())
    assert store.skills.get("skill").last_used is None
    store.skills.put(skill(last_used=-5))
    assert store.skills.get("skill").last_used == -5


@pytest.mark.parametrize(("record", "field"), [("success", 0), ("failure", 1)])
def test_a_report_counts_and_notes_the_time(store: OmegaStore, record: str, field: int):
    report = getattr(store.skills, f"record_{record}")
    store.skills.put_many([skill("skill"), skill("other")])
    report("skill", 50)
    report("skill", 40)  # a late one never moves the last use back
    found = store.skills.get("skill")
    assert found.last_used == 50
    assert (found.success_count, found.failure_count) == ((2, 0) if field == 0 else (0, 2))
    assert store.skills.get("other") == skill("other")
    report("skill", -(2**63))
    report("skill", LAST)
    assert store.skills.get("skill").last_used == LAST
    with pytest.raises(NotFoundError, match="'nobody'"):
        report("nobody", 1)
    with pytest.raises(NotFoundError):
        getattr(store.in_namespace("elsewhere").skills, f"record_{record}")("skill", 1)


def test_a_report_is_of_now_by_default(store: OmegaStore, clock: Clock):
    store.skills.put(skill())
    store.skills.record_success("skill")
    assert store.skills.get("skill").last_used == clock.now
    clock.now += 5
    store.skills.record_failure("skill")
    assert store.skills.get("skill").last_used == clock.now


@pytest.mark.parametrize("start", [LAST - 1, LAST])
def test_counters_saturate_instead_of_overflowing(store: OmegaStore, start: int):
    store.skills.put(skill(success_count=start, failure_count=start))
    for _ in range(3):
        store.skills.record_success("skill", 1)
        store.skills.record_failure("skill", 1)
    found = store.skills.get("skill")
    assert (found.success_count, found.failure_count) == (LAST, LAST)
    assert store.skills.by_pattern("pattern") == store.skills.top() == [found]


@pytest.mark.parametrize("at", [1.0, True, "1", 2**63])
def test_a_report_takes_whole_seconds_only(store: OmegaStore, at: Any):
    store.skills.put(skill())
    for report in (store.skills.record_success, store.skills.record_failure):
        with pytest.raises(InvalidDataError, match="Unix seconds"):
            report("skill", at)
    assert store.skills.get("skill") == skill()


def test_top_gives_the_most_successful_first_and_ties_by_id(store: OmegaStore):
    counts = {"b": 1, "a": 1, "best": 9, "worst": 0}
    store.skills.put_many(skill(id, success_count=count) for id, count in counts.items())
    assert ids(store.skills.top()) == ["best", "a", "b", "worst"]
    assert ids(store.skills.top(limit=2)) == ["best", "a"]
    store.skills.put_many(skill(f"{i}") for i in range(20))
    assert len(store.skills.top()) == 10
    assert len(store.skills.top(limit=None)) == 24


# by_pattern: skills whose pattern contains a text


def with_patterns(store: OmegaStore, *patterns: str) -> None:
    store.skills.put_many(
        skill(pattern or "empty", trigger_pattern=pattern) for pattern in patterns
    )


@pytest.mark.parametrize("query", ["by_pattern", "triggered_by"])
def test_answers_come_most_successful_first_with_ties_by_id_and_a_limit(
    store: OmegaStore, query: str
):
    counts = {"b": 1, "a": 1, "best": 9, "worst": 0}
    store.skills.put_many(
        skill(id, success_count=count, trigger_pattern="code") for id, count in counts.items()
    )
    store.skills.put(skill("other", trigger_pattern="write"))
    store.in_namespace("elsewhere").skills.put(skill("there", trigger_pattern="code"))
    ask = getattr(store.skills, query)
    assert ids(ask("code")) == ["best", "a", "b", "worst"]
    assert ids(ask("code", limit=2)) == ["best", "a"]
    assert ask("code", limit=0) == []
    assert ask("nothing of the kind") == []
    store.skills.put_many(skill(f"{i:03}", trigger_pattern="code") for i in range(100))
    assert len(ask("code")) == 100
    assert len(ask("code", limit=None)) == 104
    for limit in (-1, True, 1.0):
        with pytest.raises(InvalidDataError, match="limit"):
            ask("code", limit=limit)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("été", "ÉTÉ"),
        ("É", "e\u0301"),
        ("e\u0301", "É"),
        ("ГОРОД", "город"),
        ("Straße", "STRASSE"),
        ("straẞe", "strasse"),
        ("ΟΔΟΣ", "οδος"),
        ("ﬃ", "FFI"),
        ("日本", "本"),
        ("👍🏽 ok", "🏽 O"),
        ("K", "\u212a"),  # the sign for kelvin
    ],
)
def test_case_is_ignored_in_every_script(store: OmegaStore, pattern: str, text: str):
    with_patterns(store, f"a {pattern} z", "something else")
    assert ids(store.skills.by_pattern(text)) == [f"a {pattern} z"]


@pytest.mark.parametrize("sign", ["%", "_", "\\", "*", "?", "[", "'", '"', ".*", "%%", "\\%"])
def test_every_character_stands_for_itself(store: OmegaStore, sign: str):
    with_patterns(store, f"before {sign} after", "before x after", "100 sure", "codeXreview")
    assert ids(store.skills.by_pattern(sign)) == [f"before {sign} after"]
    assert ids(store.skills.by_pattern(f"e {sign} a")) == [f"before {sign} after"]


def test_the_empty_text_is_part_of_every_pattern(store: OmegaStore):
    with_patterns(store, "", "a")
    assert ids(store.skills.by_pattern("")) == ["a", "empty"]


def test_by_pattern_follows_updates(store: OmegaStore):
    store.skills.put(skill(trigger_pattern="Old"))
    store.skills.put(skill(trigger_pattern="New"))
    assert store.skills.by_pattern("old") == []
    assert ids(store.skills.by_pattern("new")) == ["skill"]


@pytest.mark.parametrize("letter", ["a", "é", "%", "\U0001d400"])
def test_a_long_text_to_look_for_is_fine_up_to_its_limit(store: OmegaStore, letter: str):
    with_patterns(store, letter * (MAX_PATTERN + 5))
    assert len(store.skills.by_pattern(letter * MAX_PATTERN)) == 1
    with pytest.raises(InvalidDataError, match="longer than 10000 characters") as caught:
        store.skills.by_pattern(letter * (MAX_PATTERN + 1))
    assert caught.value.field == "text"


def test_a_text_that_grows_when_folded_is_refused_in_our_words(store: OmegaStore):
    with pytest.raises(InvalidDataError, match="longer"):
        store.skills.by_pattern("\U0001d164" * MAX_PATTERN)  # twelve bytes each in normal form


@pytest.mark.parametrize("text", ["a\0b", "\ud800", 5, b"a", None])
def test_a_text_no_pattern_can_hold_is_refused(store: OmegaStore, text: Any):
    with_patterns(store, "a")
    with pytest.raises(InvalidDataError) as caught:
        store.skills.by_pattern(text)
    assert caught.value.field == "text"


# triggered_by: skills whose pattern applies to a text


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("review.*code|code.*review", "Please review my code"),
        ("review.*code|code.*review", "the CODE needs a review"),
        ("été", "un ÉTÉ chaud"),
        (r"\bdeploy(ing|ed)?\b", "we deployed it"),
        ("^start", "Start here"),
        ("", "anything"),
        (".", "👍"),
        (r"^.$", "日"),
    ],
)
def test_patterns_are_searched_for_in_a_text_without_regard_to_case(
    store: OmegaStore, pattern: str, text: str
):
    with_patterns(store, pattern, "something else")
    assert ids(store.skills.triggered_by(text)) == [pattern or "empty"]


def test_a_pattern_that_does_not_match_does_not_trigger(store: OmegaStore):
    with_patterns(store, r"^code$", r"review\.py", "a{3}")
    assert store.skills.triggered_by("my code, reviewXpy, aa") == []


@pytest.mark.parametrize(
    "pattern",
    ["(?=look)ahead", "(?<!be)hind", r"(back) \1", "(unclosed", "[z-a]", "*", "a{100000}", "\\"],
)
def test_a_pattern_that_re2_refuses_is_plain_words(store: OmegaStore, pattern: str):
    with_patterns(store, pattern)
    assert store.skills.triggered_by("look ahead, be hind, back back, unclosed") == []
    assert ids(store.skills.triggered_by(f"x {pattern.upper()} y")) == [pattern]


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "^(a|a)*$", "(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_an_evil_pattern_takes_linear_time(store: OmegaStore, pattern: str):
    """A backtracking engine would take more steps than there are atoms."""
    with_patterns(store, pattern, "never")
    assert store.skills.triggered_by("a" * 20_000 + "!") == []


@pytest.mark.parametrize("text", ["", "a\0b", "a\ud800b", "a" * 1_000_000])
def test_any_text_may_be_asked_about(store: OmegaStore, text: str):
    with_patterns(store, "a", "(?=a)")
    assert ids(store.skills.triggered_by(text)) == (["a"] if text else [])
