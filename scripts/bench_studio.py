"""How soon a certified motion is on the screen after a drag: `python scripts/bench_studio.py [SCENE] [--drags N]`.

Drags the goal by its handle in a headless Chromium, one mouse move after the other, and takes in the page the time from
each move until the next picture after the status tells of a new certified motion. Then the mouse moves without waiting,
to count what is dropped; the memory of the studio and of its planning process is told before and after.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "studio"))

from driving import ARGUMENTS, arrow, best_axis, open_studio, wait_until  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from diffplan.studio.opening import opened  # noqa: E402
from diffplan.studio.server import Studio  # noqa: E402

# Notes when the mouse was last moved, and for each new certified motion when the picture after it was drawn.
WATCH = """
window.moved = 0; window.shown = []; window.last = "";
addEventListener("pointermove", () => { moved = performance.now(); }, true);
new MutationObserver(() => {
  const found = document.body.innerText.match(/certified: motion (\\d+)/);
  if (found && found[1] !== last) {
    last = found[1];
    const from = moved;
    requestAnimationFrame(() => requestAnimationFrame(() => shown.push(performance.now() - from)));
  }
}).observe(document.body, {subtree: true, childList: true, characterData: true});
"""
FRAME = """new Promise(done => { let n = 0, begin = performance.now();
  const step = () => ++n < 30 ? requestAnimationFrame(step) : done((performance.now() - begin) / 30);
  requestAnimationFrame(step); })"""


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process [MB]."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scene", nargs="?", default="bookshelf")
    parser.add_argument("--drags", type=int, default=100)
    parser.add_argument("--dots", type=float, default=0.25, help="dots drawn for a pixel's edge (software rendering)")
    args = parser.parse_args()
    program = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with Studio(opened(args.scene), port=8400) as studio, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        view = open_studio(page, studio, args.dots)
        page.evaluate(WATCH)
        load, frame = os.getloadavg()[0], page.evaluate(FRAME)
        print(f"{load:.1f} processes ask for {os.cpu_count()} cores; a frame takes {frame:.0f} ms")
        axis = best_axis(page, view, "goal")
        (x, y), (u, v) = arrow(page, view, "goal", axis)
        page.mouse.move(x, y)
        page.mouse.down()
        inside = []
        for drag in range(args.drags + 3):
            share = -1.0 - 2.0 * (drag % 2)
            before = page.evaluate("shown.length")
            page.mouse.move(x + share * (u - x), y + share * (v - y))
            wait_until(page, lambda before=before: page.evaluate("shown.length") > before, "a motion")
            inside.append(view.last_shown_s)
        page.mouse.up()
        took, inside = np.array(page.evaluate("shown"))[3:][: args.drags], 1000 * np.array(inside[3:])
        figures = {"drag event to picture": took, "of that in the studio, from event to messages": inside}
        for name, values in figures.items():
            half, most = np.percentile(values, [50, 95])
            print(f"{name}: median {half:.0f} ms, 95 % within {most:.0f} ms ({len(values)} drags)")
        wait_until(page, lambda: view.settled, "the last answer")
        memory = [resident_mb(pid) for pid in (os.getpid(), view.planning.process.pid)]
        dropped, asked = view.dropped, view.number
        page.mouse.move(x - (u - x), y - (v - y))
        page.mouse.down()
        for drag in range(2 * args.drags):
            share = -1.0 - 2.0 * (drag % 2)
            page.mouse.move(x + share * (u - x), y + share * (v - y))
        page.mouse.up()
        wait_until(page, lambda: view.settled, "the last answer")
        print(
            f"{2 * args.drags} moves without waiting: {view.number - asked} requests, {view.dropped - dropped} dropped"
        )
        after = [resident_mb(pid) for pid in (os.getpid(), view.planning.process.pid)]
        for name, old, new in zip(("studio", "planning process"), memory, after, strict=True):
            print(f"memory of the {name}: {old:.0f} MB, after {2 * args.drags} more moves {new:.0f} MB")
        browser.close()


if __name__ == "__main__":
    main()
