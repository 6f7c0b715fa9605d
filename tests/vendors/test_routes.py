"""Routes: which vendor and model answers a task, and files that say so wrongly."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from vendors.base import Vendor
from vendors.registry import build_vendors, installed_routes, require_vendors
from vendors.routes import TASKS, Limit, Route, Routes, RoutesInvalid, RunBudget, load_routes

DEFAULT = Path(__file__).parents[2] / "config" / "models.toml"
COMPLETE = "\n".join(f'[[tasks.{task}]]\nvendor = "local"\nmodel = "local-1"\n' for task in TASKS)


def written(folder, text):
    path = folder / "routes.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


GEMINI, OPENAI = {"GEMINI_API_KEY": "a-key-of-gemini"}, {"OPENAI_API_KEY": "a-key-of-openai"}
OWN_SERVER = {"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}


@pytest.mark.parametrize(
    ("keys", "pictures", "texts"),
    [
        ({}, ["local"], ["local"]),
        (GEMINI, ["gemini", "local"], ["gemini", "local"]),
        (OPENAI, ["openai", "local"], ["openai", "local"]),
        (OWN_SERVER, ["openai", "local"], ["openai", "local"]),
        (GEMINI | OPENAI, ["gemini", "openai", "local"], ["gemini", "openai", "local"]),
    ],
)
def test_the_default_file_asks_whom_there_are_keys_for_and_local_last(keys, pictures, texts):
    routes = installed_routes(DEFAULT, build_vendors(keys), default=True)
    asked = {task: [route.vendor for route in routes.for_task(task)] for task in TASKS}
    assert asked["composite"] == pictures
    assert asked["facts"] == asked["placement"] == texts
    assert asked["cutout"][-1] == "local"
    assert [
        route for task in TASKS for route in routes.for_task(task)[:-1] if not route.moves_on("vendor_timeout")
    ] == []


def test_a_file_of_ones_own_leads_to_no_vendor_without_a_key(tmp_path):
    path = written(tmp_path, COMPLETE + '[[tasks.facts]]\nvendor = "gemini"\nmodel = "m"\n')
    with pytest.raises(RoutesInvalid, match="set GEMINI_API_KEY"):
        installed_routes(path, build_vendors({}), default=False)
    assert installed_routes(path, build_vendors(GEMINI), default=False).vendors == {"local", "gemini"}


def test_a_vendor_that_nobody_knows_is_an_error_in_the_default_file_too(tmp_path):
    path = written(tmp_path, COMPLETE + '[[tasks.facts]]\nvendor = "gemni"\nmodel = "m"\n')
    with pytest.raises(RoutesInvalid, match="'gemni' is not set up"):
        installed_routes(path, build_vendors(GEMINI), default=True)


def test_without_a_key_no_network_code_is_imported():
    code = "import sys; from vendors.registry import build_vendors; build_vendors({}); print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=DEFAULT.parents[1])
    assert done.stdout == "False\n"


def test_routes_keep_their_order_params_and_codes(tmp_path):
    extra = (
        '[[tasks.facts]]\nvendor = "gemini"\nmodel = "gemini-3.8-flash"\nmove_on = ["vendor_refused"]\n'
        '[tasks.facts.params]\nthinking = "low"\n'
    )
    first, second = load_routes(written(tmp_path, COMPLETE + extra)).for_task("facts")
    assert first == Route("local", "local-1")
    assert second == Route("gemini", "gemini-3.8-flash", {"thinking": "low"}, ("vendor_refused",))


def test_limits_are_read_beside_the_routes(tmp_path):
    routes = load_routes(
        written(tmp_path, COMPLETE + "[limits.gemini]\nconcurrency = 20\nper_minute = 300\n[limits.x]\n")
    )
    assert routes.limits == {"gemini": Limit(20, 300), "x": Limit(None, None)}


@pytest.mark.parametrize("text", ["concurrency = 0", "per_minute = 'many'", "per_hour = 3", "concurrency = 1.5"])
def test_a_limit_that_is_none_is_refused_by_name(tmp_path, text):
    with pytest.raises(RoutesInvalid, match=r"limits\.gemini\."):
        load_routes(written(tmp_path, f"{COMPLETE}[limits.gemini]\n{text}\n"))


def test_a_route_may_have_a_feature_and_a_timeout_and_all_runs_a_budget(tmp_path):
    first = '[[tasks.facts]]\nvendor = "gemini"\nmodel = "m"\nfeature = "new_model"\ntimeout_s = 20\n'
    routes = load_routes(written(tmp_path, "[run]\nmax_cost_usd = 0.25\nmax_latency_s = 90\n" + first + COMPLETE))
    assert routes.for_task("facts")[0] == Route("gemini", "m", feature="new_model", timeout_s=20.0)
    assert routes.run == RunBudget(Decimal("0.25"), 90.0)
    assert load_routes(written(tmp_path, COMPLETE)).run == RunBudget()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[run]\nmax_cost_usd = 0\n", "run.max_cost_usd"),
        ("[run]\nmax_cost_usd = nan\n", "run.max_cost_usd"),
        ("[run]\nmax_latency_s = -1\n", "run.max_latency_s"),
        ("[run]\nmax_cost = 1\n", "run.max_cost"),
        ('[[tasks.facts]]\nvendor = "v"\nmodel = "m"\ntimeout_s = "60"\n', "tasks.facts.0.timeout_s"),
        ('[[tasks.facts]]\nvendor = "v"\nmodel = "m"\ntimeout_s = 86400\n', "tasks.facts.0.timeout_s"),
        ('[[tasks.facts]]\nvendor = "v"\nmodel = "m"\nfeature = "New Model"\n', "tasks.facts.0.feature"),
        ('[[tasks.facts]]\nvendor = "v"\nmodel = "m"\nparams = {day = 2026-01-01}\n', "tasks.facts.0.params"),
        ('[[tasks.facts]]\nvendor = "v"\nmodel = "m"\nparams = {most = nan}\n', "tasks.facts.0.params"),
        ('[[tasks.facts]]\nvendor = "v"\nmodel = "m"\nmove_on = ["timeout"]\n', "tasks.facts.0.move_on"),
    ],
)
def test_what_a_route_or_a_budget_cannot_be_is_refused_in_one_line_that_names_the_place(tmp_path, text, place):
    with pytest.raises(RoutesInvalid) as refused:
        load_routes(written(tmp_path, text + COMPLETE))
    assert f"routes.toml: {place}: " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_rejected_picture_always_moves_on():
    route = Route("gemini", "m", move_on=("vendor_timeout",))
    assert [route.moves_on(code) for code in ("metric_failed", "vendor_timeout", "vendor_refused")] == [
        True,
        True,
        False,
    ]


def test_a_task_without_routes_has_none():
    assert Routes({}).for_task("facts") == ()


def test_a_vendor_that_is_not_set_up_is_named():
    routes = Routes({"facts": (Route("gemini", "m"),)})
    with pytest.raises(RoutesInvalid, match="'gemini' is not set up; set GEMINI_API_KEY; available are local"):
        require_vendors(routes, build_vendors({}))


def test_the_local_vendor_needs_no_setting():
    vendors = build_vendors({})
    assert list(vendors) == ["local"]
    assert isinstance(vendors["local"], Vendor)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tasks = 3", "routes.toml: tasks: "),
        ("not toml", "routes.toml: not TOML"),
        (b"\xff\xfe", "routes.toml: cannot be read as text"),
        (COMPLETE + "[other]\n", "routes.toml: other: "),
        (COMPLETE + '[[tasks.haiku]]\nvendor="a"\nmodel="b"\n', "routes.toml: tasks.haiku: unknown task"),
        (COMPLETE + '[[tasks.facts]]\nvendor="a"\n', "routes.toml: tasks.facts.1.model: "),
        (COMPLETE + '[[tasks.facts]]\nvendor=""\nmodel="b"\n', "routes.toml: tasks.facts.1.vendor: "),
        (COMPLETE + '[[tasks.facts]]\nvendor="a"\nmodel="b"\nkey="x"\n', "routes.toml: tasks.facts.1.key: "),
        (
            COMPLETE + '[[tasks.facts]]\nvendor="a"\nmodel="b"\nmove_on=["oops"]\n',
            "routes.toml: tasks.facts.1.move_on: ",
        ),
        (COMPLETE.replace("tasks.facts", "tasks.cutout"), "routes.toml: tasks.facts: a task needs at least one route"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_the_place(tmp_path, text, says):
    with pytest.raises(RoutesInvalid) as caught:
        load_routes(written(tmp_path, text))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RoutesInvalid, match=r"absent\.toml: there is no such file"):
        load_routes(tmp_path / "absent.toml")
