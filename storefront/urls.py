"""The shopper's door. Pages of the demo shop have their own routes."""

from django.urls import path

from storefront.api.composites import CompositesView, CompositeView, FeedbackView, RefineView
from storefront.api.products import ProductView
from storefront.api.results import ResultView
from storefront.api.uploads import UploadPhotoView, UploadsView

API = "proxy/v1/"

urlpatterns = [
    path(f"{API}products/<path:product_id>", ProductView.as_view(), name="storefront-product"),
    path(f"{API}uploads", UploadsView.as_view(), name="storefront-uploads"),
    path(f"{API}composites", CompositesView.as_view(), name="storefront-composites"),
    path(f"{API}composites/<str:composite_id>", CompositeView.as_view(), name="storefront-composite"),
    path(f"{API}composites/<str:composite_id>/refine", RefineView.as_view(), name="storefront-refine"),
    path(f"{API}composites/<str:composite_id>/feedback", FeedbackView.as_view(), name="storefront-feedback"),
    path(f"{API}results/<str:token>", ResultView.as_view(), name="storefront-result"),
    path("u/<str:token>", UploadPhotoView.as_view(), name="storefront-upload-photo"),
]
