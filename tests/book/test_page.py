"""The explorable page: complete in itself, its tables true, and in a real browser its formulas those of the package.

The browser is spoken to in its own DevTools protocol, over the websocket client that Jupyter brings along: console,
network and keyboard are first-class there, and no driver has to match the browser's version.
"""

import itertools
import json
import re
import shutil
import subprocess
import time
import urllib.request

import jax.numpy as jnp
import numpy as np
import page
import pytest

from rfcollapse import data
from rfcollapse.__main__ import main
from rfcollapse.claims import ledger
from rfcollapse.schemes import SCHEMES, Scheme
from rfcollapse.theory import dae, flow

websocket = pytest.importorskip("websocket")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-default-apps --disable-extensions --disable-dev-shm-usage
    --remote-debugging-port=0 --hide-scrollbars about:blank""".split()


@pytest.fixture(scope="module")
def text():
    return page.build()


@pytest.fixture(scope="module")
def tables(text):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)[1])


class TestFile:
    def test_is_complete_in_itself(self, text):
        assert len(text.encode()) < 1_000_000 and "{{" not in text
        assert not re.search(r'\bsrc=|@import|url\((?!#)|<link(?! rel="icon" href="data:,")|\bfetch\(|\bimport\b', text)
        links = set(re.findall(r"https?://[^\s\"'<]+", text))
        assert links == set(re.findall(r'<a href="(https?://[^"]+)"', text))
        assert "default-src 'none'" in text

    def test_is_the_same_each_time(self, text):
        assert page.build() == text

    def test_is_written_by_the_command_line(self, text, tmp_path, capsys):
        target = tmp_path / "new" / "page.html"
        assert main(["page", "--out", str(target)]) == 0
        assert target.read_text() == text and str(target) in capsys.readouterr().out

    def test_its_settings_lie_on_the_sliders(self, text):
        """Every link of a "what to try" names sliders of its own picture, and values within their range."""
        links = re.findall(r'href="#(\w+)\?([^"]*)"', text)
        assert len(links) > 15
        for view, query in links:
            section = re.search(rf'<section id="{view}".*?</section>', text, re.DOTALL)[0]
            for name, value in (pair.split("=") for pair in query.split("&amp;")):
                slider = re.search(rf'<input[^>]*name="{name}"[^>]*>', section)[0]
                if "checkbox" in slider:
                    assert value == "1"
                    continue
                low, high, step = (float(re.search(rf'\b{key}="([^"]*)"', slider)[1]) for key in ("min", "max", "step"))
                place = np.log2(float(value)) if "data-base" in slider else float(value)
                assert low <= place <= high and abs((place - low) / step - round((place - low) / step)) < 0.01

    def test_digits_are_the_digits(self, tables):
        images, table = data.digits(), tables["digits"]
        singular = np.linalg.svd(np.asarray(images.samples), compute_uv=False)
        spectrum = singular[: len(table["spectrum"])] ** 2 / len(images.samples)
        np.testing.assert_allclose(table["spectrum"], spectrum, rtol=1e-6)
        directions = np.array(table["directions"])
        np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=2e-3)
        first = [int(np.argmax(np.asarray(images.labels) == digit)) for digit in range(10)]
        rebuilt = np.array(table["mean"]) + table["scale"] * np.array(table["images"]) @ directions
        np.testing.assert_allclose(rebuilt, images.pixels(images.samples[jnp.array(first)]).reshape(10, 64), atol=2e-3)

    def test_contours_part_the_lifetimes(self, tables):
        table = tables["contours"]
        resample_std, rounds = np.sqrt(table["rho"]), np.array(table["rounds"])[:, None]
        variance = np.array(table["variance"])
        within, beyond = (
            np.asarray(dae.lifetime(variance * factor, 1.0, resample_std=resample_std))
            for factor in (1 - 1e-8, 1 + 1e-8)
        )
        assert np.all(within <= rounds) and np.all(beyond > rounds)


# ------------------------------------------------------------------------------------------------------- the browser


class Browser:
    """A page in a headless Chromium. `events` holds every request, message and exception so far."""

    def __init__(self, program, profile):
        self.process = subprocess.Popen(
            [program, f"--user-data-dir={profile}", *FLAGS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.count, self.events, self.opened, self.socket = 0, [], set(), None
        port = profile / "DevToolsActivePort"
        while not (port.exists() and port.read_text().count("\n") == 1):
            assert self.process.poll() is None, "the browser has ended before it was ready"
            time.sleep(0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json/list") as answer:
            target = next(tab for tab in json.load(answer) if tab["type"] == "page")
        self.socket = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=60, suppress_origin=True)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, **parameters):
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while (answer := json.loads(self.socket.recv())).get("id") != self.count:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def run(self, script):
        """The value of a JavaScript expression; infinities survive."""
        wrapped = f"JSON.stringify({script}, (key, x) => x === Infinity ? 'Infinity' : x)"
        result = self.send("Runtime.evaluate", expression=wrapped, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return json.loads(result["result"].get("value", "null"))

    def law(self, name, cases):
        """laws.name(...case) for every case."""
        return np.array(self.run(f"{json.dumps(cases)}.map(c => rfcollapse.laws.{name}(...c))"), dtype=float)

    def scheme(self, name, scheme, *more, part=""):
        """laws.name(scheme, settings, …), or a part of it, for the settings of REFLOW."""
        settings = json.dumps([dict(zip(SETTINGS, case)) for case in REFLOW])
        given = ", ".join([f"rfcollapse.data.schemes['{scheme}']", "z", *more])
        return np.array(self.run(f"{settings}.map(z => rfcollapse.laws.{name}({given}){part})"))

    def open(self, address):
        self.opened.add(address.split("#")[0])
        self.send("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && 'rfcollapse' in window")
        self.settle()

    def until(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"still not so after {seconds} s: {condition}"
            time.sleep(0.05)

    def settle(self):
        self.send("Runtime.evaluate", expression="new Promise(done => setTimeout(done, 100))", awaitPromise=True)

    def resize(self, width, height, scale=1.0):
        metrics = dict(width=width, height=height, deviceScaleFactor=scale, mobile=False)
        self.send("Emulation.setDeviceMetricsOverride", **metrics)
        self.settle()

    def prefer(self, **features):
        listed = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.send("Emulation.setEmulatedMedia", features=listed)

    def press(self, key):
        code = {"ArrowRight": 39, "ArrowLeft": 37, "Tab": 9, "Enter": 13, " ": 32}[key]
        press = dict(key=key, windowsVirtualKeyCode=code, text="\r" if key == "Enter" else "")
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, **press)

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def browser(text, tmp_path_factory):
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser on the PATH ({', '.join(BROWSERS)}): the page is not tried")
    folder = tmp_path_factory.mktemp("browser")
    (folder / "page.html").write_text(text)
    (folder / "profile").mkdir()
    browser = Browser(program, folder / "profile")
    browser.address = (folder / "page.html").as_uri()
    try:
        browser.resize(1280, 800)
        browser.open(browser.address)
        yield browser
    finally:
        browser.close()


U = (1e-6, 0.03, 0.9, 1.0, 1.1, 8.0, 16.0, 90.5, 1e4)
RHO = (0.0, 0.5, 1.0, 1.6, 2.0, 2.25, 3.1, 4.0)
ALPHA = (0.0, 0.01, 0.1, 0.5, 0.99, 1.0)
PICTURE = """(id => { const view = document.getElementById(id);
    return [...view.querySelectorAll('svg')].map(x => x.innerHTML).join() + view.innerText
        + [...view.querySelectorAll('canvas')].map(x => x.toDataURL()).join() })"""


def grid(*axes):
    return [list(case) for case in itertools.product(*axes)]


SETTINGS = ("real", "first", "alpha", "tau", "epsilon")
REFLOW = grid([0.06, 1.0, 4.0], [0.25, 4.0, 16.0], [0.0, 0.3, 1.0], [0.0, 0.01, 0.2, 1.0], [0.0, 0.5, 2.0])


def agree(ours, theirs):
    assert np.isfinite(theirs).any()
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-9, atol=1e-290)


class TestFormulas:
    """Each on a grid with its corners: variances tiny and huge, α of 0 and 1, ρ on both sides of every threshold."""

    def test_recursion(self, browser):
        cases = grid([0.0, *U], U, RHO, ALPHA)
        u, u0, rho, alpha = np.array(cases).T
        theirs = dae.next_variance(u, 1.0, resample_std=rho**0.5, real_fraction=alpha, real_variance=u0)
        agree(browser.law("nextVariance", cases), theirs)

    def test_run(self, browser):
        cases = grid(U, RHO[:5], ALPHA, [12])
        u0, rho, alpha, _ = np.array(cases).T
        theirs = dae.trajectory(u0, 1.0, 12, resample_std=rho**0.5, real_fraction=alpha)
        agree(browser.law("trajectory", cases).T, theirs)

    def test_lifetime_and_threshold(self, browser):
        cases = grid([*U[:-1], *np.geomspace(1.01, 128, 40)], [*RHO, 2.05])
        u0, rho = np.array(cases).T
        agree(browser.law("lifetime", cases), dae.lifetime(u0, 1.0, resample_std=rho**0.5))
        rho = np.array([rho for rho in RHO if rho != 2.0])  # √2² is not 2
        agree(browser.law("unstableVariance", rho[:, None].tolist()), dae.unstable_variance(1.0, rho**0.5))
        assert browser.law("unstableVariance", [[2.0]]) == np.inf

    def test_retained_variance_and_the_fraction_for_it(self, browser):
        # Last, three fixed points above u0, the lowest of them reached.
        cases = [*grid([0.0, *U, 20.0, 128.0], RHO, [*ALPHA, 0.02, 0.3]), [0.5001, 4.0, 0.32]]
        u0, rho, alpha = np.array(cases).T
        theirs = dae.retained_variance(u0, 1.0, alpha, resample_std=rho**0.5)
        agree(browser.law("retainedVariance", cases), theirs)
        cases = grid([0.0, 0.05, 0.44, 0.8, 0.99, 1.0], U)
        retention, u0 = np.array(cases).T
        agree(browser.law("requiredRealFraction", cases), dae.required_real_fraction(retention, u0, 1.0))

    def test_images_handed_on_have_the_variance_of_the_law(self, browser, tables):
        """Started at one standard deviation in each direction, by the mean square over 4,000 runs of chance."""
        spectrum, seeds, rounds = np.array(tables["digits"]["spectrum"][::6]), 4000, 6
        for alpha in (0.0, 0.3):
            start = json.dumps(np.sqrt(spectrum).tolist())
            script = f"""Array.from({{ length: {seeds} }}, (_, seed) => rfcollapse.laws.handedOn(
                {start}, {json.dumps(spectrum.tolist())}, {rounds}, 0.5, {alpha}, seed))"""
            squares = np.array(browser.run(script)) ** 2
            error = squares.std(axis=0) / seeds**0.5
            law = np.asarray(dae.trajectory(spectrum, 0.5, rounds, real_fraction=alpha)[-1])
            seen = law > 1e-100  # below, squares underflow
            assert seen.sum() > 5 and np.all(abs(squares.mean(axis=0) - law)[seen] < 5 * error[seen])

    def test_flow_fed_on_its_own_samples(self, browser):
        variances = np.array([1e-6, 0.05, 0.5, 1.0, 4.0, 64.0, 1e4])
        for steps, alpha in grid([2, 10, 64], [0.0, 0.2, 1.0]):
            for method in ("euler", "heun"):
                cases = [[variance, steps, alpha, 15, method] for variance in variances.tolist()]
                theirs = flow.self_consuming_trajectory(variances, steps, 15, real_fraction=alpha, method=method)
                agree(browser.law("selfConsumingTrajectory", cases).T, theirs)
        for steps in (2, 10, 64):
            cases = [[variance, steps] for variance in variances.tolist()]
            agree(browser.law("selfConsumingRate", cases), flow.self_consuming_rate(variances, steps))
            agree(browser.law("selfConsumingLifetime", cases), flow.self_consuming_lifetime(variances, float(steps)))
            agree(browser.law("heunSink", [[steps]]), flow.heun_sink(steps))

    @pytest.mark.parametrize("scheme", ["reflow", "ra", "anchored", "oras", "fresh"])
    def test_scheme(self, browser, scheme):
        real, first, alpha, tau, epsilon = np.array(REFLOW).T
        options = dict(real_fraction=alpha, ridge=tau, initial_variance=first, diffusion=epsilon)
        agree(browser.scheme("schemeTrajectory", scheme, "15").T, flow.scheme_trajectory(scheme, real, 15, **options))
        agree(browser.scheme("schemeLimit", scheme), flow.scheme_limit(scheme, real, **options))
        later = options | dict(initial_variance=np.full_like(real, 2.5), anchor_variance=first)
        agree(browser.scheme("oneStepGain", scheme, "2.5"), flow.one_step_gain(scheme, real, **later))

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_scheme_is_the_balance_of_its_kinds(self, browser, scheme):
        """The pairs written out: x0 = a x1 + b n beside real data."""
        row, (real, first, alpha, tau, epsilon) = SCHEMES[scheme], np.array(REFLOW).T
        alpha = alpha * (row.real is not None)

        def pairs(variance, inverter):
            forgotten = epsilon**2 / inverter**0.5
            slope, noise = {
                None: (0, 1),
                "inverted": (inverter**-0.5, 0),
                "anchored": (first**-0.5, 0),
                "diffused": (np.exp(-forgotten / 2) * inverter**-0.5, 1 - np.exp(-forgotten)),
                "scored": (np.exp(-forgotten / 2) * inverter**-0.5, 1 - np.exp(-forgotten)),
                "scattered": (inverter**-0.5, forgotten),
                "redrawn": (0, 1),
            }[row.real]
            q0 = (1 - alpha) + alpha * (slope**2 * real + noise)
            own = variance**0.5 if row.own == "kept" else 0
            return q0, (1 - alpha) * variance + alpha * real, (1 - alpha) * own + alpha * slope * real

        def next_model(variance):
            """Where the inverter is the next model itself, it is found by halving."""
            low, high = np.full_like(real, 1e-9), np.full_like(real, 1e9)
            inverter = variance
            for _ in range(100 if row.refreshed else 0):
                inverter = (low * high) ** 0.5
                q0, q1, _ = pairs(variance, inverter)
                fits_less = q1 + tau < inverter * (q0 + tau)
                low, high = np.where(fits_less, low, inverter), np.where(fits_less, inverter, high)
            q0, q1, cross = pairs(variance, inverter)
            return (q1 + tau) / (q0 + tau), (cross + tau) / (q0 + tau)

        settled = ~(row.refreshed & (alpha == 1) & (tau == 0))  # then any model inverts itself
        path = browser.scheme("schemeTrajectory", scheme, "6").T
        np.testing.assert_allclose(path[0], first)
        for before, after in itertools.pairwise(path):
            np.testing.assert_allclose(after[settled], next_model(before)[0][settled], rtol=1e-9)
        gain = browser.scheme("oneStepGain", scheme, "2.5")
        np.testing.assert_allclose(gain[settled], next_model(np.full_like(real, 2.5))[1][settled], rtol=1e-9)
        limit = browser.scheme("schemeLimit", scheme)
        alive = settled & (limit > 0)
        np.testing.assert_allclose(next_model(np.where(alive, limit, 1.0))[0][alive], limit[alive], rtol=1e-9)
        later = browser.scheme("schemeTrajectory", scheme, "4000", part=".at(-1)")
        assert np.all(np.abs(later - limit) < 0.02)

    def test_rule_of_thumb(self, browser):
        cases = grid([0.0, 1e-9, 0.05, 0.5, 3.0], [0.01, 0.3, 1.0])
        rate, alpha = np.array(cases).T
        agree(browser.law("retentionRule", cases), flow.retention_rule(rate, alpha))
        cases = grid([0.0, 1e-9, 0.05, 0.5, 3.0], [0.0, 0.05, 0.8, 0.99])
        rate, retention = np.array(cases).T
        agree(browser.law("requiredFractionForRate", cases), flow.required_fraction_for_rate(rate, retention))


class TestPage:
    def test_every_slider_moves_its_picture_by_keyboard(self, browser):
        count = browser.run("document.querySelectorAll('input').length")
        assert count > 20
        for index in range(count):
            input = f"document.querySelectorAll('input')[{index}]"
            kind, view, name, value = browser.run(f"(x => [x.type, x.closest('section').id, x.name, x.value])({input})")
            at_end = browser.run(f"{input}.value === {input}.max")
            before = browser.run(f"{PICTURE}('{view}')")
            browser.run(f"{input}.focus()")
            browser.press(" " if kind == "checkbox" else "ArrowLeft" if at_end else "ArrowRight")
            assert kind == "checkbox" or browser.run(f"{input}.value") != value, (view, name)
            assert browser.run(f"{PICTURE}('{view}')") != before, (view, name)
            browser.press(" " if kind == "checkbox" else "ArrowRight" if at_end else "ArrowLeft")
            assert browser.run(f"{input}.value") == value, (view, name)

    def test_says_what_the_theory_says(self, browser):
        browser.open(f"{browser.address}#cobweb?u0=16&alpha=0.1")
        said = browser.run("document.querySelector('#cobweb .verdict').textContent")
        assert said == f"Retained: {100 * float(dae.retained_variance(16.0, 1.0, 0.1)) / 16:.3g} % of the real variance"
        browser.run("document.querySelector('#cobweb [name=u0]').focus()")
        browser.run("location.hash = '#cobweb?u0=64'")
        browser.settle()
        said = browser.run("document.querySelector('#cobweb .verdict').textContent")
        assert said == f"Collapse: dead in round {float(dae.lifetime(64.0, 1.0)):.0f}"
        browser.run("location.hash = '#budget?keep=0.5&u0=16'")
        browser.settle()
        assert f"{100 * float(dae.required_real_fraction(0.5, 16.0, 1.0)):.3g} %" in browser.run(
            "document.querySelector('#budget .numbers').textContent"
        )

    def test_steps_and_plays(self, browser):
        browser.open(f"{browser.address}#digits?round=0")
        button = "document.querySelector('#digits [data-do={}]')".format
        for expected in ("1", "2"):
            browser.run(f"{button('step')}.focus()")
            browser.press("Enter")
            assert browser.run("document.querySelector('#digits [name=round]').value") == expected
        browser.run(f"{button('play')}.click()")
        browser.until("document.querySelector('#digits [name=round]').valueAsNumber >= 4")
        browser.run(f"{button('play')}.click()")
        assert browser.run(f"{button('play')}.textContent") == "Play"
        browser.prefer(reduced_motion="reduce")
        assert browser.run(f"getComputedStyle({button('play')}).display") == "none"
        browser.prefer()

    def test_address_keeps_what_was_moved(self, browser):
        browser.open(browser.address)
        browser.run("document.querySelector('#reflow [name=tau]').focus()")
        browser.press("ArrowRight")
        browser.until("location.hash === '#reflow?tau=0.21'")
        picture = browser.run(f"{PICTURE}('reflow')")
        browser.open(browser.address)
        assert browser.run(f"{PICTURE}('reflow')") != picture
        browser.open(f"{browser.address}#reflow?tau=0.21")
        assert browser.run(f"{PICTURE}('reflow')") == picture

    def test_schemes_are_those_of_the_table(self, browser, tmp_path, monkeypatch):
        """And a row that is put into it appears, with its law."""
        monkeypatch.setitem(SCHEMES, "toy", Scheme("toy pairs", "redrawn", "anchored"))
        page.write(tmp_path / "toy.html")
        browser.open((tmp_path / "toy.html").as_uri() + "#reflow?tau=0&alpha=0")
        try:
            told = browser.run("[...document.querySelectorAll('#reflow tbody th')].map(x => x.textContent.trim())")
            assert [line.split(":")[0] for line in told] == [scheme.title for scheme in SCHEMES.values()]
            for figure in ("full", "one"):
                lines = f"document.querySelectorAll('#reflow-{figure} .canvas .line').length"
                assert browser.run(lines) == len(SCHEMES)
            said = "document.querySelector('#reflow .verdict').textContent"
            assert browser.run(said) == "All schemes stay as they are"
            browser.run("location.hash = '#reflow?tau=0.2&lambda=2&first=1&alpha=0.5'")
            browser.settle()
            # Anchored pairs have E x0² = λ0/g₁² = 2, and g² = (λ0/2 + τ)/(1 + τ) in the end.
            row = browser.run(
                "[...document.querySelectorAll('#reflow tbody tr:last-child td')].map(x => x.textContent)"
            )
            assert row[:2] == [f"{1.2 / 1.2:.3g}"] * 2
        finally:
            browser.open(browser.address)

    def test_phase_follows_the_pointer(self, browser):
        browser.open(browser.address)
        browser.run("document.getElementById('phase').scrollIntoView({ behavior: 'instant' })")
        x, y, width, height = browser.run(
            "(b => [b.x, b.y, b.width, b.height])(document.querySelector('#phase-map .canvas').getBoundingClientRect())"
        )
        said = []
        for share in (0.3, 0.95):
            browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=x + share * width, y=y + 0.2 * height)
            said.append(browser.run("document.querySelector('#phase .verdict').textContent"))
        assert said[0].startswith("Collapse: dead in round") and said[1].startswith("Explosion")

    @pytest.mark.parametrize("width, height", [(1920, 1080), (1280, 800), (390, 844), (360, 640)])
    def test_fits_the_window(self, browser, width, height):
        browser.resize(width, height)
        try:
            assert browser.run("document.documentElement.scrollWidth") <= width
            cut = browser.run("""[...document.querySelectorAll('.canvas text')].filter(x => {
                const [text, frame] = [x, x.closest('.canvas')].map(y => y.getBoundingClientRect());
                return text.left < frame.left - 2 || text.right > frame.right + 2 }).map(x => x.textContent)""")
            assert cut == []
        finally:
            browser.resize(1280, 800)

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_text_stands_out(self, browser, theme):
        """Contrast of at least 4.5 for all text and 3 for every curve (WCAG AA), in both themes."""
        browser.prefer(color_scheme=theme)
        try:
            script = """[...document.querySelectorAll(
                    'h2, .lead, .where, .numbers dt, .checks, .legend, svg text, .line')].map(x => {
                const style = getComputedStyle(x), card = x.closest('figure') || document.body;
                const kind = x.matches('.line') ? 'stroke' : x.matches('svg text') ? 'fill' : 'color';
                return [kind === 'stroke' ? 3 : 4.5, style[kind], getComputedStyle(card).backgroundColor] })"""
            found = {tuple(entry) for entry in browser.run(script)}
            assert len(found) > 6
            for least, ink, paper in found:
                bright, dim = sorted(map(luminance, (ink, paper)), reverse=True)
                assert (bright + 0.05) / (dim + 0.05) >= least, (ink, paper)
        finally:
            browser.prefer()

    def test_controls_have_names(self, browser):
        nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
        named = [
            n for n in nodes if n.get("role", {}).get("value") in ("slider", "button", "checkbox", "link", "image")
        ]
        assert len(named) > 40 and all(node["name"]["value"].strip() for node in named)

    def test_asks_for_nothing_and_complains_of_nothing(self, browser):
        """Last, so that it has seen all the others do."""
        browser.open(browser.address)
        requests = {e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"}
        assert {url.split("#")[0] for url in requests if not url.startswith("data:")} == browser.opened
        noisy = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        assert [event for event in browser.events if event["method"] in noisy] == []


def luminance(colour):
    """Relative luminance of "rgb(r, g, b)", after WCAG."""
    channels = np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


def test_claims_on_the_page_have_the_verdict_it_states(text):
    found = re.findall(r"\(<code>([\w-]+)</code>, notebook (\d\d), (\w+)\)", text)
    rows = {row.id: row for row in ledger.read(page.TEMPLATES.parents[1] / "figures" / "claims.json")}
    assert len(found) > 15
    assert all((rows[id].notebook[:2], rows[id].verdict) == (notebook, verdict) for id, notebook, verdict in found)
