"""The pages in a real browser: everything is drawn, nothing is asked for or complained about, phones and paper fit.

Without a browser these tests are skipped; DIFFPLAN_TEST_BROWSER=required makes that a failure.
"""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from diffplan.benchmark.ablation import ablation
from diffplan.benchmark.ablation_page import Picture, PictureRow, write_ablation
from diffplan.benchmark.machine import this_machine
from diffplan.benchmark.report import write_all
from diffplan.benchmark.results import ResultRow
from diffplan.benchmark.runner import Outcome
from diffplan.benchmark.variants import ADAPTIVE, variants
from diffplan.benchmark.worker import BenchmarkSettings
from diffplan.cli import main

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PHONE, DESKTOP = 390, 1280
SUITE = """\
format: diffplan/scene@1
name: small
robot: panda
obstacles:
  - {name: wall, type: box, size: [0.5, 0.04, 0.9], pose: {xyz: [0.55, 0.25, 0.45]}}
queries:
  free: {start: home, goal: [-0.5, 0.2, 0.0, -1.8, 0.0, 2.3, 0.8]}
  behind: {start: home, goal: [0.9, 0.5, 0.0, -1.8, 0.0, 2.3, 0.8]}
  far: {start: home, goal: {link: panda_hand, pose: {xyz: [3.0, 0.0, 0.5]}}}
"""


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a small real run."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "small.yaml").write_text(SUITE)
    argv = ["bench", str(folder / "small.yaml"), "--planners", "straight,rrtconnect", "--timeout", "5"]
    assert main([*argv, "--out", str(folder / "out")]) == 0
    return folder / "out" / "report.html"


@pytest.fixture(scope="module", params=[8, 20])
def large_report(request, tmp_path_factory):
    """The report of a made-up run of many planners on many sets, with numbers of many digits."""
    folder, random = tmp_path_factory.mktemp("large"), np.random.default_rng(0)
    sets = ("bookshelf_small", "bookshelf_tall", "bookshelf_thin", "box", "cage", "table_pick", "table_under_pick")
    planners = [f"chomp-tuned-{number}" if number % 3 else f"p{number}" for number in range(request.param)]
    rows = [
        ResultRow(
            planner=planner,
            problem=f"{name}/{i}",
            set=name,
            seed=0,
            status="solved" if i % 6 else "no_path_found",
            certified=i % 6 > 0,
            plan_time_s=float(random.lognormal(-2.0)),
            certify_time_s=0.1,
            path_length_rad=float(random.uniform(3.0, 9.0)),
            straight_line_rad=2.5,
            duration_s=float(random.uniform(1.0, 30.0)),
            max_jerk=float(random.lognormal(7.0)),
            mean_jerk=100.0,
            min_clearance_m=float(random.uniform(0.0, 0.1)),
            mean_clearance_m=0.1,
            tracking_error_rad=0.01,
            executed_contact=0,
            offered=3,
            rejected=1,
            first_rejected=0,
        )
        for planner in planners
        for name in sets
        for i in range(12)
    ]
    settings = BenchmarkSettings(
        suite="mbm", robot="panda", timeout=2.0, fallback=False, options={}, dense_check=None, folder=folder
    )
    outcome = Outcome(rows=rows, kept=0, warm_up_s=dict.fromkeys(planners, 12.34))
    write_all(outcome, settings, this_machine(), cases=(), planners=planners, workers=1, total_time=1.0)
    return folder / "report.html"


@pytest.fixture(scope="module")
def ablation_page(tmp_path_factory):
    folder, chosen, batches = tmp_path_factory.mktemp("ablation"), variants(["seeds"]), (4, 16)
    rows = [
        ResultRow(
            planner=f"{variant.name}@{mode}",
            problem=f"a/{i}",
            set="a",
            seed=0,
            status="solved",
            certified=i % 3 > 0,
            plan_time_s=0.01 * (1 + i),
            path_length_rad=3.0,
            straight_line_rad=2.0,
            duration_s=2.0 + 0.1 * i,
        )
        for variant in chosen
        for mode in (*batches, ADAPTIVE)
        for i in range(9)
    ]
    settings = BenchmarkSettings(
        suite="s.json", robot=None, timeout=1.0, fallback=False, options={}, dense_check=None, folder=folder
    )
    png = BytesIO()
    Image.new("RGB", (600, 600), "white").save(png, format="png")
    pictures = [PictureRow(title="a/1", pictures=(Picture(png=png.getvalue(), caption="estimate 1 of 3"),) * 5)]
    figures = ablation(rows, chosen, batches, 1.0)
    write_ablation(figures, rows, settings, this_machine(), pictures, workers=1, warm_up_s={})
    return folder / "ablation.html"


def _open(browser, file, width, scheme="light"):
    """Open a file; anything the page complains about or asks for besides itself fails the test when it is checked."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    found = []
    page.on("console", lambda message: found.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("requestfailed", lambda request: found.append(f"failed: {request.url[:80]}"))
    page.on("request", lambda request: None if request.url.startswith("data:") else found.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    assert found == [file.as_uri()]
    return page


# Of each drawing that is shown: its place, how many paths it has, and how far its texts stick out of it at most.
DRAWN = """[...document.querySelectorAll('svg[role=img]')].filter(e => e.checkVisibility()).map(e => {
  const box = e.getBoundingClientRect(), texts = [...e.querySelectorAll('text')].map(t => t.getBoundingClientRect());
  return {width: box.width, height: box.height, paths: e.querySelectorAll('path').length,
    out: Math.max(...texts.map(t => Math.max(box.left - t.left, t.right - box.right, box.top - t.top,
      t.bottom - box.bottom))), text: Math.min(...texts.map(t => t.height))};
})"""
PICTURES = "[...document.images].map(e => [e.naturalWidth, e.alt.length])"
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"


def _check_drawings(page, count):
    drawn = page.evaluate(DRAWN)
    assert len(drawn) == count
    for drawing in drawn:
        assert drawing["width"] > 250
        assert drawing["height"] > 50
        assert drawing["paths"] > 5
        assert drawing["out"] < 2
        assert drawing["text"] > 10


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_report_shows_all_its_tables_plots_and_pictures(browser, report, width):
    page = _open(browser, report, width)
    names = page.eval_on_selector_all("table", "tables => tables.map(e => e.ariaLabel)")
    assert names[:2] == ["Certified plans", "Every planner on every set"]
    assert {"small", "Certified plans in figures", "Planning time in full", "Published figures, not measured here"} <= {
        *names
    }
    assert all(page.evaluate("[...document.querySelectorAll('th')].map(e => e.scope !== '')"))
    _check_drawings(page, 7)
    targets = page.eval_on_selector_all("nav a", "links => links.map(e => document.querySelector(e.hash)?.textContent)")
    assert targets == page.locator("nav a").all_inner_texts()
    assert len(targets) == page.locator("h2").count() == 10
    pictures = page.evaluate(PICTURES)
    assert len(pictures) == 3  # straight fails behind the wall and far away, RRT-Connect far away
    assert all(size > 0 and words > 10 for size, words in pictures)
    assert page.evaluate(OVERFLOW) <= 0
    page.close()


def test_on_a_phone_wide_tables_scroll_inside_their_boxes(browser, report):
    page = _open(browser, report, PHONE)
    table = page.locator(".scroll").first
    assert table.evaluate("e => e.scrollWidth - e.clientWidth") > 50
    table.evaluate("e => e.scrollLeft = 1000")
    header = table.locator("tbody th").first
    assert header.bounding_box()["x"] >= 0  # the planners' names stay in sight
    page.close()


def test_a_screenshot_is_not_blank_and_dark_screens_get_a_dark_page(browser, report):
    for scheme, bright in (("light", True), ("dark", False)):
        page = _open(browser, report, DESKTOP, scheme)
        picture = Image.open(BytesIO(page.screenshot(full_page=True))).convert("RGB")
        colours = picture.getcolors(maxcolors=2**24)
        assert len(colours) > 100
        assert (sum(max(colours)[1]) > 600) == bright
        page.close()


def _check_print(page):
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 without its margins at 96 dots an inch
    assert page.evaluate(OVERFLOW) <= 0
    widths = page.evaluate("[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)")
    assert widths == [0] * page.locator(".scroll").count()
    assert all(page.evaluate("[...document.querySelectorAll('.plots table')].map(e => e.checkVisibility())"))


def test_the_report_can_be_printed(browser, report):
    page = _open(browser, report, DESKTOP)
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    _check_print(page)
    page.close()


def test_a_report_of_many_planners_fits_on_screens_phones_and_paper(browser, large_report):
    for width in (DESKTOP, PHONE):
        page = _open(browser, large_report, width)
        _check_drawings(page, 7)
        assert page.evaluate(OVERFLOW) <= 0
        page.close()
    page = _open(browser, large_report, DESKTOP)
    _check_print(page)
    page.close()


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_page_of_an_ablation_is_drawn_too(browser, ablation_page, width):
    page = _open(browser, ablation_page, width)
    assert page.locator("table").count() == 5
    _check_drawings(page, 2)
    assert [size for size, _ in page.evaluate(PICTURES)] == [600] * 5
    assert page.evaluate(OVERFLOW) <= 0
    page.close()
