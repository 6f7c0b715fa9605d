"""Shops and their keys in the operator console."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from shops.features import Features
from shops.models import ApiKey, Shop
from shops.services import issue_api_key, revoke_api_key
from shops.validators import normalise_origin


class OriginListField(SimpleArrayField):
    """Origins, one a line."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        super().__init__(
            forms.CharField(max_length=255),
            delimiter="\n",
            widget=forms.Textarea(attrs={"rows": 4, "cols": 60, "spellcheck": "false"}),
            **kwargs,
        )

    def clean(self, value: Any) -> list[str]:
        """Normalised origins, empty lines dropped."""
        lines = "\n".join(line.strip() for line in str(value or "").splitlines() if line.strip())
        return [normalise_origin(origin) for origin in super().clean(lines) or []]


FLAGS = {
    "composites": ("Pictures", "Shoppers may make pictures."),
    "experimental_prompts": ("Experimental prompts", "Gets every prompt version that is under trial."),
    "new_model": ("New model", "Gets the routes that are marked for it first."),
}


class FlagsWidget(forms.CheckboxSelectMultiple):
    """Flags as boxes to tick."""

    def format_value(self, value: Any) -> list[str]:
        """The names of the flags that are on."""
        stored = json.loads(value) if isinstance(value, str) else value
        return [name for name, on in (stored or {}).items() if on] if isinstance(stored, dict) else list(stored or [])


class FlagsField(forms.MultipleChoiceField):
    """A shop's feature flags, each a box; the JSON column keeps all of them."""

    widget = FlagsWidget

    def __init__(self, **kwargs: Any) -> None:
        choices = [(name, f"{label}: {text}") for name, (label, text) in FLAGS.items()]
        super().__init__(choices=choices, required=False, **kwargs)

    def clean(self, value: Any) -> dict[str, bool]:
        """Every flag, on or off."""
        chosen = super().clean(value)
        return Features(**{name: name in chosen for name in FLAGS}).to_json()

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether a box was ticked or cleared."""
        return {name for name, on in (initial or {}).items() if on} != set(data or [])


class ShopForm(forms.ModelForm):
    """A shop without its tokens."""

    features = FlagsField()
    allowed_origins = OriginListField(help_text="Pages that may use the shop's publishable keys, one origin a line.")

    class Meta:
        model = Shop
        fields = (
            "domain", "name", "status", "plan", "quota_daily", "quota_monthly", "composites_per_minute",
            "client_composites_per_minute", "features", "allowed_origins",
        )  # fmt: skip


@admin.register(Shop)
class ShopAdmin(admin.ModelAdmin):
    """Plan, quotas, features and origins can be edited; tokens are never shown; shops are not deleted here."""

    form = ShopForm
    list_display = ("domain", "name", "status", "plan", "quota_daily", "quota_monthly", "created_at")
    list_filter = ("status", "plan")
    search_fields = ("domain", "name")
    readonly_fields = ("scopes", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("domain", "name", "status", "plan")}),
        (
            "Limits",
            {"fields": ("quota_daily", "quota_monthly", "composites_per_minute", "client_composites_per_minute")},
        ),
        ("Features and origins", {"fields": ("features", "allowed_origins")}),
        ("Platform", {"fields": ("scopes", "created_at", "updated_at")}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: Shop | None = None) -> bool:
        return False


class ApiKeyForm(forms.ModelForm):
    """A new key."""

    scopes = forms.MultipleChoiceField(choices=ApiKey.Scope.choices, widget=forms.CheckboxSelectMultiple)
    allowed_origins = OriginListField(help_text="One origin a line; empty: the shop's.")

    class Meta:
        model = ApiKey
        fields = ("name", "shop", "scopes", "allowed_origins", "expires_at")

    def clean(self) -> dict[str, Any]:
        """A storefront key stands in public pages, so it opens nothing else and belongs to one shop."""
        cleaned = super().clean() or {}
        scopes = cleaned.get("scopes") or []
        if ApiKey.Scope.STOREFRONT in scopes and (len(scopes) > 1 or not cleaned.get("shop")):
            raise ValidationError("A storefront key needs a shop and cannot have other scopes.")
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """Keys are issued and revoked, never edited; a secret is shown once, in the message after issuing."""

    form = ApiKeyForm
    list_display = ("prefix", "name", "shop", "scope_list", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("shop",)
    list_filter = ("revoked_at",)
    search_fields = ("prefix", "name", "shop__domain")
    actions = ("revoke",)

    @admin.display(description="Scopes")
    def scope_list(self, key: ApiKey) -> str:
        """The scopes in one line."""
        return ", ".join(key.scopes)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Issue the key through the service, and show its plain text this once."""
        issued = issue_api_key(
            name=obj.name,
            shop=obj.shop,
            scopes=form.cleaned_data["scopes"],
            allowed_origins=obj.allowed_origins,
            expires_at=obj.expires_at,
        )
        obj.pk = issued.key.pk
        obj.prefix = issued.key.prefix
        messages.warning(request, f"The key is {issued.plain}  Copy it now: it is not shown again.")

    @admin.action(description="Revoke the selected keys", permissions=["delete"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Close the selected keys' doors."""
        count = sum(revoke_api_key(key=key) for key in queryset)
        messages.success(request, f"{count} key(s) revoked.")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Keys are revoked, not deleted: the row says who had access when."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False
