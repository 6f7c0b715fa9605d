"""The page that shows the API: under a policy that runs nothing written into a page."""

import re

from django.test import Client


def test_the_page_has_no_inline_script_or_style_and_its_own_script_is_served() -> None:
    page = Client().get("/api/docs/").content.decode()

    assert not re.search(r"<style|<script>|\bon[a-z]+=|style=", page)
    own = re.findall(r'<script src="(/api/docs/[^"]*)"', page)
    assert len(own) == 1
    script = Client().get(own[0])
    assert script["Content-Type"].startswith("application/javascript")
    assert '"/api/schema/"' in script.content.decode()
