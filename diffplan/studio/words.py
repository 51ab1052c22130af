"""The studio's words for what planning came to."""

from __future__ import annotations

from diffplan.problem import Plan


def status_words(plan: Plan | None, error: str, number: int, shown_s: float, dropped: int, *, old: bool) -> str:
    """Return the status in Markdown.

    Args:
        plan: the answer, if there is one.
        error: what kept the question from being planned.
        number: how many certified motions were shown.
        shown_s: from the request to the picture [s].
        dropped: how many requests were dropped for newer ones.
        old: whether the motion on the screen answers an earlier question.
    """
    if plan is None:
        return f"**not planned**: {plain(error)}{_kept(number, old)}"
    if not plan.solved:
        return f"**not solved: {plan.status.value}**: {plain(plan.message)}{_kept(number, old)}"
    times = f"planning {1000 * plan.timing_s['plan']:.0f} ms, certificate {1000 * plan.timing_s['certify']:.0f} ms"
    lines = [f"**solved by {plan.solved_by}, certified**: motion {number}"]
    if plan.metrics and plan.certificate:
        lines.append(f"{plan.metrics.duration_s:.2f} s, path {plan.metrics.path_length_rad:.2f} rad")
        closest = plan.certificate.closest
        where = f" ({closest.link} to {closest.obstacle})" if closest else ""
        lines += [plain(plan.certificate.clearance_words + where)] if plan.certificate.clearance_words else []
        lines += [plain(one.words) for one in plan.certificate.constraints]
    shown = f", shown after {1000 * shown_s:.0f} ms" if shown_s else ""
    lines.append(f"{times}{shown}; {dropped} requests dropped for newer ones")
    lines += [plain(remark) for remark in plan.remarks]
    return "  \n".join(lines)


def _kept(number: int, old: bool) -> str:
    return f"  \nthe grey way is the last certified motion ({number})" if number and old else ""


def plain(text: str) -> str:
    """Return a text without what Markdown would take for its own."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|" else char for char in text)
