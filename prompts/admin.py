"""The emergency patch in the operator console."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.ids import parse_id
from prompts import services
from prompts.drift import drift_of, drifted_overrides, override_history, own_change
from prompts.errors import OverrideInvalid, OverrideMoved, PromptError
from prompts.library import library
from prompts.models import PromptOverride
from prompts.selection import complete_edit


def _prompt_choices() -> list[tuple[str, str]]:
    return [(name, f"{name} (production {library().production(name).version})") for name in library().names()]


def _version_choices() -> list[tuple[str, str]]:
    versions = {version for name in library().names() for version in library().versions(name)}
    return [("", "production"), *((version, version) for version in sorted(versions, key=lambda text: int(text[1:])))]


class OverrideForm(forms.ModelForm):
    """A new override; the text may be the whole prompt file or only the part that changes.

    `seen` is the override that was live when the form was opened: whoever would replace another one is told and has
    to save once more.
    """

    prompt_name = forms.ChoiceField(label="Prompt", choices=_prompt_choices)
    base_version = forms.ChoiceField(label="Started from", choices=_version_choices, required=False)
    reason = forms.CharField(max_length=services.MAX_REASON, widget=forms.TextInput(attrs={"size": 80}))
    template = forms.CharField(
        label="Prompt text",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 36, "cols": 110, "spellcheck": "false"}),
        help_text="What you leave out comes from the library: header keys, params, or all messages.",
    )
    lasting = forms.BooleanField(
        label="Longer than 14 days", required=False, help_text="At most 90; a lasting change belongs into the library."
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = PromptOverride
        fields = ("shop", "prompt_name", "base_version", "reason", "expires_at", "lasting", "template", "seen")

    def clean_reason(self) -> str:
        """The reason, which nobody may skip by typing spaces."""
        return str(self._check("reason", services.check_reason))

    def _check(self, name: str, check: Callable[[Any], None]) -> Any:
        value = self.cleaned_data[name]
        try:
            check(value)
        except OverrideInvalid as error:
            raise ValidationError(error.message) from error
        return value

    def clean(self) -> dict[str, Any]:
        """The text has to render against the library's input, here and not in a shopper's run."""
        cleaned = super().clean() or {}
        if "expires_at" in cleaned:
            try:
                services.check_expiry(cleaned["expires_at"], timezone.now(), lasting=bool(cleaned.get("lasting")))
            except OverrideInvalid as error:
                self.add_error("expires_at", error.message)
        if {"shop", "prompt_name"} <= cleaned.keys() and not self.errors:
            self._check_seen(cleaned)
        if {"prompt_name", "template"} <= cleaned.keys():
            try:
                complete_edit(
                    cleaned["prompt_name"], cleaned["template"], base_version=cleaned.get("base_version") or None
                )
            except PromptError as error:
                self.add_error("template", error.message)
        return cleaned

    def _check_seen(self, cleaned: dict[str, Any]) -> None:
        """Show what somebody else has done since, once: saving again is the confirmation."""
        rows = PromptOverride.objects.for_shop(cleaned["shop"]).filter(prompt_name=cleaned["prompt_name"])
        try:
            services.check_seen(rows, cleaned.get("seen") or "", timezone.now())
        except OverrideMoved as error:
            self.data = {**self.data.dict(), "seen": (error.details or {}).get("seen", "")}  # type: ignore[attr-defined]
            self.add_error(None, f"{error.message} Save again to do so.")


class ShortOverrideForm(OverrideForm):
    """For those who may not let an override last."""

    lasting = None  # type: ignore[assignment]

    class Meta(OverrideForm.Meta):
        fields = tuple(name for name in OverrideForm.Meta.fields if name != "lasting")  # type: ignore[assignment]


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
        ended_itself = Q(expires_at__lte=now) & (Q(revoked_at=None) | Q(revoked_at__gte=F("expires_at")))
        match self.value():
            case "live":
                return queryset.filter(revoked_at=None, expires_at__gt=now)
            case "expired":
                return queryset.filter(ended_itself)
            case "closed":
                return queryset.filter(revoked_at__lt=F("expires_at"))
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
    change_list_template = "admin/prompts/promptoverride/change_list.html"
    list_select_related = ("shop",)
    list_filter = (StateFilter, "prompt_name")
    search_fields = ("shop__domain", "reason", "created_by")
    raw_id_fields = ("shop",)
    show_full_result_count = False
    list_per_page = 50
    actions = ("close_selected",)
    shown = (
        "shop", "prompt_name", "version", "state", "drift", "reason", "created_by", "created_at", "expires_at",
        "revoked_at", "revoked_by", "made_from", "edit_again", "history", "changes", "text",
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        """The drift report beside Django's own pages."""
        view = self.admin_site.admin_view(self.drift_report)
        return [path("drift/", view, name="prompts_promptoverride_drift"), *super().get_urls()]

    def drift_report(self, request: HttpRequest) -> HttpResponse:
        """Live overrides that the library has left behind, and what their shops miss."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {**self.admin_site.each_context(request), "title": "Drift", "opts": self.opts,
                   "drifts": drifted_overrides()}  # fmt: skip
        return TemplateResponse(request, "admin/prompts/promptoverride/drift.html", context)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Whoever was overtaken between the check and the writing sees the form again, with what happened."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except OverrideMoved:
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_form(
        self, request: HttpRequest, obj: PromptOverride | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = CloseForm if obj else OverrideForm if _may_extend(request) else ShortOverrideForm
        return super().get_form(request, obj, change, form=form, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: PromptOverride | None = None) -> tuple[str, ...]:
        return self.shown if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: PromptOverride | None = None) -> Any:
        if obj is None:
            fields = (OverrideForm if _may_extend(request) else ShortOverrideForm).Meta.fields
            return [(None, {"fields": fields, "description": _starting_points(request)})]
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
            lasting=bool(form.cleaned_data.get("lasting")),
            seen=form.cleaned_data["seen"],
            created_by=request.user.get_username(),
        )
        obj.pk = created.pk

    def has_change_permission(self, request: HttpRequest, obj: PromptOverride | None = None) -> bool:
        """One that has ended can only be looked at."""
        return super().has_change_permission(request, obj) and (obj is None or obj.is_live(timezone.now()))

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
        return override.state(timezone.now())

    @admin.display(description="Drift", empty_value="-")
    def drift(self, override: PromptOverride) -> str | None:
        """How the library has moved on since; only live overrides are compared."""
        found = drift_of(override) if override.is_live(timezone.now()) else None
        return f"{found.kind}: {found.detail}" if found else None

    @admin.display(description="Next")
    def edit_again(self, override: PromptOverride) -> SafeString:
        url = reverse("admin:prompts_promptoverride_add")
        return format_html('<a href="{}?from={}">Edit as a new override</a>', url, override.pk)

    @admin.display(description="Made from", empty_value="-")
    def made_from(self, override: PromptOverride) -> SafeString | None:
        """The run whose edited prompt it is."""
        if override.source_run is None:
            return None
        url = reverse("admin:runs_run_change", args=[str(override.source_run)])
        return format_html('<a href="{}">run {}</a>', url, override.source_run)

    @admin.display(description="All of this shop and prompt")
    def history(self, override: PromptOverride) -> SafeString:
        """Every override that the shop has had of this prompt."""
        context = {"past": override_history(override), "here": override}
        return SafeString(render_to_string("admin/prompts/promptoverride/_history.html", context))

    @admin.display(description="Changes")
    def changes(self, override: PromptOverride) -> SafeString:
        """Word by word from the library's version it was made from."""
        found = own_change(override)
        if found is None:
            return format_html("{} {} is no longer in the library.", override.prompt_name, override.base_version)
        return SafeString(render_to_string("monitor/_text_diff.html", {"diff": found}))

    @admin.display(description="Prompt text")
    def text(self, override: PromptOverride) -> SafeString:
        return format_html('<pre class="prompt-text">{}</pre>', override.template)


def _may_extend(request: HttpRequest) -> bool:
    return request.user.has_perm("prompts.extend_promptoverride")


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
        shop_pk = older.shop_id if older else parse_id(initial["shop"]) if initial.get("shop") else None
    except ValueError:
        return {}
    name = older.prompt_name if older else initial.get("prompt_name")
    rows = PromptOverride.objects.live(timezone.now())
    live = rows.filter(shop_id=shop_pk, prompt_name=name).first() if shop_pk is not None else None
    text = older or live
    found = {"seen": str(live.pk) if live else ""}
    if text is not None:
        base = "" if initial.get("base") == "production" else text.base_version
        fields = {"prompt_name": text.prompt_name, "base_version": base, "template": text.template}
        return {**found, "shop": str(text.shop_id), **fields}
    if name not in library().names():
        return {}
    return {**found, "template": library().production(name).template}
