"""What can go wrong at the shopper's door, each with the sentence a shopper reads."""

from typing import TYPE_CHECKING

from core.errors import SeeItError

if TYPE_CHECKING:
    from imaging.photo import PhotoError  # at run time it would bring the picture libraries into every worker


class SignatureInvalid(SeeItError):
    """This request does not come from the shop's page."""

    code = "signature_invalid"
    status = 401


class CompositesUnavailable(SeeItError):
    """Pictures are switched off in this shop."""

    code = "composites_unavailable"
    status = 403


class ProductNotReady(SeeItError):
    """This product is still being prepared. Please try again in a moment."""

    code = "product_not_ready"
    status = 409
    retryable = True


class DuplicateNonce(SeeItError):
    """This request key was used before for something else."""

    code = "duplicate_nonce"
    status = 409


class NotFinished(SeeItError):
    """This picture is not finished yet."""

    code = "not_finished"
    status = 409
    retryable = True


class RefinementsUsedUp(SeeItError):
    """That was the last change to this picture. Please start again with a new photo."""

    code = "refinements_used_up"
    status = 409


class UploadExpired(SeeItError):
    """This upload has been used or has expired. Please choose the photo again."""

    code = "upload_expired"
    status = 410


class LinkExpired(SeeItError):
    """This link has expired. Please open the picture again."""

    code = "link_expired"
    status = 410


class UploadIncomplete(SeeItError):
    """The photo did not arrive completely. Please send it again."""

    code = "upload_incomplete"
    status = 400
    retryable = True


class UploadTooShort(SeeItError):
    """The photo is not of the size that was announced. Please send it again."""

    code = "upload_size_mismatch"
    status = 413


class ConsentRequired(SeeItError):
    """Please agree to the use of your photo first."""

    code = "consent_required"
    status = 422


class PhotoRefused(SeeItError):
    """This photo cannot be used."""

    STATUS = {"photo_too_large": 413, "photo_unsupported": 415}

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = self.STATUS.get(code, 422)

    @classmethod
    def of(cls, error: "PhotoError") -> "PhotoRefused":
        """The same refusal as an HTTP answer."""
        return cls(error.code, error.message)
