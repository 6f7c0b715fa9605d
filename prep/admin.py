"""Products in the operator console."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.errors import Invalid
from prep.errors import AlreadyComplete
from prep.facts import check_overrides
from prep.models import PrepJob, ProductAsset
from prep.services import prepare_asset, prepare_many, save_asset
from runs.models import Step

JOBS_SHOWN = 10


class ProductForm(forms.ModelForm):
    """A merchant's own statements about a product; everything else comes from the shop or from prep."""

    merchant_overrides = forms.JSONField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 8, "cols": 60, "spellcheck": "false"}),
        help_text='What the merchant states wins over what was extracted: {"dimensions_m": {"width": 2.1}}. '
        "Known: title, product_type, mount, dimensions_m (metres), materials.",
    )

    class Meta:
        model = ProductAsset
        fields = ("merchant_overrides",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.initial.get("merchant_overrides") is None:
            self.initial["merchant_overrides"] = {}

    def clean_merchant_overrides(self) -> dict[str, Any]:
        """Only known fields in their ranges."""
        value = self.cleaned_data["merchant_overrides"] or {}
        if not isinstance(value, dict):
            raise forms.ValidationError('Merchant overrides are an object, such as {"mount": "wall"}.')
        try:
            return check_overrides(value)
        except Invalid as error:
            raise forms.ValidationError(error.message) from error


@admin.register(ProductAsset)
class ProductAssetAdmin(admin.ModelAdmin):
    """Products come from shops; here they are looked at, prepared again, and given a merchant's statements."""

    form = ProductForm
    list_display = ("picture", "name", "shop", "state", "facts_version", "updated")
    list_display_links = None
    list_select_related = ("shop",)
    list_filter = ("prep_status", "shop", "facts_version")
    search_fields = ("title", "product_id")
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    actions = ("prepare_selected",)
    readonly_fields = (
        "shop", "product_id", "title", "product_type", "description", "tags", "handle", "source_url",
        "facts_version", "extracted_at", "created_at", "updated_at",
    )  # fmt: skip
    fieldsets = (
        ("Merchant's statements", {"fields": ("merchant_overrides",)}),
        ("From the shop", {"fields": ("shop", "product_id", "title", "product_type", "description", "tags", "handle",
                                      "source_url")}),
        ("Prep", {"fields": ("facts_version", "extracted_at", "created_at", "updated_at")}),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        """The button on a product's page has an address of its own."""
        prepare = path(
            "<path:object_id>/prepare/", self.admin_site.admin_view(self.prepare_view),
            name="prep_productasset_prepare",
        )  # fmt: skip
        return [prepare, *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ProductAsset, form: Any, change: bool) -> None:
        """Written by the service, as the shop's own updates are."""
        save_asset(
            shop=obj.shop, product_id=obj.product_id, title=obj.title,
            merchant_overrides=form.cleaned_data["merchant_overrides"],
        )  # fmt: skip

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form, beside the product's pictures, its facts and its prep jobs."""
        asset = self.get_object(request, object_id)
        if asset is None:
            return self._back_to_list(request)
        shown = {"asset": asset, "jobs": _latest_jobs(asset), "facts": asset.extracted_facts,
                 "facts_text": json.dumps(asset.extracted_facts, indent=2, ensure_ascii=False)}  # fmt: skip
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductAsset]:
        return super().get_queryset(request).select_related("shop", "source", "photo", "cutout")

    def prepare_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Prepare one product (again), from the button on its page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        asset = self.get_object(request, object_id)
        if asset is None:
            return self._back_to_list(request)
        if not self.has_change_permission(request, asset):
            raise PermissionDenied
        try:
            prepare_asset(asset, trigger="console", again=True)
        except AlreadyComplete as error:
            messages.info(request, error.message)
        else:
            self.log_change(request, asset, "Prep started.")
            messages.success(request, f"Prep of {asset} has started.")
        return HttpResponseRedirect(reverse("admin:prep_productasset_change", args=[str(asset.pk)]))

    def _back_to_list(self, request: HttpRequest) -> HttpResponse:
        """Where nobody can be helped further: the address names no product."""
        messages.warning(request, "There is no such product.")
        return HttpResponseRedirect(reverse("admin:prep_productasset_changelist"))

    @admin.action(description="Prepare selected products", permissions=["change"])
    def prepare_selected(self, request: HttpRequest, queryset: QuerySet[ProductAsset]) -> None:
        """Start prep for all of them as one group, whose page shows how they get on."""
        group = prepare_many(queryset, trigger="console")
        skipped = f" {group.skipped} are being prepared already." if group.skipped else ""
        if not group.started:
            messages.info(request, f"Prep started for 0 product(s).{skipped}")
            return
        url = reverse("admin:monitor_group", args=[str(group.group_id)])
        text = 'Prep started for {} product(s).{} <a href="{}">Watch them</a>'
        messages.success(request, format_html(text, group.started, skipped, url))

    @admin.display(description="")
    def picture(self, asset: ProductAsset) -> SafeString | str:
        """The cutout, else the photo, small."""
        blob_id = asset.cutout_id or asset.photo_id or asset.source_id
        if blob_id is None:
            return format_html('<span class="thumb thumb-none"></span>{}', "")
        url = reverse("admin:monitor_thumbnail", args=[str(blob_id), 320])
        return format_html('<img class="thumb thumb-product" src="{}" alt="" loading="lazy">', url)

    @admin.display(description="Product", ordering="title")
    def name(self, asset: ProductAsset) -> SafeString:
        """Title and type, leading to the product's page."""
        url = reverse("admin:prep_productasset_change", args=[str(asset.pk)])
        return format_html('<a href="{}"><strong>{}</strong></a><br><span class="quiet">{}</span>', url, asset,
                           asset.product_type or asset.product_id)  # fmt: skip

    @admin.display(description="Status", ordering="prep_status")
    def state(self, asset: ProductAsset) -> SafeString:
        """A coloured word, and why if prep failed."""
        return format_html('<span class="pill pill-{}">{}</span> <span class="quiet">{}</span>', asset.prep_status,
                           asset.prep_status, asset.prep_error[:120])  # fmt: skip

    @admin.display(description="Updated", ordering="updated_at")
    def updated(self, asset: ProductAsset) -> str:
        """To the minute, UTC."""
        return asset.updated_at.strftime("%Y-%m-%d %H:%M")


def _latest_jobs(asset: ProductAsset) -> list[PrepJob]:
    """The newest prep jobs with their runs and operations, in two queries."""
    steps = Prefetch("run__steps", Step.objects.order_by("seq"))
    return list(asset.jobs.select_related("run").prefetch_related(steps).order_by("-id")[:JOBS_SHOWN])
