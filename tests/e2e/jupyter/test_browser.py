"""JupyterLab in a real browser: the token, the project's kernel, and a cell that runs in it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver.remote.webelement import WebElement

    from ..conftest import Project
    from .conftest import Jupyter

pytestmark = [pytest.mark.network, pytest.mark.browser]

IGNORED = (NoSuchElementException, StaleElementReferenceException)
CODE = "import sys; print(sys.prefix)"

AS_ROOT = ("--allow-root",) if os.geteuid() == 0 else ()


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium or its driver is not installed")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for one in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(one)
    options.add_argument("--no-proxy-server")
    options.add_argument("--window-size=1400,1000")
    options.add_argument(f"--user-data-dir={tmp_path}/chromium")
    chromium = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield chromium
    finally:
        chromium.quit()


def test_a_cell_runs_in_the_project_s_environment(
    jupyter: Jupyter,
    project_of: Callable[..., Project],
    browser: webdriver.Chrome,
    tmp_path: Path,
) -> None:
    project = project_of("my app")
    found = jupyter.document("lab", "start", *AS_ROOT, cwd=project.path)
    wait = WebDriverWait(browser, 60, ignored_exceptions=IGNORED)

    def shown(selector: str) -> WebElement:
        found: WebElement = wait.until(lambda one: one.find_element(By.CSS_SELECTOR, selector))
        return found

    try:
        browser.get(found["url"].partition("?")[0])
        shown("input#password_input")
        assert "/login" in browser.current_url

        browser.get(found["url"])
        cards = ".jp-LauncherCard[data-category='Notebook']"
        card = shown(cards)
        titles = [one.text for one in browser.find_elements(By.CSS_SELECTOR, cards)]
        assert titles[0] == "Python (my app)"
        card.click()
        idle = "//*[@id='jp-main-statusbar']//*[contains(text(), 'Python (my app) | Idle')]"
        wait.until(lambda one: one.find_element(By.XPATH, idle))

        def is_typed(_: webdriver.Chrome) -> bool:
            # The page draws the notebook once more when the kernel has answered.
            cell = shown(".jp-Notebook .cm-content")
            if cell.text.strip() != CODE:
                cell.send_keys(Keys.CONTROL, "a")
                cell.send_keys(CODE)
                time.sleep(1)
            return shown(".jp-Notebook .cm-content").text.strip() == CODE

        wait.until(is_typed)
        shown(".jp-Notebook .cm-content").send_keys(Keys.SHIFT, Keys.ENTER)
        output = shown(".jp-OutputArea-output pre")
        wait.until(lambda _: output.text.strip())
        assert output.text.strip() == str(project.path / ".venv")
    finally:
        keep = Path(os.environ.get("NIXPY_TEST_ARTEFACTS") or tmp_path)
        browser.save_screenshot(str(keep / "jupyterlab.png"))
        project.nixpy("lab", "stop")
