"""The console in a real browser, under its strict Content-Security-Policy."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from core.ids import new_id
from irschemas.models import IRSchema, MetricProfile
from runs.models import Run, Step
from runs.services import publish_dag
from tests.factories import ProductAssetFactory
from tests.monitor.factories import MetricFactory, RunErrorFactory, RunFactory, StepFactory, artifact, composite_run

pytestmark = pytest.mark.django_db(transaction=True)
PIPELINE: dict[str, Any] = {"nodes": [
    {"key": "facts", "step": "facts@1", "retries": 2},
    {"key": "placement", "step": "placement@1", "depends_on": ["facts"]},
    {"key": "select", "step": "select@1", "depends_on": ["facts", "placement"], "timeout_ms": 60000},
]}  # fmt: skip
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
"""


# Tables may scroll sideways; one that is filled in may not.
FORMS_BESIDE = """[...document.querySelectorAll(".scroll:has(input)")]
    .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth).map(e => e.textContent.trim().slice(0, 40))"""


class Operator:
    """Somebody at the console, and whatever their browser complained about."""

    def __init__(self, browser: Browser, origin: str, session: str, size: str, scheme: Any) -> None:
        width, height = SIZES[size]
        self.origin, self.width = origin, width
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": origin}])
        context.add_init_script(WATCH)
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: message.type in ("error", "warning") and self._note(message.text))
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on("response", lambda answer: answer.status >= 400 and self._note(f"{answer.status} {answer.url}"))

    def _note(self, text: str) -> None:
        self.complaints.append(f"{self.page.url}: {text}")

    def takes(self, size: str, scheme: Any) -> None:
        """Look at the same page on another screen."""
        self.width, height = SIZES[size]
        self.page.set_viewport_size({"width": self.width, "height": height})
        self.page.emulate_media(color_scheme=scheme)

    def opens(self, path: str) -> Page:
        """Go to a page and let everything on it arrive."""
        self.page.goto(self.origin + path, wait_until="networkidle")
        return self.page

    def trouble(self) -> list[str]:
        """Complaints, violations, and whether the page is wider than its window."""
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        found = [*self.complaints, *self.page.evaluate("window.violations")]
        if hidden := self.page.evaluate(FORMS_BESIDE):
            found.append(f"{self.page.url}: fields that one has to scroll to: {hidden}")
        return found if wide <= self.width else [*found, f"{self.page.url} is {wide} px wide"]


def everything() -> list[str]:
    """Rows of every kind, and the address of every page that shows them."""
    call_command("publish_pipelines", verbosity=0)
    run = composite_run()
    step = run.steps.get(node_key="composite")
    MetricFactory(step=step, passed=False)
    RunErrorFactory(step=step)
    sent = {"template": "t", "messages": [{"role": "user", "text": "<b>bold</b>"}]}
    artifact(run, "prompt", sent, step=step, role="prompt")
    failed = RunFactory(status="failed", error_stage="facts", error_code="vendor_refused", error_message="No.")
    StepFactory(run=failed, status="failed", node_key="facts", type="filter", drop_ratio=0.99)
    asset = ProductAssetFactory(shop=run.shop)
    version = publish_dag("composite", PIPELINE)[0]
    earlier = publish_dag("composite", {"nodes": PIPELINE["nodes"][:1]})[0]
    drawn = composite_run(pipeline_version=version)
    schema = IRSchema.objects.active().first()
    gate = MetricProfile.objects.order_by("-id").first()
    group = RunFactory(status="failed", run_group_id=new_id(), error_code="x").run_group_id
    lists = [
        "runs/run", "runs/step", "runs/runerror", "runs/artifact", "runs/worker", "runs/pipeline",
        "runs/pipelineversion", "prep/productasset", "prompts/promptoverride", "irschemas/irschema",
        "irschemas/metricdefinition", "irschemas/metricprofile", "shops/shop", "shops/apikey", "auth/user",
        "auth/group", "storefront/compositerun",
    ]  # fmt: skip
    forms = [
        f"runs/run/{run.pk}/change", f"runs/run/{failed.pk}/change", f"prep/productasset/{asset.pk}/change",
        f"shops/shop/{run.shop_id}/change", "prompts/promptoverride/add", "irschemas/irschema/add", "shops/apikey/add",
        "irschemas/metricprofile/add", "auth/user/add", "password_change", "queue", "models", "experiments", "errors",
        f"irschemas/irschema/{schema.pk}/change", f"irschemas/metricprofile/{gate.pk}/change",
        f"runs/run/{run.pk}/compare/{drawn.pk}", f"runs/run/{drawn.pk}/rerun", "runs/run/import",
        f"runs/run/group/{group}",
        f"runs/run/{drawn.pk}/change", f"runs/pipelineversion/{version.pk}/change",
        f"runs/pipelineversion/{earlier.pk}/change", f"runs/pipeline/{version.pipeline_id}/edit",
    ]  # fmt: skip
    return ["/admin/", *(f"/admin/{path}/" for path in [*lists, *forms]), "/admin/runs/run/?q=nothing-has-this-title"]


def test_no_page_breaks_the_policy_fails_or_overflows(live_server: Any, session: str, chromium: Browser) -> None:
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    trouble = []
    for path in everything():
        operator.takes("desk", "light")
        operator.opens(path)
        trouble += operator.trouble()
        operator.takes("phone", "dark")
        trouble += operator.trouble()
        operator.complaints.clear()
    assert trouble == []


def test_opening_steps_fetches_what_was_asked_and_folds_json(live_server: Any, session: str, chromium: Browser) -> None:
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    run = composite_run()
    step = run.steps.get(node_key="placement")
    sent = {"template": "t", "messages": [{"role": "user", "text": "Where could <this> stand?"}]}
    artifact(run, "prompt", sent, step=step, role="prompt")
    page = operator.opens(f"/admin/runs/run/{run.pk}/change/")
    page.get_by_role("button", name="Open all").click()
    expect(page.get_by_text("Where could <this> stand?")).to_be_visible()
    expect(page.locator(f"#step-{step.pk} .json-tree")).to_contain_text("camera_height_m: 1.5")
    assert operator.trouble() == []


def test_the_room_before_is_drawn_over_the_result_by_dragging(
    live_server: Any, session: str, chromium: Browser
) -> None:
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens(f"/admin/runs/run/{composite_run().pk}/change/")
    page.locator("#compare-split").fill("40")
    assert page.locator(".compare .before").evaluate("e => getComputedStyle(e).clipPath") == "inset(0px 60% 0px 0px)"
    boxes = page.locator(".layer-rejected path")
    assert boxes.count() == 4
    expect(boxes.first).to_be_hidden()
    page.get_by_label("dropped 4").check()
    expect(boxes.first).to_be_visible()
    assert operator.trouble() == []


def test_a_live_run_updates_itself_keeps_what_is_open_and_then_rests(
    live_server: Any, session: str, chromium: Browser
) -> None:
    run = composite_run(status="running", phase="composite", lease_until=timezone.now() + timedelta(minutes=5))
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens(f"/admin/runs/run/{run.pk}/change/")
    step = run.steps.get(node_key="select")
    page.locator(f"#step-{step.pk} > summary").click()
    page.get_by_label("dropped 4").check()
    Step.objects.filter(pk=step.pk).update(why="Changed while you watched.")
    Run.objects.filter(pk=run.pk).update(steps_done=1, updated_at=timezone.now())
    expect(page.locator(f"#step-{step.pk} .step-why")).to_have_text("Changed while you watched.")
    expect(page.locator(f"#step-{step.pk}")).to_have_attribute("open", "")
    expect(page.get_by_label("dropped 4")).to_be_checked()
    Run.objects.filter(pk=run.pk).update(status="completed", latency_ms=4200, updated_at=timezone.now())
    expect(page.locator("#headline")).to_contain_text("Completed in 4.2 s")
    expect(page.locator("[hx-trigger='every 1s']")).to_have_count(0)
    assert operator.trouble() == []


def test_a_theme_is_chosen_by_the_toggle(live_server: Any, session: str, chromium: Browser) -> None:
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens("/admin/")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator(".theme-toggle").click()
    assert page.evaluate(ground) != light
    operator.opens("/admin/runs/run/")
    assert page.evaluate(ground) != light
