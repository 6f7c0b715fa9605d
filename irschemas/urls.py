"""The API of IR schemas."""

from django.urls import path

from irschemas.api import ActivateView, IRSchemasView, IRSchemaView, ReviewView, ValidateView

API = "api/ir-schemas"

urlpatterns = [
    path(API, IRSchemasView.as_view(), name="ir-schemas"),
    path(f"{API}/validate", ValidateView.as_view(), name="ir-schema-validate"),
    path(f"{API}/<str:schema_id>", IRSchemaView.as_view(), name="ir-schema"),
    path(f"{API}/<str:schema_id>/review", ReviewView.as_view(), name="ir-schema-review"),
    path(f"{API}/<str:schema_id>/activate", ActivateView.as_view(), name="ir-schema-activate"),
]
