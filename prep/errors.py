"""What can be wrong with making a product ready."""

from core.errors import SeeItError


class AlreadyComplete(SeeItError):
    """This product is ready already; nothing was started."""

    code = "already_complete"
    status = 409
