"""What can be wrong with a prompt, an override or the values given to one."""

from core.errors import SeeItError


class PromptError(SeeItError):
    """The prompt cannot be used."""

    code = "prompt_invalid"
    status = 422


class PromptNotFound(PromptError):
    """There is no prompt by that name and version."""

    code = "prompt_not_found"
    status = 404


class PromptHeaderInvalid(PromptError):
    """The prompt's header (the YAML between the two `---` lines) is not valid."""

    code = "prompt_header_invalid"


class PromptSyntaxInvalid(PromptError):
    """The prompt's template cannot be read."""

    code = "prompt_syntax_invalid"


class PromptForbidden(PromptError):
    """The prompt's template uses something that prompts may not use."""

    code = "prompt_forbidden"


class PromptTooLarge(PromptError):
    """The prompt, or what it renders to, is larger than 64 KiB."""

    code = "prompt_too_large"


class PromptInputInvalid(PromptError):
    """The values given to the prompt do not match its input schema."""

    code = "prompt_input_invalid"


class PromptParamsInvalid(PromptError):
    """The prompt's params do not match its params schema."""

    code = "prompt_params_invalid"


class PromptRenderFailed(PromptError):
    """The prompt could not be filled in with these values."""

    code = "prompt_render_failed"


class ReleasesInvalid(PromptError):
    """The file that points at the production and experimental prompts is not valid."""

    code = "prompt_releases_invalid"
    status = 500


class OverrideInvalid(PromptError):
    """The override needs a reason and an expiry within the next 14 days."""

    code = "override_invalid"


class OverrideMoved(PromptError):
    """Somebody else has changed this shop's override since you looked."""

    code = "override_moved"
    status = 409


class OverrideNotFound(PromptError):
    """There is no live override of that prompt for this shop."""

    code = "override_not_found"
    status = 404
