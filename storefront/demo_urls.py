"""Addresses of the demo shop."""

from django.urls import path

from storefront import demo_views

urlpatterns = [
    path("demo/", demo_views.home, name="demo-home"),
    path("demo/products/<slug:handle>/", demo_views.product, name="demo-product"),
    path("demo/pictures/<path:path>", demo_views.picture, name="demo-picture"),
]
