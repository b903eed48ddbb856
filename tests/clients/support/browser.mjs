// A browser, driven through chromedriver by the WebDriver protocol.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Whether a missing browser fails a test. Otherwise the test is skipped. */
const required = process.env.JISHU_BROWSER_TESTS === "required";

/**
 * Starts Chromium, and stops it when the test `t` ends. Skips the test and returns null if there is no chromedriver.
 * @param {import("node:test").TestContext} t
 * @returns {Promise<Browser | null>}
 */
export async function startBrowser(t) {
  let driver;
  try {
    driver = await startDriver();
  } catch (error) {
    if (error.code !== "ENOENT" || required) throw error;
    t.skip("there is no chromedriver");
    return null;
  }
  const profile = await mkdtemp(join(tmpdir(), "jishu-browser-"));
  let browser = null;
  t.after(async () => {
    await browser?.close();
    if (driver.process.exitCode === null) {
      driver.process.kill();
      await once(driver.process, "exit");
    }
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  browser = await Browser.open(`http://127.0.0.1:${driver.port}`, profile);
  return browser;
}

/**
 * Starts chromedriver on a free port. chromedriver takes a free port of 127.0.0.1 and then the same port of `::1`, and
 * ends if another process has the second one. So it starts up to five times.
 * @returns {Promise<{ process: import("node:child_process").ChildProcess, port: string }>}
 */
async function startDriver(attempts = 5) {
  const driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "ignore"] });
  await once(driver, "spawn");
  for await (const line of createInterface(driver.stdout)) {
    const match = /successfully on port (\d+)/.exec(line);
    if (match) {
      driver.stdout.resume();
      return { process: driver, port: match[1] };
    }
  }
  if (attempts > 1) return startDriver(attempts - 1);
  throw new Error("chromedriver ended before it printed its port");
}

/** An open window of Chromium. */
export class Browser {
  #session;

  constructor(session) {
    this.#session = session;
  }

  static async open(driver, profile) {
    const args = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"];
    const options = { args: [...args, "--disable-background-networking", `--user-data-dir=${profile}`] };
    const { sessionId } = await send("POST", `${driver}/session`, {
      // The default limit of a script is 30 s. axe may take longer if other tests keep the machine busy.
      capabilities: { alwaysMatch: { "goog:chromeOptions": options, timeouts: { script: 120_000 } } },
    });
    return new Browser(`${driver}/session/${sessionId}`);
  }

  goto(url) {
    return send("POST", `${this.#session}/url`, { url });
  }

  /** Sets the size of the screen and the system's theme, `light` or `dark`. */
  async screen(width, height, theme) {
    await this.#devtools("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.#devtools("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: theme }] });
  }

  /** Runs the body of a function in the page, and returns its result, or that of its promise. */
  script(body, ...args) {
    return send("POST", `${this.#session}/execute/sync`, { script: body, args });
  }

  /** Waits until an expression of the page is true. */
  until(condition) {
    return this.script(
      `return new Promise((resolve) => {
        const look = () => (${condition}) ? resolve() : requestAnimationFrame(look);
        look();
      })`,
    );
  }

  close() {
    return send("DELETE", this.#session);
  }

  #devtools(cmd, params) {
    return send("POST", `${this.#session}/goog/cdp/execute`, { cmd, params });
  }
}

/** Sends a command to chromedriver, and returns the value of its response. */
async function send(method, url, body) {
  const response = await fetch(url, { method, body: body && JSON.stringify(body) });
  const { value } = await response.json();
  assert.ok(response.ok, `${url}: ${value?.message}`);
  return value;
}
