"""Which target a prompt's answers belong to: the prompts are kept by an app above this one, which registers itself."""

from collections.abc import Callable

Resolver = Callable[[str], str | None]
_resolvers: list[Resolver] = []


def prompt_targets_from(resolver: Resolver) -> Resolver:
    """Register `prompt name -> target`, None for a prompt that is not known."""
    if resolver not in _resolvers:
        _resolvers.append(resolver)
    return resolver


def target_of_prompt(prompt: str) -> str:
    """The target that a prompt's file names; one of its own for a prompt that no file describes."""
    named = (resolver(prompt) for resolver in _resolvers)
    return next((target for target in named if target), f"prompt:{prompt}")
