"""The admin site of the console."""

from django.contrib.admin import AdminSite


class ConsoleSite(AdminSite):
    """Django's admin under our name."""

    site_header = "See It"
    site_title = "See It"
    index_title = "Console"
