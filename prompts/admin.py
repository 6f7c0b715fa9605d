"""The emergency patch in the operator console."""

import difflib
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.ids import parse_id
from prompts import services
from prompts.errors import OverrideInvalid, PromptError
from prompts.library import library
from prompts.models import PromptOverride
from prompts.selection import complete_edit


def _prompt_choices() -> list[tuple[str, str]]:
    return [(name, f"{name} (production {library().production(name).version})") for name in library().names()]


def _version_choices() -> list[tuple[str, str]]:
    versions = {version for name in library().names() for version in library().versions(name)}
    return [("", "production"), *((version, version) for version in sorted(versions, key=lambda text: int(text[1:])))]


class OverrideForm(forms.ModelForm):
    """A new override; the text may be the whole prompt file or only the part that changes."""

    prompt_name = forms.ChoiceField(label="Prompt", choices=_prompt_choices)
    base_version = forms.ChoiceField(label="Started from", choices=_version_choices, required=False)
    reason = forms.CharField(max_length=services.MAX_REASON, widget=forms.TextInput(attrs={"size": 80}))
    template = forms.CharField(
        label="Prompt text",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 36, "cols": 110, "spellcheck": "false"}),
        help_text="What you leave out comes from the library: header keys, params, or all messages.",
    )

    class Meta:
        model = PromptOverride
        fields = ("shop", "prompt_name", "base_version", "reason", "expires_at", "template")

    def clean_reason(self) -> str:
        """The reason, which nobody may skip by typing spaces."""
        return str(self._check("reason", services.check_reason))

    def clean_expires_at(self) -> Any:
        """The expiry, within the next 14 days."""
        return self._check("expires_at", lambda value: services.check_expiry(value, timezone.now()))

    def _check(self, name: str, check: Any) -> Any:
        value = self.cleaned_data[name]
        try:
            check(value)
        except OverrideInvalid as error:
            raise ValidationError(error.message) from error
        return value

    def clean(self) -> dict[str, Any]:
        """The text has to render against the library's input, here and not in a shopper's run."""
        cleaned = super().clean() or {}
        if {"prompt_name", "template"} <= cleaned.keys():
            try:
                complete_edit(
                    cleaned["prompt_name"], cleaned["template"], base_version=cleaned.get("base_version") or None
                )
            except PromptError as error:
                self.add_error("template", error.message)
        return cleaned


class CloseForm(forms.ModelForm):
    """The only thing that can happen to an override once it exists."""

    close = forms.BooleanField(
        label="Close this override", required=False, help_text="The shop is back on the library's prompt at once."
    )

    class Meta:
        model = PromptOverride
        fields = ()


class StateFilter(admin.SimpleListFilter):
    """Live, expired or closed."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Live"), ("expired", "Expired"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PromptOverride]) -> QuerySet[PromptOverride]:
        now = timezone.now()
        match self.value():
            case "live":
                return queryset.filter(revoked_at=None, expires_at__gt=now)
            case "expired":
                return queryset.filter(revoked_at=None, expires_at__lte=now)
            case "closed":
                return queryset.filter(revoked_at__isnull=False)
        return queryset


@admin.register(PromptOverride)
class PromptOverrideAdmin(admin.ModelAdmin):
    """Overrides are created and closed, never edited and never deleted; a changed text is a new override.

    `?prompt_name=placement&shop=ULID` fills the add form with what that shop gets now, `?from=ULID` with an older
    override.
    """

    list_display = (
        "prompt_name", "shop", "version", "state", "drift", "reason", "created_by", "created_at", "expires_at",
    )  # fmt: skip
    list_select_related = ("shop",)
    list_filter = (StateFilter, "prompt_name")
    search_fields = ("shop__domain", "reason", "created_by")
    raw_id_fields = ("shop",)
    show_full_result_count = False
    list_per_page = 50
    actions = ("close_selected",)
    shown = (
        "shop", "prompt_name", "version", "state", "drift", "reason", "created_by", "created_at", "expires_at",
        "revoked_at", "revoked_by", "edit_again", "changes", "text",
    )  # fmt: skip

    def get_form(
        self, request: HttpRequest, obj: PromptOverride | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return super().get_form(request, obj, change, form=CloseForm if obj else OverrideForm, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: PromptOverride | None = None) -> tuple[str, ...]:
        return self.shown if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: PromptOverride | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": OverrideForm.Meta.fields, "description": _starting_points(request)})]
        closing = ("close",) if self.has_change_permission(request, obj) else ()
        return [(None, {"fields": (*closing, *self.shown)})]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The add form starts from a text that works: an older override, the shop's live one, or production."""
        initial: dict[str, Any] = dict(request.GET.items())
        initial.setdefault("expires_at", timezone.now().replace(microsecond=0) + services.DEFAULT_LIFETIME)
        initial.update(_starting_text(initial))
        return initial

    def save_model(self, request: HttpRequest, obj: PromptOverride, form: Any, change: bool) -> None:
        """Create or close through the services."""
        if change:
            if form.cleaned_data.get("close") and services.close_override(
                override=obj, revoked_by=request.user.get_username()
            ):
                messages.info(request, "The override is closed; the shop is back on the library's prompt.")
            return
        created = services.create_override(
            shop=obj.shop,
            prompt_name=form.cleaned_data["prompt_name"],
            template=form.cleaned_data["template"],
            reason=form.cleaned_data["reason"],
            base_version=form.cleaned_data["base_version"] or None,
            expires_at=form.cleaned_data["expires_at"],
            created_by=request.user.get_username(),
        )
        obj.pk = created.pk

    def has_change_permission(self, request: HttpRequest, obj: PromptOverride | None = None) -> bool:
        """A closed override can only be looked at."""
        return super().has_change_permission(request, obj) and (obj is None or obj.revoked_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: PromptOverride | None = None) -> bool:
        return False

    @admin.action(description="Close the selected overrides", permissions=["change"])
    def close_selected(self, request: HttpRequest, queryset: QuerySet[PromptOverride]) -> None:
        """Put the shops back on the library's prompts."""
        count = sum(
            services.close_override(override=override, revoked_by=request.user.get_username())
            for override in queryset.open()  # type: ignore[attr-defined]
        )
        messages.success(request, f"{count} override(s) closed.")

    @admin.display(description="Version")
    def version(self, override: PromptOverride) -> str:
        return override.version_label

    @admin.display(description="State")
    def state(self, override: PromptOverride) -> str:
        if override.revoked_at is not None:
            return "closed"
        return "live" if override.is_live(timezone.now()) else "expired"

    @admin.display(description="Drift", empty_value="-")
    def drift(self, override: PromptOverride) -> str | None:
        """How the library has moved on since; only live overrides are compared."""
        found = services.drift_of(override) if override.is_live(timezone.now()) else None
        return f"{found.kind}: {found.detail}" if found else None

    @admin.display(description="Next")
    def edit_again(self, override: PromptOverride) -> SafeString:
        url = reverse("admin:prompts_promptoverride_add")
        return format_html('<a href="{}?from={}">Edit as a new override</a>', url, override.pk)

    @admin.display(description="Changes")
    def changes(self, override: PromptOverride) -> SafeString:
        """A unified diff from the library's version it was made from."""
        return format_html('<pre class="prompt-diff">{}</pre>', _difference(override))

    @admin.display(description="Prompt text")
    def text(self, override: PromptOverride) -> SafeString:
        return format_html('<pre class="prompt-text">{}</pre>', override.template)


def _difference(override: PromptOverride) -> str:
    try:
        base = library().get(override.prompt_name, override.base_version).template
    except PromptError as error:
        return error.message
    lines = difflib.unified_diff(
        base.splitlines(), override.template.splitlines(), override.base_version, override.version_label, lineterm=""
    )
    return "\n".join(lines) or "No difference."


def _starting_points(request: HttpRequest) -> SafeString:
    """Links that fill the form with a library text; they keep the shop."""
    shop = request.GET.get("shop", "")
    rows = [(name, shop, name, library().production(name).version) for name in library().names()]
    links = format_html_join(", ", '<a href="?prompt_name={}&amp;shop={}">{} {}</a>', rows)
    return format_html("Start from what a shop gets now: {}. The override replaces the shop's earlier one.", links)


def _starting_text(initial: dict[str, Any]) -> dict[str, Any]:
    """The fields that a text to start from brings along; empty when the request names none."""
    try:
        older = PromptOverride.objects.filter(pk=parse_id(initial["from"])).first() if "from" in initial else None
        shop_pk = parse_id(initial["shop"]) if initial.get("shop") else None
    except ValueError:
        return {}
    name = initial.get("prompt_name")
    if older is None and shop_pk is not None:
        rows = PromptOverride.objects.live(timezone.now())
        older = rows.filter(shop_id=shop_pk, prompt_name=name).first()
    if older is not None:
        return {
            "shop": str(older.shop_id),
            "prompt_name": older.prompt_name,
            "base_version": older.base_version,
            "template": older.template,
        }
    if name not in library().names():
        return {}
    return {"template": library().production(name).template}
