"""Skills: what the agent has learnt to do, what triggers it, and how often it worked."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import field

from omega_persistence.backends.table import Table
from omega_persistence.entities.base import Collection, checked_limit, require_kind
from omega_persistence.entities.record import (
    ABSENT,
    Count,
    Name,
    OptionalJSONText,
    RecordWithMetadata,
    Time,
    check_text,
    checked_time,
    now,
)
from omega_persistence.errors import CorruptionError, InvalidDataError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable


class StoredSkill(RecordWithMetadata, frozen=True, kw_only=True, gc=False):
    """One learnt skill.

    Attributes:
        id: Unique in its namespace; a time-ordered UUID by default.
        name: Unique in its namespace as well.
        description: What it does.
        trigger_pattern: What calls for it: a regular expression, or plain words.
        success_count: How often it worked.
        last_used: Unix seconds, None if never.
        created_at: Unix seconds; now by default.
        failure_count: How often it did not work.
        metadata_json: A JSON object; give it as text or as a dict, read it as ``metadata``.
    """

    name: Name
    description: str
    trigger_pattern: str
    success_count: Count = 0
    last_used: Time | None = None
    created_at: Time = field(default_factory=now)
    failure_count: Count = 0
    metadata_json: OptionalJSONText = ABSENT


def fold(text: str) -> str:
    """The text without differences of case or of Unicode composition."""
    if text.isascii():
        return text.lower()
    from unicodedata import normalize  # noqa: PLC0415 - not every agent writes beyond ASCII

    return normalize("NFC", normalize("NFC", text).casefold())


def trigger(pattern: str) -> Callable[[str], object] | None:
    """A function that searches a text for a trigger pattern, in time linear in the text.

    None when the pattern is longer than `MAX_PATTERN` or not a regular expression that RE2 accepts
    (it has no look-around and no back-references); such a pattern is plain words then.

    Raises:
        CorruptionError: it is not even text; only a damaged file has such a pattern.
    """
    if type(pattern) is not str:
        raise CorruptionError("a trigger pattern is not text", hint="See check().")
    return _compiled(pattern) if len(pattern) <= MAX_PATTERN else None


@lru_cache(maxsize=20_000)
def _compiled(pattern: str) -> Callable[[str], object] | None:
    import re2  # noqa: PLC0415 - not every process matches triggers

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.never_capture = True
    # Room for every sensible pattern. In the 8 MiB that are usual, one made for it is ten times as
    # slow, since RE2 goes on building its automaton, and 10,000 of them fill gigabytes.
    options.max_mem = 256 * 1024
    try:
        return re2.compile(pattern, options).search
    except re2.error:
        return None


MAX_PATTERN = 10_000
"""The longest text, in characters, that `Skills.by_pattern` looks for and that is compiled."""

# Every skill of the namespace is looked at: no index helps a substring in the middle.
_BY_PATTERN = r"""
    AND trigger_folded LIKE :pattern ESCAPE '\'
    ORDER BY success_count DESC, id
    LIMIT :limit"""

_BY_NAME = "AND name = :name"

_TOP = """
    ORDER BY success_count DESC, id
    LIMIT :limit"""

# Both statements saturate instead of overflowing, and a late report never moves last_used back.
_RECORD_SUCCESS = """
    UPDATE skills
    SET success_count =
            success_count + CASE WHEN success_count < 9223372036854775807 THEN 1 ELSE 0 END,
        last_used = CASE WHEN last_used IS NULL OR :at > last_used THEN :at ELSE last_used END
    WHERE namespace = :namespace AND id = :id
"""

_RECORD_FAILURE = """
    UPDATE skills
    SET failure_count =
            failure_count + CASE WHEN failure_count < 9223372036854775807 THEN 1 ELSE 0 END,
        last_used = CASE WHEN last_used IS NULL OR :at > last_used THEN :at ELSE last_used END
    WHERE namespace = :namespace AND id = :id
"""


class Skills(Collection[StoredSkill]):
    """The skills of a namespace."""

    table = Table(
        "skills",
        StoredSkill,
        unique=("name",),
        derived={"trigger_folded": lambda skill: fold(skill.trigger_pattern)},
    )

    def by_name(self, name: str) -> StoredSkill:
        """The skill of this name.

        Raises:
            NotFoundError: there is none.
        """
        found = self._select(_BY_NAME, 1, name=name)
        if not found:
            message = f"no skill is named {name!r:.80} in namespace {self._namespace!r}"
            raise NotFoundError(message, kind="StoredSkill", field="name")
        return found[0]

    def by_pattern(self, text: str, *, limit: int | None = 100) -> list[StoredSkill]:
        r"""Skills whose trigger pattern contains a text, most successful first, ties by id.

        Case is ignored in every script and ``%``, ``_`` and ``\`` stand for themselves. The
        patterns are not applied: see `triggered_by` for that. Linear in the number of skills.
        """
        require_kind("text", text)
        if text:
            check_text("text", text)
        literal = fold(text[: MAX_PATTERN + 1])
        literal = literal.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        # SQLite takes a pattern of 50,000 bytes, and folding can make a text longer.
        if len(text) > MAX_PATTERN or len(literal.encode()) > 4 * MAX_PATTERN:
            message = f"the text to look for is longer than {MAX_PATTERN} characters of 4 bytes"
            raise InvalidDataError(message, field="text")
        return self._select(_BY_PATTERN, limit, pattern=f"%{literal}%")

    def triggered_by(self, text: str, *, limit: int | None = 100) -> list[StoredSkill]:
        """Skills whose trigger pattern applies to a text, most successful first, ties by id.

        A pattern is a regular expression in RE2's syntax, searched for anywhere in the text
        without regard to case; one that RE2 refuses is looked for as plain words. No pattern can
        hang the caller. Every pattern of the namespace is tried, about 3 microseconds each once
        it has been compiled in this process.
        """
        wanted = checked_limit(limit)
        require_kind("text", text)
        text = text.encode(errors="replace").decode()  # RE2 takes no lone surrogates
        folded = fold(text)
        found: list[StoredSkill] = []
        for skill in self._select(_TOP, None):
            if len(found) == wanted:
                break
            search = trigger(skill.trigger_pattern)
            if search(text) if search else fold(skill.trigger_pattern) in folded:
                found.append(skill)
        return found

    def top(self, *, limit: int | None = 10) -> list[StoredSkill]:
        """The most successful skills first, ties by id."""
        return self._select(_TOP, limit)

    def record_success(self, id: str, at: int | None = None) -> None:
        """Count a success at a Unix time, now by default.

        Raises:
            NotFoundError: there is no such skill.
        """
        self._update(_RECORD_SUCCESS, id, at=checked_time(at))

    def record_failure(self, id: str, at: int | None = None) -> None:
        """Count a failure at a Unix time, now by default.

        Raises:
            NotFoundError: there is no such skill.
        """
        self._update(_RECORD_FAILURE, id, at=checked_time(at))
