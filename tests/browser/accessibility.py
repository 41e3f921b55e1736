"""What axe, the accessibility checker, finds on a page."""

from __future__ import annotations


def serious_findings(page):
    """One line for each finding that axe calls serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{finding['id']}: {finding['help']} {[node['target'] for node in finding['nodes']]}"
        for finding in found
        if finding["impact"] in ("serious", "critical")
    ]
