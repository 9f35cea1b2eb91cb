"""Chromium without a window, driven by its own driver: for the tests of the pages that the package writes."""

from __future__ import annotations

import shutil
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import pytest

# The first has no windows at all, and takes half of the processor's time; the pages are the same to it.
PROGRAMS = "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1360,860",
)


class Browser:
    """A browser window, and what its console has said."""

    def __init__(self, folder: Path) -> None:
        driver = shutil.which("chromedriver")
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if driver is None or program is None:
            pytest.skip("needs Chromium and its driver (apt install chromium chromium-driver)")
        webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (extra test)")
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = program
        for switch in SWITCHES:
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.folder, self.opened = folder, 0
        self.driver = webdriver.Chrome(options=options, service=Service(driver))

    def open(self, page: bytes, asked: str = "") -> None:
        """Shows a page, with what stands after the # of its address."""
        self.driver.get_log("browser")
        self.opened += 1  # the same address with another # would not be read again
        self.path = self.folder / f"page{self.opened}.html"
        self.path.write_bytes(page)
        self.driver.get(self.path.as_uri() + asked)

    def resize(self, width: int, height: int) -> None:
        """Gives the page so many pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def command(self, name: str, **parameters: object):
        """A command of Chrome's DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def violations(self) -> list[str]:
        """What axe finds that keeps people out."""
        axe = pytest.importorskip("axe_core_python", reason="needs axe-core-python (extra test)")
        self.run((files(axe) / "axe.min.js").read_text("utf-8"))
        found = self.driver.execute_async_script("const done = arguments[0]; axe.run().then((r) => done(r.violations))")
        return [f"{v['id']}: {n['html'][:200]} {n['failureSummary']}" for v in found for n in v["nodes"]]

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def find(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector: str):
        return self.driver.find_elements("css selector", selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def press(self, *keys: str, on: str = "body") -> None:
        """Keys by the names of `selenium.webdriver.common.keys.Keys`, or characters."""
        from selenium.webdriver.common.keys import Keys

        element = self.driver.switch_to.active_element if on == "focus" else self.find(on)
        element.send_keys(*(getattr(Keys, key, key) for key in keys))

    def press_until_read_again(self, *keys: str, on: str = "body") -> None:
        """Keys, or "CLICK", upon which the page reads itself again."""
        from selenium.webdriver.support.expected_conditions import staleness_of
        from selenium.webdriver.support.ui import WebDriverWait

        page = self.find("html")
        self.find(on).click() if keys == ("CLICK",) else self.press(*keys, on=on)
        wait = WebDriverWait(self.driver, 10, poll_frequency=0.02)
        wait.until(staleness_of(page))
        wait.until(lambda driver: driver.execute_script("return document.readyState") == "complete")

    def hover(self, selector: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver, duration=0).move_to_element(self.find(selector)).perform()

    def drag(self, selector: str, x: int, y: int) -> None:
        from selenium.webdriver import ActionChains

        chain = ActionChains(self.driver, duration=20)
        chain.move_to_element_with_offset(self.find(selector), -300, -250).click_and_hold().move_by_offset(x, y)
        chain.release().perform()

    def wheel(self, selector: str, amount: int) -> None:
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

        ActionChains(self.driver).scroll_from_origin(
            ScrollOrigin.from_element(self.find(selector)), 0, amount
        ).perform()

    def run(self, script: str, *arguments: object):
        return self.driver.execute_script(script, *arguments)

    def close(self) -> None:
        from selenium.common.exceptions import WebDriverException

        with suppress(WebDriverException):  # it answers no more; and the driver stops a script only, if one started it
            self.command("Browser.close")
        self.driver.quit()
