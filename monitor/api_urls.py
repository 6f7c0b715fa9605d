"""The monitor API."""

from django.urls import path

from monitor.api import RunBundleView

urlpatterns = [path("api/monitoring/runs/<str:run_id>/bundle", RunBundleView.as_view(), name="run-bundle")]
