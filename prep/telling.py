"""A prep run in words: what became of the product's photo and facts."""

from runs.telling import Judged, Story, Words, tell


def did(story: Story) -> str:
    """Whether the product was cut out and what is known of it."""
    name = story.run.subject_label or "The product"
    facts = story.answer("facts", "mount")
    if story.answer("cutout", "accepted"):
        return f"{name} was cut out" + (f" and goes on the {facts}" if facts in ("floor", "wall", "ceiling") else "")
    cutout = story.steps.get("cutout")
    return f"{name} could not be cut out" if cutout is not None and cutout.status == "failed" else ""


def means(story: Story, metric: Judged) -> str:
    """Nothing is judged here."""
    return ""


tell("prep", Words(did, means))
