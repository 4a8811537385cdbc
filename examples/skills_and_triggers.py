"""Learn skills, find the ones that a request calls for, and record how they did."""

from omega_persistence import ConflictError, OmegaStore, StoredSkill

with OmegaStore("skills.db") as store:
    store.skills.put_many(
        [
            StoredSkill(
                id="review",
                name="code_review",
                description="Read a change and say what could break",
                trigger_pattern=r"review.*code|code.*review",
            ),
            StoredSkill(
                id="bisect",
                name="bisect",
                description="Find the change that broke a test",
                trigger_pattern=r"which (commit|change) broke",
            ),
        ]
    )

    # Patterns are applied to a text without regard to case, in linear time.
    print([skill.name for skill in store.skills.triggered_by("Please REVIEW my code")])
    # Or look for a text within the patterns themselves.
    print([skill.name for skill in store.skills.by_pattern("commit")])

    store.skills.record_success("review")
    store.skills.record_failure("bisect")
    for skill in store.skills.top():
        print(skill.name, skill.success_count > 0, skill.failure_count > 0)

    try:  # a name belongs to one skill
        store.skills.put(
            StoredSkill(id="other", name="bisect", description="", trigger_pattern="x")
        )
    except ConflictError as error:
        print(error)
